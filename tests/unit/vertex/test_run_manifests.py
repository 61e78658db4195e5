"""What keeps the manifest that a run began with, against both emulators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.origin import MANIFEST_LABEL
from airflow_provider_kedro_vertex.core.jobs.summary import summary
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.text import label_value
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.vertex.submission import submit_job
from tests.storage import storage_emulator
from tests.unit.conftest import small_manifest


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with storage_emulator("bucket") as url:
        yield url


@pytest.fixture
def submit(vertex: VertexEmulator, storage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Submit a task's job of a manifest, and give what Vertex AI has of it."""
    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": vertex.url, "storage_endpoint": storage}
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
    file = tmp_path / "small.manifest.json"

    def submit(operator: VertexJobOperator, run_id: str, try_number: int, **config: object) -> dict[str, Any]:
        manifests.write(small_manifest(**config), file)
        operator.manifest = str(file)
        operator.dag.fileloc = str(tmp_path / "dag.py")
        submission = operator.submission(context(operator, run_id, try_number))
        made = submit_job(submission.client, submission.request.collection, submission.task, submission.request.body)
        submission.client.cancel_job(made.job["name"])
        return dict(made.job)

    return submit


def context(operator: VertexJobOperator, run_id: str, try_number: int) -> Any:
    # Cleared after each try.
    ti: Any = SimpleNamespace(dag_id="shop", run_id=run_id, task_id=operator.task_id)
    ti.map_index, ti.try_number, ti.max_tries = -1, try_number, try_number - 1
    run = SimpleNamespace(start_date=None, conf={}, run_after=None)
    date = datetime(2013, 6, 1, tzinfo=timezone.utc)
    return {"ti": ti, "dag_run": run, "params": {}, "logical_date": date, "task": operator}


def task(kind: type[VertexJobOperator], **arguments: Any) -> VertexJobOperator:
    group = {"group": "load"} if kind is KedroVertexCustomJobOperator else {}
    with DAG("shop", schedule=None):
        return kind(task_id="job", manifest="x", gcp_conn_id="local", scope_group_id="", **group, **arguments)


KINDS = (KedroVertexPipelineOperator, KedroVertexCustomJobOperator)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cleared_task_runs_what_its_run_began_with(submit: Any, kind: type[VertexJobOperator]) -> None:
    run = f"same-{kind.__name__}"
    operator = task(kind, same_spec=True)
    first = submit(operator, run, 1, image="shop/old:1")
    cleared = submit(operator, run, 2, image="shop/new:2")
    other = submit(operator, f"{run}-other", 1, image="shop/new:2")

    assert "shop/old:1" in json.dumps(first)
    assert cleared["name"] != first["name"]
    assert "shop/old:1" in json.dumps(cleared)
    assert "shop/new:2" not in json.dumps(cleared)
    assert cleared["labels"][MANIFEST_LABEL] == first["labels"][MANIFEST_LABEL]
    assert "shop/new:2" in json.dumps(other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_tells_what_it_was_made_of(submit: Any, kind: type[VertexJobOperator]) -> None:
    job = submit(task(kind), f"origin-{kind.__name__}", 1, image="europe-docker.pkg.dev/p/r/shop:1.0")
    told = summary(job, "url")

    assert told["images"] == ["europe-docker.pkg.dev/p/r/shop:1.0"]
    assert told["version"].startswith("2013-06-01T00.00.00.000Z-")
    assert job["labels"]["kedro-version"] == label_value(told["version"])
    assert job["labels"]["kedro-image"] == "shop-1-0"
    assert job["labels"]["airflow-run-key"] == told["run_key"]
    expected = small_manifest(image="europe-docker.pkg.dev/p/r/shop:1.0").digest
    assert told["manifest"] == job["labels"]["kedro-manifest"] == expected.removeprefix("sha256:")[:32]


def test_the_settings_of_the_dag_file_are_part_of_what_is_taken_again(submit: Any) -> None:
    operator = task(KedroVertexPipelineOperator, same_spec=True, run_config={"image": "shop/mine:1"})
    submit(operator, "settings", 1)
    operator.run_config = {"image": "shop/mine:2"}
    cleared = submit(operator, "settings", 2)

    assert "shop/mine:1" in json.dumps(cleared)
    assert "shop/mine:2" not in json.dumps(cleared)


def test_each_job_is_made_of_what_counts_now_unless_somebody_asks(submit: Any) -> None:
    operator = task(KedroVertexPipelineOperator)
    submit(operator, "now", 1, image="shop/old:1")
    assert "shop/new:2" in json.dumps(submit(operator, "now", 2, image="shop/new:2"))


def test_a_manifest_that_was_not_kept_is_told(submit: Any) -> None:
    submit(task(KedroVertexPipelineOperator), "unkept", 1, image="shop/lost:1")
    with pytest.raises(ConfigError, match=r"^same_spec: this run began with the manifest [0-9a-f]{32}, and gs://buck"):
        submit(task(KedroVertexPipelineOperator, same_spec=True), "unkept", 2, image="shop/new:2")


@pytest.mark.parametrize(("same_spec", "told"), [(True, "https://git.test/old"), (False, "https://git.test/new")])
def test_openlineage_is_told_of_the_manifest_that_the_job_was_made_of(
    submit: Any, tmp_path: Path, same_spec: bool, told: str
) -> None:
    operator = task(KedroVertexPipelineOperator, same_spec=same_spec)
    run = f"lineage-{same_spec}"
    submit(operator, run, 1, lineage={"repository": "https://git.test/old"})
    manifests.write(small_manifest(lineage={"repository": "https://git.test/new"}), tmp_path / "small.manifest.json")
    assert operator.task_nodes(context(operator, run, 1)).lineage.repository == told
