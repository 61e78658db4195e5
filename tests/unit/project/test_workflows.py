"""The workflows of ``kedro vertex init``, step by step in a fresh clone of a fresh project.

Scripts stand for gcloud, for pip and for docker, which builds nothing here; the rest is real: git, Kedro, the commands,
a bucket and a Vertex AI on this machine. tests/containers run the same steps with a real pip and a real image.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from google.auth import identity_pool

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Image
from tests.fresh_project import environment, kedro_new, run
from tests.google_apis import google_apis
from tests.storage import storage_emulator, storage_variables
from tests.unit.vertex.test_cloud_build import cloud_build
from tests.workflows import GITLAB_VARIABLES, clone, commit_all, run_gitlab_job, run_workflow

REPOSITORY = "europe-west1-docker.pkg.dev/my-project/kedro/shop"
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
  *RepoDigests*) echo "{repository}@sha256:{digest}" ;;
esac
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = kedro_new(tmp_path_factory.mktemp("project"))
    both = ("--with-github-actions", "--with-gitlab-ci")
    run(project, "kedro", "vertex", "init", "my-project", "europe-west1", *both)
    commit_all(project)
    return project


class Runner:
    """What a runner has: programs, and the services that its steps reach."""

    def __init__(self, folder: Path, storage: str, vertex: str) -> None:
        self.folder, self.storage, self._calls = folder, storage, folder / "calls"
        for name in ("docker", "gcloud", "pip"):
            (folder / name).write_text(STAND_IN.format(repository=REPOSITORY, digest="d" * 64))
            (folder / name).chmod(0o755)
        variables = {"CALLS": str(self._calls), "KEDRO_VERTEX_API_ENDPOINT": vertex, **storage_variables(storage)}
        own = environment(**variables)
        self.env = {**own, "PATH": os.pathsep.join((str(folder), own["PATH"]))}

    def calls(self) -> list[str]:
        """What the stand-ins were called with, since the last time."""
        calls = self._calls.read_text().splitlines()
        self._calls.unlink()
        return [line for line in calls if "docker info" not in line]

    def deployed(self) -> dict[str, str]:
        """The files in the DAGs folder."""
        bucket = f"{self.storage}/storage/v1/b/my-project-kedro/o"
        listed = requests.get(bucket, params={"prefix": "dags/"}, timeout=60).json().get("items", [])
        return {
            item["name"]: requests.get(f"{bucket}/{item['name'].replace('/', '%2F')}?alt=media", timeout=60).text
            for item in listed
        }


@pytest.fixture
def runner(tmp_path: Path, project: Path) -> Iterator[Runner]:
    (tmp_path / "bin").mkdir()
    commit = run(project, "git", "rev-parse", "HEAD").strip()
    images = {f"{REPOSITORY}:{commit}": Image(project, Path(sys.executable))}
    with (
        storage_emulator("my-project-kedro") as storage,
        VertexEmulator(images, env=storage_variables(storage)) as vertex,
    ):
        yield Runner(tmp_path / "bin", storage, vertex.url)


def test_the_workflow_on_push_runs_the_pipeline_once(project: Path, runner: Runner, tmp_path: Path) -> None:
    fresh = clone(project, tmp_path / "clone")
    said = run_workflow(fresh, "kedro-vertex-on-push", runner.env)
    commit = run(fresh, "git", "rev-parse", "HEAD").strip()
    image = f"{REPOSITORY}:{commit}"
    assert runner.calls() == [
        "pip install --requirement requirements.txt airflow-provider-kedro-vertex[kedro]",
        "gcloud auth configure-docker --quiet europe-west1-docker.pkg.dev",
        f"docker build --platform linux/amd64 --tag {image} .",
        f"docker image inspect --format {{{{.Id}}}} {image}",
        f"docker push {image}",
        f'docker image inspect --format {{{{join .RepoDigests " "}}}} {image}',
    ]
    assert f"Pushed {image}, which is {REPOSITORY}@sha256:{'d' * 64}" in said
    assert "Succeeded." in said
    assert "Warning" not in said


READ = """
import json, runpy, sys
made = runpy.run_path(sys.argv[1])
dag = made["shop"]
when = getattr(dag, "schedule", None) or getattr(dag, "schedule_interval", None)  # Airflow 3 or 2
print(json.dumps([when, str(dag.start_date), dag.catchup]))
"""


def read_dag(files: dict[str, str], folder: Path) -> list[object]:
    """Read the deployed DAG file as Airflow does; gives the DAG's schedule, its start and whether it catches up."""
    folder.mkdir()
    for name, text in files.items():
        (folder / Path(name).name).write_text(text)
    command = [sys.executable, "-W", "ignore", "-c", READ, str(folder / "shop.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    read: list[object] = json.loads(done.stdout.splitlines()[-1])
    return read


def test_the_workflow_on_merge_deploys_and_never_moves_a_start(project: Path, runner: Runner, tmp_path: Path) -> None:
    run_workflow(clone(project, tmp_path / "first"), "kedro-vertex-on-merge", runner.env)
    first = runner.deployed()
    assert sorted(first) == ["dags/shop.manifest.json", "dags/shop.py"]
    commit = run(project, "git", "rev-parse", "HEAD").strip()
    assert json.loads(first["dags/shop.manifest.json"])["config"]["image"] == f"{REPOSITORY}:{commit}"
    # Without schedules: the DAG has none.
    assert read_dag(first, tmp_path / "read-first")[0] is None

    settings = project / "conf/base/vertexai.yml"
    before = settings.read_text()
    schedules = '  schedules:\n    default_schedule:\n      cron_expression: "0 4 * * *"\n'
    settings.write_text(before + schedules)
    try:
        commit_all(project)
        run_workflow(clone(project, tmp_path / "second"), "kedro-vertex-on-merge", runner.env)
        second = runner.deployed()
        (project / "README.md").write_text("Another commit\n")
        commit_all(project)
        run_workflow(clone(project, tmp_path / "third"), "kedro-vertex-on-merge", runner.env)
        third = runner.deployed()
    finally:
        settings.write_text(before)
    assert second["dags/shop.py"] == third["dags/shop.py"] == first["dags/shop.py"]
    assert second["dags/shop.manifest.json"] != third["dags/shop.manifest.json"]
    # What Airflow makes of it is the same after each deployment.
    assert read_dag(second, tmp_path / "read-second") == read_dag(third, tmp_path / "read-third")
    assert read_dag(third, tmp_path / "read-again")[0] == "0 4 * * *"


def test_the_jobs_of_gitlab(project: Path, runner: Runner, tmp_path: Path) -> None:
    fresh = clone(project, tmp_path / "clone")
    (fresh / "conf/local/credentials.yml").write_text("database: {password: not-in-an-archive}\n")
    image = f"{REPOSITORY}:{run(fresh, 'git', 'rev-parse', 'HEAD').strip()}"
    with google_apis() as apis:
        apis.answers |= cloud_build(image, f"sha256:{'d' * 64}")
        overrides = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": f"{apis.url}/cloudbuild", "HOME": str(tmp_path)}
        on_branch = run_gitlab_job(fresh, "run-once", {**runner.env, **overrides})
        on_main = run_gitlab_job(fresh, "deploy", {**runner.env, **overrides})
        (source,) = {json.dumps(call.body["source"]["storageSource"]) for call in apis.calls if call.body}
    assert "Succeeded." in on_branch
    assert f"Pushed {image}, which is {REPOSITORY}@sha256:{'d' * 64}" in on_main
    assert sorted(runner.deployed()) == ["dags/shop.manifest.json", "dags/shop.py"]
    assert runner.calls() == ["pip install --requirement requirements.txt airflow-provider-kedro-vertex[kedro]"] * 2

    archive = requests.get(
        f"{runner.storage}/storage/v1/b/my-project-kedro/o/{quote(json.loads(source)['object'], safe='')}?alt=media",
        timeout=60,
    ).content
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        names = packed.getnames()
    assert {"Dockerfile", ".dockerignore", "conf/local/.gitkeep"} <= set(names)
    assert [name for name in names if "credentials" in name or ".git/" in name] == []

    credentials = identity_pool.Credentials.from_file(str(tmp_path / "google.json"))
    assert credentials.retrieve_subject_token(None) == GITLAB_VARIABLES["GOOGLE_TOKEN"]
    assert credentials.service_account_email == GITLAB_VARIABLES["SERVICE_ACCOUNT"]
    provider = GITLAB_VARIABLES["WORKLOAD_IDENTITY_PROVIDER"]
    assert credentials.info["audience"] == f"//iam.googleapis.com/{provider}"
