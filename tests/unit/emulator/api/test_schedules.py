"""ScheduleService: what it takes and refuses, over gRPC with Google's client and over REST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.api_core.exceptions import FailedPrecondition, NotFound
from google.cloud.aiplatform_v1 import ScheduleServiceClient

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.specs import PARENT, body, container_spec

JOB = body(container_spec({"a": []}))
NOTEBOOK = {"parent": PARENT}


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator(noop=Noop(0)) as emulator:
        yield emulator


def schedule(**fields: Any) -> dict[str, Any]:
    request = {"parent": PARENT, "pipelineJob": JOB}
    given = {"displayName": "daily", "cron": "0 4 * * *", "maxConcurrentRunCount": "1"}
    return {key: value for key, value in {**given, "createPipelineJobRequest": request, **fields}.items() if value}


def create(emulator: VertexEmulator, **fields: Any) -> requests.Response:
    return requests.post(f"{emulator.url}/v1/{PARENT}/schedules", json=schedule(**fields), timeout=60)


def test_the_life_of_a_schedule(emulator: VertexEmulator) -> None:
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        client = ScheduleServiceClient(transport=ScheduleServiceClient.get_transport_class("grpc")(channel=channel))
        name = create(emulator, cron="CRON_TZ=Europe/Warsaw */5 0-23/2 1,15 jan-mar mon").json()["name"]
        found = client.get_schedule(name=name)
        assert (found.state.name, found.display_name, found.start_time) == ("ACTIVE", "daily", found.create_time)
        assert found.create_pipeline_job_request.pipeline_job.display_name == JOB["displayName"]
        assert not found.next_run_time  # nothing is ever run

        client.pause_schedule(name=name)
        paused = client.get_schedule(name=name)
        assert (paused.state.name, bool(paused.last_pause_time)) == ("PAUSED", True)
        with pytest.raises(FailedPrecondition):
            client.pause_schedule(name=name)
        client.resume_schedule(name=name, catch_up=True)
        resumed = client.get_schedule(name=name)
        assert (resumed.state.name, resumed.catch_up) == ("ACTIVE", True)
        with pytest.raises(FailedPrecondition):
            client.resume_schedule(name=name)

        client.delete_schedule(name=name).result(timeout=60)
        for call in (client.get_schedule, client.delete_schedule, client.pause_schedule):
            with pytest.raises(NotFound):
                call(name=name)


def test_lists(emulator: VertexEmulator) -> None:
    for number in range(3):
        create(emulator, displayName=f"number {number}", endTime=f"2{number}00-01-01T00:00:00Z" if number else None)
    url = f"{emulator.url}/v1/{PARENT}/schedules"

    def names(**query: str) -> list[str]:
        answer = requests.get(url, params=query, timeout=60)
        assert answer.status_code == 200, answer.text
        return [each["displayName"] for each in answer.json().get("schedules", [])]

    assert names() == ["number 2", "number 1", "number 0"]
    assert names(orderBy="end_time") == ["number 0", "number 1", "number 2"]
    assert names(filter='display_name="number 1"') == ["number 1"]
    assert names(filter='state="ACTIVE" AND display_name:"*2"') == ["number 2"]
    assert names(filter='end_time<"2150-01-01T00:00:00Z"') == ["number 1"]
    assert len(names(filter="create_pipeline_job_request:*")) == 3
    assert names(filter="create_notebook_execution_job_request:*") == []
    assert names(filter='end_time>"2150-01-01T00:00:00Z" OR NOT end_time:*') == ["number 2", "number 0"]
    assert requests.get(url, params={"filter": "end_time:2030"}, timeout=60).status_code == 400
    first = requests.get(url, params={"pageSize": "2"}, timeout=60).json()
    assert names(pageToken=first["nextPageToken"]) == ["number 0"]
    assert requests.get(url, params={"filter": "cron:*"}, timeout=60).status_code == 400
    assert requests.get(url, params={"orderBy": "cron"}, timeout=60).status_code == 400


def test_an_end_that_has_passed_completes_it(emulator: VertexEmulator) -> None:
    name = create(emulator, startTime="2020-01-01T00:00:00Z", endTime="2020-02-01T00:00:00Z").json()["name"]
    assert requests.get(f"{emulator.url}/v1/{name}", timeout=60).json()["state"] == "COMPLETED"
    for verb in ("pause", "resume"):
        answer = requests.post(f"{emulator.url}/v1/{name}:{verb}", json={}, timeout=60)
        assert answer.json()["error"]["status"] == "FAILED_PRECONDITION"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"displayName": None}, "schedule.display_name"),
        ({"displayName": "x" * 129}, "schedule.display_name"),
        ({"cron": None}, "schedule.cron"),
        ({"cron": "0 0 4 * * *"}, "schedule.cron"),
        ({"cron": "0 24 * * *"}, "schedule.cron"),
        ({"cron": "0 4 * * */0"}, "schedule.cron"),
        ({"cron": "0 4-5-6 * * *"}, "schedule.cron"),
        ({"cron": "@daily"}, "schedule.cron"),
        ({"cron": "TZ=Europe/Warsav 0 4 * * *"}, "schedule.cron"),
        ({"maxConcurrentRunCount": None}, "schedule.max_concurrent_run_count"),
        ({"maxRunCount": "-1"}, "schedule.max_run_count"),
        ({"startTime": "2030-01-01T00:00:00Z", "endTime": "2030-01-01T00:00:00Z"}, "schedule.end_time"),
        ({"createPipelineJobRequest": None}, "schedule.create_pipeline_job_request"),
        ({"createPipelineJobRequest": {"pipelineJob": JOB}}, "schedule.create_pipeline_job_request.parent"),
        (
            {"createPipelineJobRequest": {"parent": PARENT, "pipelineJob": {"displayName": "x"}}},
            "pipeline_job.pipeline_spec",
        ),
    ],
)
def test_what_is_refused(emulator: VertexEmulator, fields: dict[str, Any], field: str) -> None:
    answer = create(emulator, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert field in [each["field"] for detail in error["details"] for each in detail.get("fieldViolations", [])], error
    assert requests.get(f"{emulator.url}/v1/{PARENT}/schedules", timeout=60).json() == {}


def test_what_is_not_there_says_so(emulator: VertexEmulator) -> None:
    notebook = {"createPipelineJobRequest": None, "createNotebookExecutionJobRequest": NOTEBOOK}
    assert create(emulator, **notebook).json()["error"]["status"] == "UNIMPLEMENTED"
    name = create(emulator).json()["name"]
    answer = requests.patch(f"{emulator.url}/v1/{name}", json={"displayName": "x"}, timeout=60)
    assert answer.json()["error"]["message"] == "ScheduleService.UpdateSchedule is not implemented by this emulator."


def test_schedules_outlive_the_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("data")
    with VertexEmulator(noop=Noop(0), data=data) as first:
        name = create(first).json()["name"]
    with VertexEmulator(noop=Noop(0), data=data) as again:
        assert requests.get(f"{again.url}/v1/{name}", timeout=60).json()["state"] == "ACTIVE"
