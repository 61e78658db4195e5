"""What Vertex AI's REST surface for PipelineJobs does. Nothing here knows whether it is the real one."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
import requests

from .conftest import Vertex, in_order

PASS = ["python", "-c", "pass"]
SLEEP = ["python", "-c", "import time; time.sleep(600)"]


def error(response: requests.Response) -> dict[str, Any]:
    found = dict(response.json()["error"])
    assert found["code"] == response.status_code
    assert found["message"]
    return found


def tasks(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {task["taskName"]: task for task in job["jobDetail"]["taskDetails"]}


@pytest.fixture(scope="module")
def done(vertex: Vertex) -> str:
    """A job that has succeeded."""
    text = "a \"b\" 'c' \n \u00e9 {{$.nonsense}} $HOME"
    # In base 64, since what stands in the command itself would be read as a placeholder.
    wanted = base64.b64encode(text.encode()).decode()
    check = f"import base64, sys; assert sys.argv[1] == base64.b64decode('{wanted}').decode(), sys.argv"
    argv = ["python", "-c", check, "{{$.inputs.parameters['text']}}"]
    job_id = vertex.created(vertex.body(argv, argv, parameters={"text": text}))
    assert vertex.ended(job_id)["state"] == "PIPELINE_STATE_SUCCEEDED"
    return job_id


@pytest.fixture(scope="module")
def running(vertex: Vertex) -> str:
    """A job that runs for a long time."""
    job_id = vertex.created(vertex.body(SLEEP, labels={"contract-test": "yes", "running": "yes"}))
    vertex.until(vertex.name(job_id), "PIPELINE_STATE_RUNNING")
    return job_id


def test_create_answers_with_a_pending_job(vertex: Vertex) -> None:
    job_id = vertex.job_id()
    response = vertex.create(vertex.body(PASS), job_id)
    job = response.json()
    assert response.status_code == 200
    assert job["name"].endswith(f"/pipelineJobs/{job_id}")
    assert job["state"] == "PIPELINE_STATE_PENDING"
    assert job["displayName"] == "contract test"
    assert job["labels"]["contract-test"] == "yes"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", job["createTime"])
    assert "jobDetail" not in job
    vertex.ended(job_id)


def test_without_an_id_the_server_makes_one(vertex: Vertex) -> None:
    response = vertex.create(vertex.body(PASS))
    assert response.status_code == 200
    job_id = response.json()["name"].rpartition("/")[2]
    vertex.made.append(vertex.name(job_id))
    assert re.fullmatch(r"[a-z0-9][-a-z0-9]*", job_id)
    vertex.ended(job_id)


def test_a_finished_job_tells_what_became_of_each_task(vertex: Vertex, done: str) -> None:
    job = vertex.get(done)
    assert in_order(job["createTime"], job["startTime"], job["endTime"], job["updateTime"])
    for name in ("task-0", "task-1"):
        task = tasks(job)[name]
        assert task["state"] == "SUCCEEDED"
        assert in_order(task["createTime"], task["startTime"], task["endTime"])
        assert int(task["taskId"])
        assert re.search(r"/customJobs/\d+$", task["executorDetail"]["containerDetail"]["mainJob"])
    assert in_order(tasks(job)["task-0"]["endTime"], tasks(job)["task-1"]["startTime"])
    assert job["pipelineSpec"]["pipelineInfo"]["name"] == "contract-test"


def test_a_failed_task_fails_the_job(vertex: Vertex) -> None:
    job = vertex.ended(vertex.created(vertex.body(["python", "-c", "raise SystemExit(3)"], PASS)))
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert job["error"]["code"] == 9
    assert "task-0" in job["error"]["message"]
    assert tasks(job)["task-0"]["state"] == "FAILED"
    assert tasks(job)["task-0"]["error"]["message"]
    assert tasks(job).get("task-1", {"state": "NOT_TRIGGERED"})["state"] == "NOT_TRIGGERED"


def test_an_id_is_taken_once(vertex: Vertex, done: str) -> None:
    response = vertex.create(vertex.body(PASS), done)
    assert (response.status_code, error(response)["status"]) == (409, "ALREADY_EXISTS")
    assert vertex.get(done)["state"] == "PIPELINE_STATE_SUCCEEDED"


@pytest.mark.parametrize("call", [("GET", ""), ("DELETE", ""), ("POST", ":cancel")])
def test_a_job_that_is_not_there(vertex: Vertex, call: tuple[str, str]) -> None:
    response = vertex.call(call[0], f"{vertex.name('contract-nowhere')}{call[1]}")
    assert (response.status_code, error(response)["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "change",
    [
        {"displayName": 5},
        {"displayName": "x" * 129},
        {"nonsense": 1},
        {"labels": {"Upper": "x"}},
        {"labels": {"a": "x y"}},
        {"labels": {"a": "x" * 65}},
        {"pipelineSpec": {}},
        {"pipelineSpec": "text"},
        {"runtimeConfig": {"gcsOutputDirectory": "gs://bucket/x", "nonsense": 1}},
        {"runtimeConfig": {"gcsOutputDirectory": "gs://bucket/x", "parameterValues": {"unknown": 1}}},
        {"runtimeConfig": {"gcsOutputDirectory": "gs://bucket/x", "failurePolicy": "NONSENSE"}},
        {"runtimeConfig": {"gcsOutputDirectory": "/tmp/x"}},
        {"runtimeConfig": {}},
    ],
)
def test_a_wrong_job_is_refused(vertex: Vertex, change: dict[str, Any]) -> None:
    job_id = vertex.job_id()
    response = vertex.create({**vertex.body(PASS), **change}, job_id)
    assert (response.status_code, error(response)["status"]) == (400, "INVALID_ARGUMENT")
    assert vertex.call("GET", vertex.name(job_id)).status_code == 404


def test_a_fault_in_the_json_names_its_field(vertex: Vertex) -> None:
    response = vertex.create({**vertex.body(PASS), "runtimeConfig": {"nonsense": 1}}, vertex.job_id())
    violations = [v for detail in error(response)["details"] for v in detail.get("fieldViolations", [])]
    assert [v["field"] for v in violations] == ["pipeline_job.runtime_config"]
    assert "nonsense" in violations[0]["description"]


def test_a_required_parameter_must_be_given(vertex: Vertex) -> None:
    body = vertex.body(PASS, parameters={"text": "x"})
    del body["runtimeConfig"]["parameterValues"]["text"]
    response = vertex.create(body, vertex.job_id())
    assert (response.status_code, error(response)["status"]) == (400, "INVALID_ARGUMENT")
    assert "text" in error(response)["message"]


@pytest.mark.parametrize("job_id", ["Upper", "under_score", "1digit", "x" * 128])
def test_a_wrong_id_is_refused(vertex: Vertex, job_id: str) -> None:
    response = vertex.create(vertex.body(PASS), job_id)
    assert (response.status_code, error(response)["status"]) == (400, "INVALID_ARGUMENT")


def listed(vertex: Vertex, **params: Any) -> dict[str, Any]:
    response = vertex.call("GET", f"{vertex.parent}/pipelineJobs", params=params)
    assert response.status_code == 200, response.text
    return dict(response.json())


def ids(page: dict[str, Any]) -> list[str]:
    return [job["name"].rpartition("/")[2] for job in page.get("pipelineJobs", [])]


def test_lists_leave_the_details_out(vertex: Vertex, done: str) -> None:
    page = listed(vertex, filter=f'pipeline_job_user_id="{done}"')
    assert ids(page) == [done]
    (job,) = page["pipelineJobs"]
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert "jobDetail" not in job


def test_lists_are_filtered(vertex: Vertex, done: str, running: str) -> None:
    assert running in ids(listed(vertex, filter='labels.running="yes" AND state="PIPELINE_STATE_RUNNING"'))
    assert done not in ids(listed(vertex, filter="labels.running=yes"))
    assert done not in ids(listed(vertex, filter='state!="PIPELINE_STATE_SUCCEEDED"'))
    created = vertex.get(done)["createTime"]
    assert done in ids(
        listed(vertex, filter=f'create_time>="{created}" AND pipeline_name="contract-test"', orderBy="create_time")
    )


def test_lists_come_in_pages(vertex: Vertex, done: str, running: str) -> None:
    everything, token = [], ""
    while True:
        page = listed(vertex, filter="labels.contract-test=yes", pageSize=2, orderBy="create_time", pageToken=token)
        everything += ids(page)
        assert len(ids(page)) <= 2
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert len(everything) == len(set(everything))
    assert {done, running} <= set(everything)


def test_a_mask_leaves_only_its_fields(vertex: Vertex, done: str) -> None:
    page = listed(vertex, filter=f'pipeline_job_user_id="{done}"', readMask="name,state")
    assert [sorted(job) for job in page["pipelineJobs"]] == [["name", "state"]]


def test_a_mask_reaches_into_the_spec(vertex: Vertex, done: str) -> None:
    mask = "name,pipelineSpec.pipelineInfo,jobDetail.pipelineContext"
    (job,) = listed(vertex, filter=f'pipeline_job_user_id="{done}"', readMask=mask)["pipelineJobs"]
    assert job["pipelineSpec"] == {"pipelineInfo": {"name": "contract-test"}}
    assert sorted(job["jobDetail"]) == ["pipelineContext"]


@pytest.mark.parametrize(
    "params",
    [
        {"filter": "nonsense=1"},
        {"filter": "state="},
        {"orderBy": "nonsense"},
        {"pageToken": "nonsense"},
        {"nonsense": "1"},
    ],
)
def test_a_wrong_list_is_refused(vertex: Vertex, params: dict[str, str]) -> None:
    response = vertex.call("GET", f"{vertex.parent}/pipelineJobs", params=params)
    assert (response.status_code, error(response)["status"]) == (400, "INVALID_ARGUMENT")


def test_a_running_job_cannot_be_deleted(vertex: Vertex, running: str) -> None:
    response = vertex.call("DELETE", vertex.name(running))
    assert (response.status_code, error(response)["status"]) == (400, "FAILED_PRECONDITION")


def test_cancel_ends_a_job_and_only_once(vertex: Vertex) -> None:
    job_id = vertex.created(vertex.body(SLEEP, PASS))
    vertex.until(vertex.name(job_id), "PIPELINE_STATE_RUNNING")
    response = vertex.call("POST", f"{vertex.name(job_id)}:cancel", json={})
    assert (response.status_code, response.json()) == (200, {})
    job = vertex.ended(job_id)
    assert (job["state"], job["error"]["code"]) == ("PIPELINE_STATE_CANCELLED", 1)
    again = vertex.call("POST", f"{vertex.name(job_id)}:cancel", json={})
    assert (again.status_code, error(again)["status"]) == (400, "FAILED_PRECONDITION")


def test_delete_gives_an_operation_and_the_job_is_gone(vertex: Vertex) -> None:
    job_id = vertex.created(vertex.body(PASS))
    vertex.ended(job_id)
    response = vertex.call("DELETE", vertex.name(job_id))
    operation = response.json()
    assert response.status_code == 200, response.text
    assert "DeleteOperationMetadata" in operation["metadata"]["@type"]
    vertex.done(operation)
    assert vertex.call("GET", operation["name"]).json()["name"] == operation["name"]
    assert vertex.call("GET", vertex.name(job_id)).status_code == 404
