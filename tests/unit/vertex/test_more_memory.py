"""The next attempt of a node that was killed for its memory, as each of the operators makes it, on the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.memory import limit_of
from airflow_provider_kedro_vertex.core.jobs.outcome import failure_class
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.task.run import asked_by_label
from airflow_provider_kedro_vertex.vertex.submission import pipeline_jobs, submit_job, submit_next
from tests.unit.conftest import small_manifest
from tests.unit.jobs import IMAGE
from tests.unit.vertex.test_client import wait
from tests.unit.vertex.test_run_manifests import context, task


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    """Its containers end as those do that are killed for their memory: the folder's own module comes first."""
    image = tmp_path_factory.mktemp("killed")
    runtime = image / "airflow_provider_kedro_vertex" / "runtime"
    runtime.mkdir(parents=True)
    for folder in (runtime.parent, runtime):
        (folder / "__init__.py").touch()
    (runtime / "__main__.py").write_text("raise SystemExit(137)\n")
    with VertexEmulator({IMAGE: image}) as running:
        yield running


@pytest.fixture
def manifest(emulator: VertexEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": emulator.url}
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
    policy = {"__default__": {"on_out_of_memory": {"factor": 3, "max": "200Gi"}}}
    manifests.write(
        small_manifest(resources={"load": {"memory": "2Gi"}}, retry_policy=policy), tmp_path / "small.manifest.json"
    )
    return tmp_path / "small.manifest.json"


def attempt(operator: VertexJobOperator, manifest: Path, run_id: str, try_number: int, watched: bool = False) -> Any:
    """A try of the operator's task, or, in its place, of a task that waits for one of its node groups."""
    operator.manifest, operator.dag.fileloc = str(manifest), str(manifest)
    told = context(operator, run_id, try_number)
    if watched:
        assert isinstance(operator, KedroVertexPipelineOperator)
        made = operator.submission_for(told, asked_by_label(told))
        earlier = pipeline_jobs(made.client, made.task)
        job = submit_next(made.client, made.task, made.request.body, earlier).job
    else:
        made = operator.submission(told)
        job = submit_job(made.client, made.request.collection, made.task, made.request.body).job
    ended = wait(made.client, job["name"])
    assert failure_class(ended) == "memory"
    return ended


@pytest.mark.parametrize("watched", [False, True])
def test_an_attempt_of_a_pipeline_job_has_more(manifest: Path, watched: bool) -> None:
    operator = task(KedroVertexPipelineOperator)
    first = attempt(operator, manifest, f"pipeline-{watched}", 1)
    second = attempt(operator, manifest, f"pipeline-{watched}", 2, watched)
    assert second["name"] != first["name"]
    assert limit_of(second, "load") == pytest.approx(3 * (limit_of(first, "load") or 0))
    assert limit_of(second, "clean") == limit_of(first, "clean"), "it did not run"


def test_an_attempt_of_a_custom_job_has_more(manifest: Path) -> None:
    operator = task(KedroVertexCustomJobOperator)
    first = attempt(operator, manifest, "custom", 1)
    second = attempt(operator, manifest, "custom", 2)
    assert second["name"] != first["name"]
    assert (limit_of(second, "") or 0) >= 3 * (limit_of(first, "") or 0) > 0
