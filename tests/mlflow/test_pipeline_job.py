"""The one MLflow run of a whole job on Vertex AI: parallel containers, Vertex AI's own retry, a failure, a clear."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.jobs.states import is_over, short
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import read_image
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from tests.mlflow.servers import PYTHON, Mlflow
from tests.storage import storage_emulator, storage_variables
from tests.unit.runtime.containers import Project

IMAGE = "example/tracked:1"
VERTEXAI = f"""
project_id: demo-project
region: europe-west1
run_config:
  image: {IMAGE}
  root: bucket/root
  retry_policy:
    judge.strict: {{num_retries: 1, backoff_duration: 0s}}
"""


@pytest.fixture
def plan(tracked: Project) -> Plan:
    """What Airflow knows of the project: its manifest, written where MLflow is installed."""
    (tracked.path / "conf/base/vertexai.yml").write_text(VERTEXAI)
    file = tracked.path.parent / "tracked.manifest.json"
    subprocess.run(
        [
            *(str(PYTHON), "-m", "airflow_provider_kedro_vertex.project", "manifest"),
            *("--project", str(tracked.path), "--output", str(file)),
        ],
        check=True,
        timeout=180,
        env=tracked.environment(),
    )
    return build_plan(manifests.read(file))


@pytest.fixture
def client(tracked: Project) -> Iterator[VertexClient]:
    images = {IMAGE: read_image(tracked.path, PYTHON)}
    with storage_emulator("bucket") as storage:
        env = {**tracked.variables, **storage_variables(storage), "PYTHONWARNINGS": "ignore"}
        with VertexEmulator(images, env=env, data=tracked.path.parent / "vertex") as emulator:
            yield VertexClient("demo-project", "europe-west1", AnonymousCredentials(), Endpoints(vertex=emulator.url))


def run(client: VertexClient, plan: Plan, context: RunContext) -> dict[str, Any]:
    """Submit a job and wait for its end."""
    job = client.create_pipeline_job(context.job_id, pipeline_job(plan, context, "{}", "a test", {}))
    deadline = time.monotonic() + 300
    while not is_over(job["state"]):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
        job = client.get_job(job["name"])
    return job


def tries(job: dict[str, Any], task: str) -> int:
    (detail,) = [item for item in job["jobDetail"]["taskDetails"] if item["taskName"] == task]
    return 1 + len(detail["executorDetail"]["containerDetail"].get("failedMainJobs", []))


def test_three_containers_a_retry_and_a_failing_node_then_cleared_to_success(
    server: Mlflow, tracked: Project, client: VertexClient, plan: Plan
) -> None:
    (tracked.path / "broken").touch()
    context = replace(tracked.context, root=plan.root)
    failed = run(client, plan, context)
    assert short(failed["state"]) == "FAILED"
    assert tries(failed, "judge-strict") == 2
    (first,) = server.runs(context.run_key)
    assert first.status == "FAILED"
    assert first.params == {"size": "3", "rate": "0.25", "threshold": "1"}
    assert first.metrics == {"accuracy": 0.75, "own": 0.25}
    assert list(first.states.values()) == ["failed: node 'judge.strict': ValueError"]

    (tracked.path / "broken").unlink()
    cleared = replace(context, job_id=f"{context.run_key}-job-2")
    assert short(run(client, plan, cleared)["state"]) == "SUCCEEDED"
    (second,) = server.runs(context.run_key)
    assert (second.id, second.status) == (first.id, "FINISHED")
    assert second.params == first.params
    assert second.tags["vertexai_job_name"] == cleared.job_id
    assert server.artifacts(second.id) == ["report.json"]
    assert list(second.states.values()) == ["done"]
