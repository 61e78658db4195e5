"""Faults, over real HTTP."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.engine.faults import MOST_FAULTS
from airflow_provider_kedro_vertex.emulator.executors.orphans import end_orphans
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError
from tests.unit.emulator.command import JOBS
from tests.unit.emulator.specs import PARENT, body, container_spec

PASS = container_spec({"a": []}, args={"a": ["-c", "pass"]})
SLEEP = ["-c", "import time; time.sleep(600)"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    with VertexEmulator({"image": tmp_path_factory.mktemp("project")}, max_parallel=2, grace=1) as emulator:
        yield emulator


@pytest.fixture
def emulator(served: VertexEmulator) -> Iterator[VertexEmulator]:
    yield served
    assert call(served, "POST", "/_emulator/reset").status_code == 200


def call(emulator: VertexEmulator, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, f"{emulator.url}{path}", timeout=120, **options)


def queue(emulator: VertexEmulator, *faults: dict[str, Any]) -> requests.Response:
    return call(emulator, "POST", "/_emulator/faults", json={"faults": list(faults)})


def create(emulator: VertexEmulator, job_id: str, spec: dict[str, Any] = PASS) -> requests.Response:
    return call(emulator, "POST", JOBS, params={"pipelineJobId": job_id}, json=body(spec))


def until(emulator: VertexEmulator, path: str, *states: str) -> Any:
    deadline = time.monotonic() + 60
    while True:
        job = call(emulator, "GET", path).json()
        if job["state"].rpartition("STATE_")[2] in states:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def test_a_status_strikes_as_often_as_it_says(emulator: VertexEmulator) -> None:
    fault = {"method": "CreatePipelineJob", "status": "RESOURCE_EXHAUSTED", "message": "quota", "count": 2}
    assert queue(emulator, fault).json() == {"faults": [fault]}
    answers = [create(emulator, "one") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].json()["error"] == {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}
    assert call(emulator, "GET", "/_emulator/faults").json() == {"faults": []}


def test_other_methods_are_not_struck(emulator: VertexEmulator) -> None:
    queue(emulator, {"method": "GetPipelineJob", "status": "INTERNAL"})
    assert create(emulator, "one").status_code == 200
    assert call(emulator, "GET", f"{JOBS}/one").status_code == 500
    assert call(emulator, "GET", f"{JOBS}/one").status_code == 200


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_response_leaves_its_effect(emulator: VertexEmulator, reset: bool) -> None:
    queue(emulator, {"method": "CreatePipelineJob", "lost_response": True, "reset": reset})
    if reset:
        with pytest.raises(requests.ConnectionError):
            create(emulator, "lost")
    else:
        assert create(emulator, "lost").status_code == 503
    assert create(emulator, "lost").status_code == 409
    assert until(emulator, f"{JOBS}/lost", "SUCCEEDED")


def test_a_reset_connection_leaves_no_effect_and_the_next_one_works(emulator: VertexEmulator) -> None:
    queue(emulator, {"method": "CreatePipelineJob", "reset": True})
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        create(emulator, "none")
    assert call(emulator, "GET", f"{JOBS}/none").status_code == 404


def test_a_delay_delays_and_the_others_do_not_wait(emulator: VertexEmulator) -> None:
    queue(emulator, {"method": "ListPipelineJobs", "delay": 600})
    with closing(http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=120)) as waiting:
        waiting.request("GET", JOBS)
        until_taken(emulator)
        begun = time.monotonic()
        queue(emulator, {"method": "ListPipelineJobs", "delay": 0.3})
        assert call(emulator, "GET", JOBS).status_code == 200
        assert time.monotonic() - begun >= 0.3
        waiting.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.sock.recv(1)


def until_taken(emulator: VertexEmulator) -> None:
    deadline = time.monotonic() + 60
    while call(emulator, "GET", "/_emulator/faults").json()["faults"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_log_entries_may_fail_too(emulator: VertexEmulator) -> None:
    queue(emulator, {"method": "ListLogEntries", "status": "PERMISSION_DENIED"})
    wanted = {"resourceNames": ["projects/demo-project"]}
    codes = [call(emulator, "POST", "/v2/entries:list", json=wanted).status_code for _ in range(2)]
    assert codes == [403, 200]


def test_a_preempted_task_is_tried_again_by_its_policy(emulator: VertexEmulator, tmp_path: Path) -> None:
    preempted = tmp_path / "preempted"
    args = {"a": ["-c", f"import os, time\nwhile not os.path.exists({str(preempted)!r}): time.sleep(0.02)"]}
    retry = {"a": {"retryPolicy": {"maxRetryCount": 1, "backoffDuration": "0.01s"}}}
    queue(emulator, {"task": "a", "preempt_after": 0.2})
    create(emulator, "spot", container_spec({"a": []}, args=args, task_fields=retry))
    deadline = time.monotonic() + 60
    failed: list[str] = []
    while not failed:
        assert time.monotonic() < deadline
        details = call(emulator, "GET", f"{JOBS}/spot").json().get("jobDetail", {}).get("taskDetails", [])
        containers = (one.get("executorDetail", {}).get("containerDetail", {}) for one in details)
        failed = [name for container in containers for name in container.get("failedMainJobs", [])]
    preempted.touch()
    job = until(emulator, f"{JOBS}/spot", "SUCCEEDED")
    (task,) = (one for one in job["jobDetail"]["taskDetails"] if one["taskName"] == "a")
    assert task["executorDetail"]["containerDetail"]["failedMainJobs"] == failed
    custom_job = call(emulator, "GET", f"/v1/{failed[0]}").json()
    assert (custom_job["state"], custom_job["error"]["code"]) == ("JOB_STATE_FAILED", 14)
    assert "preempted" in custom_job["error"]["message"]


def test_a_preempted_custom_job_may_say_that_it_is_not_started_again(emulator: VertexEmulator) -> None:
    container = {"imageUri": "image", "command": ["python", *SLEEP]}
    pool = {"replicaCount": 1, "machineSpec": {"machineType": "n1-standard-4"}, "containerSpec": container}
    data = {
        "displayName": "spot",
        "jobSpec": {"workerPoolSpecs": [pool], "scheduling": {"strategy": "SPOT", "disableRetries": True}},
    }
    queue(emulator, {"task": "spot", "preempt_after": 0})
    name = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=data).json()["name"]
    assert until(emulator, f"/v1/{name}", "FAILED")["error"]["code"] == 14


def test_after_a_reset_nothing_is_left(emulator: VertexEmulator, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    program = f"import os, time; open({str(marker)!r}, 'w').write(f'{{os.getpid()}}.'); time.sleep(600)"
    create(emulator, "long", container_spec({"a": []}, args={"a": ["-c", program]}))
    while not marker.exists() or not marker.read_text().endswith("."):
        time.sleep(0.02)
    queue(emulator, {"method": "GetPipelineJob", "status": "INTERNAL"})
    assert call(emulator, "POST", "/_emulator/reset").status_code == 200
    assert end_orphans(emulator.data / "work") == set()
    assert call(emulator, "GET", JOBS).json() == {}
    assert call(emulator, "GET", f"/v1/{PARENT}/customJobs").json() == {}
    assert call(emulator, "GET", "/_emulator/faults").json() == {"faults": []}
    assert list((emulator.data / "logs").iterdir()) == []
    assert create(emulator, "long").status_code == 200
    assert until(emulator, f"{JOBS}/long", "SUCCEEDED")


def test_faults_are_cleared(emulator: VertexEmulator) -> None:
    queue(emulator, {"method": "GetPipelineJob", "status": "INTERNAL"}, {"task": "a"})
    assert call(emulator, "DELETE", "/_emulator/faults").json() == {}
    assert call(emulator, "GET", "/_emulator/faults").json() == {"faults": []}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (5, "object"),
        ({}, 'either a \\"method\\" or a \\"task\\"'),
        ({"method": "GetPipelineJob", "task": "a"}, "either"),
        ({"method": "GetPipelineJob"}, "does nothing"),
        ({"method": "Nonsense", "reset": True}, "no method"),
        ({"method": ["GetPipelineJob"], "reset": True}, "must be a str"),
        ({"method": "GetPipelineJob", "nonsense": 1}, "nonsense"),
        ({"method": "GetPipelineJob", "preempt_after": 1}, "no field"),
        ({"method": "GetPipelineJob", "status": "NONE"}, "no status"),
        ({"method": "GetPipelineJob", "status": "INTERNAL", "reset": True}, "gives no status"),
        ({"method": "GetPipelineJob", "reset": 1}, "must be a bool"),
        ({"method": "GetPipelineJob", "delay": -1}, "between 0"),
        ({"method": "GetPipelineJob", "delay": 1e9}, "between 0"),
        ({"method": "GetPipelineJob", "reset": True, "count": 0}, "between 1"),
        ({"method": "GetPipelineJob", "reset": True, "count": True}, "must be a int"),
        ({"task": "a", "status": "INTERNAL"}, "no field"),
        ({"task": ""}, "empty"),
    ],
)
def test_a_wrong_fault_is_refused_and_none_is_taken(emulator: VertexEmulator, fault: Any, said: str) -> None:
    response = queue(emulator, {"task": "good"}, fault)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "faults[1]" in response.text
    assert said in response.text
    assert call(emulator, "GET", "/_emulator/faults").json() == {"faults": []}


@pytest.mark.parametrize("data", ["[]", "{}", '{"faults": 1}', '{"faults": [], "more": 1}', "nonsense"])
def test_another_shape_is_refused(emulator: VertexEmulator, data: str) -> None:
    assert call(emulator, "POST", "/_emulator/faults", data=data).status_code == 400


def test_the_queue_has_an_end(emulator: VertexEmulator) -> None:
    assert queue(emulator, *[{"task": "a"}] * MOST_FAULTS).status_code == 200
    assert queue(emulator, {"task": "a"}).status_code == 429


def test_faults_are_given_to_the_library_too(tmp_path: Path) -> None:
    faults = {"faults": [{"method": "ListPipelineJobs", "status": "UNAVAILABLE"}]}
    with VertexEmulator(faults=faults) as emulator:
        assert [call(emulator, "GET", JOBS).status_code for _ in range(2)] == [503, 200]
    with pytest.raises(ApiError, match="does nothing"):
        VertexEmulator(faults=json.loads('{"faults": [{"method": "GetPipelineJob"}]}'))
