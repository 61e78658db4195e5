"""Many PipelineJobs cancelled or deleted in one request."""

from __future__ import annotations

import requests

from .conftest import Vertex

PASS = ["python", "-c", "pass"]
SLEEP = ["python", "-c", "import time; time.sleep(600)"]


def batch(vertex: Vertex, action: str, names: list[str]) -> requests.Response:
    return vertex.call("POST", f"{vertex.parent}/pipelineJobs:{action}", json={"names": names})


def test_a_batch_is_cancelled_and_then_deleted(vertex: Vertex) -> None:
    ended, running = vertex.created(vertex.body(PASS)), vertex.created(vertex.body(SLEEP))
    vertex.ended(ended)
    vertex.until(vertex.name(running), "PIPELINE_STATE_RUNNING")
    names = [vertex.name(ended), vertex.name(running)]
    refused = batch(vertex, "batchDelete", names)
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    response = batch(vertex, "batchCancel", names)
    assert response.status_code == 200, response.text
    operation = vertex.done(response.json())
    assert "BatchCancelPipelineJobsOperationMetadata" in operation["metadata"]["@type"]
    assert "BatchCancelPipelineJobsResponse" in operation["response"]["@type"]
    states = [vertex.get(job_id)["state"] for job_id in (ended, running)]
    assert states == ["PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_CANCELLED"]
    operation = vertex.done(batch(vertex, "batchDelete", names).json())
    assert "BatchDeletePipelineJobsResponse" in operation["response"]["@type"]
    assert [vertex.call("GET", name).status_code for name in names] == [404, 404]


def test_one_job_that_is_not_there_stops_the_whole_batch(vertex: Vertex) -> None:
    running = vertex.created(vertex.body(SLEEP))
    vertex.until(vertex.name(running), "PIPELINE_STATE_RUNNING")
    names = [vertex.name(running), vertex.name("contract-nowhere")]
    for action in ("batchCancel", "batchDelete"):
        response = batch(vertex, action, names)
        assert (response.status_code, response.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert vertex.get(running)["state"] == "PIPELINE_STATE_RUNNING"
    vertex.done(batch(vertex, "batchCancel", names[:1]).json())


def test_a_wrong_batch_is_refused(vertex: Vertex) -> None:
    name = vertex.name("contract-x")
    for names in ([], [name] * 33, ["nonsense"], [name.replace(vertex.region, "us-east4")]):
        response = batch(vertex, "batchCancel", names)
        assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
