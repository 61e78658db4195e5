"""The example's Dockerfile: built as it is, and run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.failure import container_error
from airflow_provider_kedro_vertex.core.jobs.identity import run_key
from airflow_provider_kedro_vertex.core.jobs.memory import explain_kill, limit_of
from airflow_provider_kedro_vertex.core.jobs.parameters import to_json
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.core.jobs.usage import from_lines
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage
from airflow_provider_kedro_vertex.project.cli.connection import connect
from airflow_provider_kedro_vertex.vertex.job_logs import last_lines
from tests.containers import base_image
from tests.containers.conftest import ROOT
from tests.fresh_project import run
from tests.storage import storage_emulator, storage_variables

FLIGHTS = ROOT / "dags_examples" / "flights"
#: As conf/base/vertexai.yml names it.
IMAGE = f"{base_image.REGISTRY}/demo-project/kedro/flights:1.0.0"


@pytest.fixture(scope="module")
def image(podman: dict[str, str]) -> str:
    run(FLIGHTS, "podman", "build", "--tag", IMAGE, ".", env=podman)
    return IMAGE


def test_the_whole_project_runs_in_it_as_a_user_who_is_not_root(image: str, podman: dict[str, str]) -> None:
    program = "id -un && kedro run --env laptop --params run_date=2013-06-02 && cat data/2013-06-02/metrics.json"
    said = run(Path(), "podman", "run", "--rm", image, "sh", "-c", program, env=podman)
    assert said.splitlines()[0] == "kedro"
    assert '"mae_minutes"' in said


@pytest.fixture
def vertex(image: str, podman: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    for name, value in podman.items():
        monkeypatch.setenv(name, value)
    with (
        storage_emulator("flights-demo") as storage,
        VertexEmulator({image: ContainerImage(image)}, env=storage_variables(storage)) as running,
    ):
        yield {**podman, **storage_variables(storage), "KEDRO_VERTEX_API_ENDPOINT": running.url}


def test_a_node_runs_in_it_as_on_vertex_ai(vertex: dict[str, str]) -> None:
    nodes = ("--nodes", "features.select_flights,features.schedule_features", "--param", "run_date=2013-06-02")
    said = run(FLIGHTS, "kedro", "vertex", "run-once", "--pipeline", "features", *nodes, "--wait", env=vertex)
    assert "Succeeded." in said


def test_a_node_that_was_killed_for_its_memory_has_more_in_its_next_attempt(
    vertex: dict[str, str], tmp_path: Path
) -> None:
    run(FLIGHTS, "kedro", "vertex", "manifest", "--output", str(tmp_path / "manifest.json"), env=vertex)
    manifest = manifests.read(tmp_path / "manifest.json")
    client = connect(manifest.config, vertex["KEDRO_VERTEX_API_ENDPOINT"])
    now, node = datetime.now(timezone.utc), "features.select_flights"

    def attempt(number: int, memory: str, *earlier: outcome.Job) -> tuple[outcome.Job, outcome.Task]:
        policy = {node: {"on_out_of_memory": {"factor": 4, "max": "8Gi"}}}
        config = manifest.config.overridden({"resources": {node: {"memory": memory}}, "retry_policy": policy})
        plan = build_plan(manifest, "features", config, Selection(node_names=(node,)))
        key = run_key("killed", f"{memory}")
        request = JobRequest(
            plan=plan,
            run=Run(key, "killed", memory, now),
            project_id=client.project_id,
            region=client.region,
            params=to_json({"run_date": "2013-06-02"}),
            display_name="killed",
            caller={},
        )
        job = client.create_pipeline_job(f"{key}-{number}", request.body(f"{key}-{number}", earlier))
        deadline = time.monotonic() + 300
        while not is_over(job["state"]):
            assert time.monotonic() < deadline, job
            time.sleep(0.5)
            job = client.get_job(job["name"])
        (task,) = outcome.tasks(job)
        return job, task

    job, task = attempt(1, "4Gi")
    assert outcome.is_success(job), last_lines(client, task)
    used = from_lines(last_lines(client, task))
    assert used is not None
    assert used.limit == 4 << 30
    assert used.nodes.keys() == {node}

    too_little = f"{int(0.4 * used.memory)}"
    killed, task = attempt(1, too_little)
    assert (task.failed, task.failure_class) == (True, "memory"), last_lines(client, task)
    assert "its limit, and had asked for more" in str(explain_kill(killed, task))
    assert from_lines(last_lines(client, task)) is None
    again, task = attempt(2, too_little, killed)
    assert outcome.is_success(again), last_lines(client, task)
    before, after = limit_of(killed, task.name), limit_of(again, task.name)
    assert before is not None
    assert after == pytest.approx(4 * before, rel=0.01)


def test_a_failed_node_fails_in_the_same_way_in_a_replay_of_its_image(vertex: dict[str, str]) -> None:
    node = ("--nodes", "features.select_flights", "--param", "run_date=no-date")
    failed = kedro_vertex(vertex, "run-once", "--pipeline", "features", *node, "--wait")
    said = failed.stdout + failed.stderr
    (line,) = [line for line in said.splitlines() if "kedro vertex replay " in line] or [said]
    job = line.partition("kedro vertex replay ")[2].split()[0]
    log = kedro_vertex(vertex, "logs", job, "--node", "features.select_flights")
    error = container_error(log.stdout.splitlines())
    assert error is not None
    replayed = kedro_vertex(vertex, "replay", job, "--container")
    assert replayed.returncode == failed.returncode == 1
    again = container_error(replayed.stderr.splitlines())
    assert again is not None
    assert (again["node"], again["error"]) == (error["node"], error["error"])
    # Its code is the image's: the traceback has the place there.
    assert 'File "/home/kedro/flights/' in replayed.stderr


def kedro_vertex(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kedro", "vertex", *arguments],
        cwd=FLIGHTS,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
