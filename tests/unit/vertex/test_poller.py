"""The poll loop, against an emulator whose jobs do nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.core.errors import NotFoundError, UnavailableError
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.vertex import poller
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from airflow_provider_kedro_vertex.vertex.rest import RestSession
from tests.unit.jobs import body

LATER = "2999-01-01T00:00:00Z"


class CountingSession(RestSession):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__(AnonymousCredentials(), deadline=0.2)
        self.calls: Counter[str] = Counter()

    def _try(self, service: str, method: str, url: str, *rest: Any) -> requests.Response:
        self.calls["list" if url.endswith("/pipelineJobs") else "get"] += 1
        return super()._try(service, method, url, *rest)


class Counting(VertexClient):
    """Counts its calls."""

    def __init__(self, url: str) -> None:
        super().__init__("demo-project", "europe-west1", AnonymousCredentials(), Endpoints(url))
        self._rest = session = CountingSession()
        self.calls = session.calls


@pytest.fixture(scope="module")
def noop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    images = {"short": Noop(0.6), "lives": Noop(3600), "fails": Noop(0.6, 1)}
    with VertexEmulator(images=images, data=tmp_path_factory.mktemp("vertex")) as running:
        yield running


@pytest.fixture
def client(noop: VertexEmulator) -> Iterator[Counting]:
    yield Counting(noop.url)
    requests.post(f"{noop.url}/_emulator/reset", timeout=120).raise_for_status()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "READ_AGAIN", 60.0)


def create(client: Counting, number: int, image: str = "short") -> dict[str, Any]:
    made = body("")
    made["pipelineSpec"]["deploymentSpec"]["executors"]["exec-only"]["container"] = {"image": image}
    job = client.create_pipeline_job(f"poller-{number}", made)
    client.calls.clear()
    return job


async def wait(client: Counting, job: str, since: str | None = None, outage_limit: float = 60.0) -> list[poller.Event]:
    async def make_client() -> VertexClient:
        return client

    news = poller.watch("key", make_client, job, since=since, longest_pause=0.1, outage_limit=outage_limit, kind="kind")
    return [one async for one in news]


def waited(client: Counting, job: str, **arguments: Any) -> list[poller.Event]:
    async def run() -> list[poller.Event]:
        return await asyncio.wait_for(wait(client, job, **arguments), 120)

    return asyncio.run(run())


def fault(noop: VertexEmulator, **fault: Any) -> None:
    requests.post(f"{noop.url}/_emulator/faults", json={"faults": [fault]}, timeout=120).raise_for_status()


@pytest.mark.parametrize(("image", "state"), [("short", "SUCCEEDED"), ("fails", "FAILED")])
def test_a_wait_tells_of_nodes_and_ends_with_the_job(
    client: Counting, monkeypatch: pytest.MonkeyPatch, image: str, state: str
) -> None:
    monkeypatch.setattr(poller, "READ_AGAIN", 0.0)  # else one look, before the node runs, may be the only one
    job = create(client, 1, image)

    news = waited(client, job["name"], since=job["updateTime"])

    assert news[-1] == poller.JobEnded(f"PIPELINE_STATE_{state}")
    assert "RUNNING" in [one.tasks["only"].state for one in news if isinstance(one, poller.NodesChanged)]
    assert not poller._POLLERS


def test_many_wait_with_the_calls_of_one(client: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "READS", 5)
    jobs = [create(client, number) for number in range(40)]
    started = time.monotonic()

    async def all_of_them() -> list[list[poller.Event]]:
        return await asyncio.gather(*(wait(client, job["name"], job["updateTime"]) for job in jobs))

    news = asyncio.run(all_of_them())

    assert {one[-1] for one in news} == {poller.JobEnded("PIPELINE_STATE_SUCCEEDED")}
    # However long it takes: the 5 reads that were saved up and 5 in a minute, and a list for each pause of 0.1 s.
    seconds = time.monotonic() - started
    assert client.calls["get"] <= 5 + seconds * 5 / 60
    assert client.calls["list"] <= 1 + seconds / 0.1
    assert not poller._POLLERS


def test_a_job_that_had_ended_before_is_found_by_its_last_update(client: Counting, noop: VertexEmulator) -> None:
    job = create(client, 1)
    while client.get_job(job["name"])["state"] != "PIPELINE_STATE_SUCCEEDED":
        pass
    client.calls.clear()

    assert waited(client, job["name"], since=job["updateTime"])[-1] == poller.JobEnded("PIPELINE_STATE_SUCCEEDED")


def test_an_end_that_no_list_tells_is_found_by_the_sweep(client: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "SWEEP", 0.2)
    monkeypatch.setattr(poller, "READS", 0)
    job = create(client, 1)

    assert waited(client, job["name"], since=LATER)[-1] == poller.JobEnded("PIPELINE_STATE_SUCCEEDED")


def test_who_may_not_list_reads_each_job(
    client: Counting, noop: VertexEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "READ_AGAIN", 0.1)
    fault(noop, method="ListPipelineJobs", status="PERMISSION_DENIED")
    job = create(client, 1)

    assert waited(client, job["name"], since=job["updateTime"])[-1] == poller.JobEnded("PIPELINE_STATE_SUCCEEDED")
    assert client.calls["list"] == 1


def test_a_deleted_job_ends_the_wait(client: Counting) -> None:
    with pytest.raises(NotFoundError):
        waited(client, f"{client.parent}/pipelineJobs/none")


def test_an_outage_is_told_once_and_ridden_out(client: Counting, noop: VertexEmulator) -> None:
    job = create(client, 1)
    fault(noop, method="ListPipelineJobs", reset=True, count=3)

    news = waited(client, job["name"], since=job["updateTime"])

    assert [type(one) for one in news].count(poller.Unreachable) == 1
    assert news[-1] == poller.JobEnded("PIPELINE_STATE_SUCCEEDED")


def test_an_outage_longer_than_the_limit_ends_the_wait(client: Counting, noop: VertexEmulator) -> None:
    job = create(client, 1, "lives")
    fault(noop, method="ListPipelineJobs", status="UNAVAILABLE", count=1000)

    with pytest.raises(UnavailableError):
        waited(client, job["name"], since=job["updateTime"], outage_limit=0.5)


def test_the_loop_is_quick_after_a_start_and_near_the_usual_end() -> None:
    is_soon = poller._Poller._is_soon

    assert is_soon(10, None)
    assert not is_soon(300, None)
    assert is_soon(950, 1000)
    assert is_soon(1050, 1000)
    assert not is_soon(500, 1000)
