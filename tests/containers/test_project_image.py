"""The workflows of a fresh project, step by step: its image is built, pushed, and run.

Real are pip, podman, a registry, the containers and all services but Google's own. Scripts stand for gcloud alone.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage
from tests.containers import base_image
from tests.containers.registry import Registry, digest_of
from tests.fresh_project import kedro_new, run
from tests.google_apis import Call, google_apis
from tests.storage import storage_emulator, storage_variables
from tests.unit.vertex.test_cloud_build import CREATE, GET
from tests.workflows import clone, commit_all, run_gitlab_job, run_workflow

REPOSITORY = f"{base_image.REGISTRY}/my-project/kedro/shop"
CI = ("--with-github-actions", "--with-gitlab-ci")
AUTO = f"{REPOSITORY}:auto"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in a repository."""
    project = kedro_new(tmp_path_factory.mktemp("project"))
    run(project, "kedro", "vertex", "init", "my-project", "europe-west1", *CI)
    commit_all(project)
    return project


@pytest.fixture(scope="module")
def commit(project: Path) -> str:
    return run(project, "git", "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def image(commit: str) -> str:
    return f"{REPOSITORY}:{commit}"


@pytest.fixture(scope="module")
def fresh(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone, in which somebody has left secrets."""
    fresh = clone(project, tmp_path_factory.mktemp("clone") / "shop")
    (fresh / "conf/local/credentials.yml").write_text("database: {password: not-in-an-image}\n")
    (fresh / "conf/base/credentials.yml").write_text("database: {password: not-in-an-image}\n")
    return fresh


@pytest.fixture(scope="module")
def services(image: str, podman: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment in which commands reach a bucket and a Vertex AI, which runs real containers."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in podman.items():
            patch.setenv(name, value)
        with (
            storage_emulator("my-project-kedro") as storage,
            VertexEmulator(
                {image: ContainerImage(image), AUTO: ContainerImage(AUTO)}, env=storage_variables(storage)
            ) as vertex,
        ):
            yield {
                **podman,
                **storage_variables(storage),
                "KEDRO_VERTEX_API_ENDPOINT": vertex.url,
                "VERTEX_DATA": str(vertex.data),
            }


@pytest.fixture(scope="module")
def runner(services: dict[str, str], wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a runner: a Python of its own, without any package yet."""
    venv = tmp_path_factory.mktemp("runner") / "venv"
    run(Path(), sys.executable, "-m", "venv", str(venv))
    path = services["PATH"].replace(str(Path(sys.executable).parent), str(venv / "bin"))
    return {**services, "PATH": path, "PIP_FIND_LINKS": str(wheels), "PIP_NO_COMPILE": "1"}


@pytest.fixture(scope="module")
def pushed(fresh: Path, runner: dict[str, str]) -> str:
    """What the steps of the workflow on each push write."""
    return run_workflow(fresh, "kedro-vertex-on-push", runner)


def test_the_image_is_tagged_by_the_commit_and_its_digest_is_told(
    pushed: str, image: str, commit: str, artifact_registry: Registry, podman: dict[str, str]
) -> None:
    _, manifest = artifact_registry.manifests["my-project/kedro/shop", commit]
    assert f"\nPushed {image}, which is {REPOSITORY}@{digest_of(manifest)}\n" in pushed
    by_digest = f"{REPOSITORY}@{digest_of(manifest)}"
    run(Path(), "podman", "pull", "--quiet", by_digest, env=podman)


def test_each_node_runs_in_the_image_as_a_user_who_is_not_root(pushed: str, services: dict[str, str]) -> None:
    logs = "\n".join(file.read_text() for file in (Path(services["VERTEX_DATA"]) / "logs").iterdir())
    assert "Succeeded." in pushed
    assert "User kedro with id 1000 in /home/kedro/shop" in logs
    assert f"The sum is {sum(100 + 2 * day for day in range(30))}" in logs


def test_the_workflow_on_merge_deploys(pushed: str, fresh: Path, runner: dict[str, str], image: str) -> None:
    said = run_workflow(fresh, "kedro-vertex-on-merge", runner)
    assert f"\nPushed {image}, which is " in said
    bucket = f"{runner['STORAGE_EMULATOR_HOST']}/storage/v1/b/my-project-kedro/o"
    manifest = requests.get(f"{bucket}/dags%2Fshop.manifest.json?alt=media", timeout=60).json()
    assert manifest["config"]["image"] == image
    assert "kedro_vertex_dags(" in requests.get(f"{bucket}/dags%2Fshop.py?alt=media", timeout=60).text


def test_the_job_of_gitlab_deploys_what_cloud_build_built(
    pushed: str, fresh: Path, runner: dict[str, str], image: str, tmp_path: Path
) -> None:
    """podman does what Cloud Build is asked for, of the archive in the bucket."""

    def build(call: Call) -> Mapping[str, Any]:
        place = call.body["source"]["storageSource"]
        url = f"{runner['STORAGE_EMULATOR_HOST']}/storage/v1/b/{place['bucket']}/o/{quote(place['object'], safe='')}"
        with tarfile.open(fileobj=io.BytesIO(requests.get(f"{url}?alt=media", timeout=60).content)) as archive:
            archive.extractall(tmp_path / "source", filter="data")
        (step,) = call.body["steps"]
        run(tmp_path / "source", "podman", *step["args"], env=runner)
        run(tmp_path, "podman", "push", "--digestfile", "digest", *call.body["images"], env=runner)
        return {"metadata": {"@type": "type.googleapis.com/Build", "build": {"id": "1", "status": "QUEUED"}}}

    def built(call: Call) -> Mapping[str, Any]:
        digest = (tmp_path / "digest").read_text()
        return {"id": "1", "status": "SUCCESS", "results": {"images": [{"name": image, "digest": digest}]}}

    with google_apis() as apis:
        apis.answers |= {CREATE: build, GET: built}
        overrides = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": f"{apis.url}/cloudbuild", "HOME": str(tmp_path)}
        said = run_gitlab_job(fresh, "deploy", {**runner, **overrides})
    assert f"Pushed {image}, which is {REPOSITORY}@{(tmp_path / 'digest').read_text()}" in said
    assert "gs://my-project-kedro/dags" in said


def test_run_once_builds_for_an_emulator_without_a_push(
    pushed: str, fresh: Path, image: str, services: dict[str, str], artifact_registry: Registry
) -> None:
    before = dict(artifact_registry.manifests)
    (fresh / "src/shop/pipelines/sums/more.py").write_text("")
    said = run(fresh, "kedro", "vertex", "run-once", "--auto-build", "--yes", "--wait", "--image", AUTO, env=services)
    assert f"Built {AUTO}, sha256:" in said
    assert "Succeeded." in said
    assert artifact_registry.manifests == before
    layers = run(Path(), "podman", "image", "inspect", "--format", "{{json .RootFS.Layers}}", AUTO, image, env=services)
    new, old = map(json.loads, layers.splitlines())
    # A change of the project installs no package again.
    assert [layer for layer in new if layer not in old] == new[-1:]


def test_neither_secrets_nor_what_people_need_are_in_the_image(pushed: str, image: str, podman: dict[str, str]) -> None:
    program = "find . -type f; pip list --format=freeze"
    there = run(Path(), "podman", "run", "--rm", image, "sh", "-c", program, env=podman).splitlines()
    assert "./conf/base/vertexai.yml" in there
    assert "./conf/local/.gitkeep" in there
    assert [
        line for line in there if re.search(r"credentials|creds|notebook|jupyterlab|^\./data/|^\./\.git/", line)
    ] == []
