"""Cleaning up: what ended long ago goes, whatever may be needed stays."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.compat import DAG, AirflowFailException
from airflow_provider_kedro_vertex.core.jobs import retention
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.operators import KedroVertexCleanupOperator
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from airflow_provider_kedro_vertex.vertex.retention import clean
from tests.unit.conftest import small_manifest
from tests.unit.jobs import body

WEEK = 7 * 24 * 3600
PROJECT = "Small Project"
LATER = timedelta(days=8)
LOG = logging.getLogger(__name__)


class Runs:
    """Runs with jobs on the Vertex AI emulator and data in the storage emulator, under a root of their own."""

    def __init__(self, client: VertexClient, root: str) -> None:
        self.client = client
        self.root = root
        self.started: list[str] = []

    def make(self, run_key: str, *states: str, project: str = "small-project") -> None:
        for name in ("a b/c.bin", "second.bin"):
            self.client.write_object(f"{self.root}/kedro-vertexai-temp/{run_key}/{name}", b"x" * 10)
        labels = {"airflow-run-key": run_key, "kedro-project": project}
        code = {"ended": "pass", "failed": "raise SystemExit(1)", "running": "import time; time.sleep(600)"}
        for number, state in enumerate(states):
            job = self.client.create_pipeline_job(f"{run_key}-{number}", body(code[state], labels))
            if state == "running":
                self.started.append(job["name"])
                continue
            deadline = time.monotonic() + 60
            while not is_over(self.client.get_job(job["name"])["state"]):
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def left(self) -> set[str]:
        """The run keys with data."""
        return {item["name"].split("/")[-2 if "/c.bin" not in item["name"] else -3] for item in self._objects()}

    def _objects(self) -> Iterator[dict[str, Any]]:
        return self.client.list_objects(self.root)

    def clean(self, delete: bool, after: timedelta = LATER) -> Any:
        now = datetime.now(timezone.utc) + after
        return clean(self.client, self.root, PROJECT, WEEK, now, delete, LOG)


@pytest.fixture
def runs(vertex: VertexEmulator, storage: str, request: pytest.FixtureRequest) -> Iterator[Runs]:
    endpoints = Endpoints(vertex=vertex.url, storage=storage)
    client = VertexClient("demo-project", "europe-west1", AnonymousCredentials(), endpoints, deadline=20.0)
    made = Runs(client, f"gs://bucket/{request.node.name}")
    yield made
    for name in made.started:
        client.cancel_job(name)


def test_what_ended_long_ago_goes_and_the_rest_stays(runs: Runs) -> None:
    runs.make("old-success", "ended")
    runs.make("old-failure", "failed", "failed")
    runs.make("old-and-goes-on", "failed", "running")
    runs.make("of-another", "ended", project="another")
    runs.make("without-a-job")
    everything = runs.left()
    assert len(everything) == 5

    told = runs.clean(delete=False)
    assert (told.runs, told.objects, told.size) == (2, 4, 40)
    assert told.kept == {"running": 1, "another project": 1, "unknown": 1}
    assert runs.left() == everything

    assert runs.clean(delete=True, after=timedelta(days=6)).kept == {"recent": 5}
    assert runs.left() == everything

    done = runs.clean(delete=True)
    assert (done.runs, done.objects, done.size, done.kept) == (2, 4, 40, told.kept)
    assert runs.left() == {"old-and-goes-on", "of-another", "without-a-job"}
    assert runs.clean(delete=True).runs == 0


def test_an_empty_root_is_fine(runs: Runs) -> None:
    done = runs.clean(delete=True)
    assert (done.runs, done.objects, done.kept) == (0, 0, {})


def test_many_objects_come_page_by_page(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.make("paged", "ended")
    pages = runs.client._object_pages

    def one_by_one(url: str, query: Any) -> Any:
        return pages(url, {**query, "maxResults": "1"})

    monkeypatch.setattr(runs.client, "_object_pages", one_by_one)
    assert runs.clean(delete=True).objects == 2


def result(deleted: bool, runs: int, **kept: int) -> dict[str, Any]:
    return {"deleted": deleted, "runs": runs, "objects": 2 * runs, "bytes": 20 * runs, "kept": kept}


@pytest.mark.parametrize(
    ("config", "given", "expected"),
    [
        ({}, {}, result(False, 0, recent=1)),
        ({"ttl": 1}, {"delete": "False"}, result(False, 1)),
        ({}, {"run_config": {"ttl": 1}, "delete": "True"}, result(True, 1)),
        ({"ttl": 1, "keep_intermediate": True}, {"delete": True}, result(True, 0)),
    ],
    ids=["a week by default", "only tells", "deletes", "keeps"],
)
def test_the_operator(
    runs: Runs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
    given: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    run_key = f"operated-{uuid.uuid4().hex[:8]}"
    runs.root = f"gs://bucket/{run_key}"
    runs.make(run_key, "ended")
    manifests.write(small_manifest(root=runs.root, **config), tmp_path / "small.json")
    extra = {"api_endpoint": runs.client.endpoint, "storage_endpoint": runs.client._storage, "is_anonymous": True}
    monkeypatch.setenv(
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps({"conn_type": "google_cloud_platform", "extra": extra})
    )
    time.sleep(1.1)  # the ttl of a second is over
    with DAG("maintenance", schedule=None):
        operator = KedroVertexCleanupOperator(task_id="clean", manifest=str(tmp_path / "small.json"), **given)
    assert operator.execute({}) == expected
    assert runs.left() == (set() if expected["runs"] and expected["deleted"] else {run_key})


def test_a_word_that_is_neither_true_nor_false_is_refused() -> None:
    operator = KedroVertexCleanupOperator(task_id="clean", manifest="none.json", delete="yes")
    with pytest.raises(AirflowFailException, match=r"^delete must be true or false, not 'yes'\.$"):
        operator.execute({})


@given(
    states=st.lists(st.sampled_from(["RUNNING", "PENDING", "CANCELLING", "PAUSED", "SUCCEEDED", "FAILED"]), max_size=4),
    ages=st.lists(st.integers(0, 2 * WEEK), min_size=4, max_size=4),
)
def test_never_a_running_one(states: list[str], ages: list[int]) -> None:
    now = datetime.now(timezone.utc)
    jobs = [
        {
            "state": f"PIPELINE_STATE_{state}",
            "labels": {"kedro-project": "small-project"},
            "endTime": (now - timedelta(seconds=age)).isoformat().replace("+00:00", "Z"),
        }
        for state, age in zip(states, ages, strict=False)
    ]
    goes = retention.kept_because(jobs, PROJECT, now, WEEK) is None
    over = all(state in ("SUCCEEDED", "FAILED") for state in states)
    assert goes == (bool(jobs) and over and all(age > WEEK for age in ages[: len(jobs)]))
