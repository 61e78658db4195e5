"""What Vertex AI's REST surface for CustomJobs does. Nothing here knows whether it is the real one."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from .conftest import IMAGE, Vertex, in_order

FINAL = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
SLEEP = "import time; time.sleep(600)"


def body(program: str, *, env: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "displayName": "contract test",
        "labels": {"contract-test": "yes"},
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n2-standard-4"},
                    "replicaCount": 1,
                    "containerSpec": {
                        "imageUri": IMAGE,
                        "command": ["python"],
                        "args": ["-c", program],
                        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
                    },
                }
            ],
            **fields,
        },
    }


def create(vertex: Vertex, data: dict[str, Any]) -> requests.Response:
    response = vertex.call("POST", f"{vertex.parent}/customJobs", json=data)
    if response.status_code == 200:
        vertex.made.append(response.json()["name"])
    return response


def created(vertex: Vertex, data: dict[str, Any]) -> str:
    response = create(vertex, data)
    assert response.status_code == 200, response.text
    return str(response.json()["name"])


def test_a_job_runs_with_its_variables_filled(vertex: Vertex) -> None:
    program = "import os; assert os.environ['B'] == 'one two $(NONE) $(A)', os.environ['B']"
    data = body(program, env={"A": "one", "B": "$(A) two $(NONE) $$(A)"})
    response = create(vertex, data)
    job = response.json()
    assert response.status_code == 200, response.text
    assert job["state"] == "JOB_STATE_PENDING"
    assert job["createTime"] == job["updateTime"]
    assert job["name"].rpartition("/")[2].isdecimal()
    job = vertex.until(job["name"], *FINAL)
    assert job["state"] == "JOB_STATE_SUCCEEDED", job.get("error")
    assert in_order(job["createTime"], job["startTime"], job["endTime"], job["updateTime"])
    assert job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"] == ["-c", program]


def test_the_output_directory_is_told_to_the_container(vertex: Vertex) -> None:
    prefix = f"gs://{vertex.bucket}/contract"
    program = f"import os; assert os.environ['AIP_MODEL_DIR'].rstrip('/') == '{prefix}/model'"
    name = created(vertex, body(program, baseOutputDirectory={"outputUriPrefix": prefix}))
    assert vertex.until(name, *FINAL)["state"] == "JOB_STATE_SUCCEEDED"


def test_a_failed_container_fails_the_job(vertex: Vertex) -> None:
    job = vertex.until(created(vertex, body("raise SystemExit(3)")), *FINAL)
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["error"]["code"]
    assert "non-zero status of 3" in job["error"]["message"]


def test_a_job_over_its_timeout_is_cancelled(vertex: Vertex) -> None:
    job = vertex.until(created(vertex, body(SLEEP, scheduling={"timeout": "1s"})), *FINAL)
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_CANCELLED", 1)


def test_cancel_and_then_delete(vertex: Vertex) -> None:
    name = created(vertex, body(SLEEP))
    vertex.until(name, "JOB_STATE_RUNNING")
    refused = vertex.call("DELETE", name)
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    response = vertex.call("POST", f"{name}:cancel", json={})
    assert (response.status_code, response.json()) == (200, {})
    job = vertex.until(name, *FINAL)
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_CANCELLED", 1)
    again = vertex.call("POST", f"{name}:cancel", json={})
    assert (again.status_code, again.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    operation = vertex.call("DELETE", name).json()
    assert "DeleteOperationMetadata" in operation["metadata"]["@type"]
    vertex.done(operation)
    assert vertex.call("GET", name).status_code == 404


def test_jobs_are_listed_by_label_and_state(vertex: Vertex) -> None:
    data = body("pass")
    data["labels"]["listed"] = f"at-{time.time_ns()}"
    names = {created(vertex, data) for _ in range(3)}
    for name in names:
        vertex.until(name, *FINAL)
    found: list[str] = []
    params = {"filter": f'labels.listed={data["labels"]["listed"]} AND state="JOB_STATE_SUCCEEDED"', "pageSize": 2}
    while True:
        page = vertex.call("GET", f"{vertex.parent}/customJobs", params=params).json()
        found += [job["name"] for job in page.get("customJobs", [])]
        if "nextPageToken" not in page:
            break
        params["pageToken"] = page["nextPageToken"]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize("call", [("GET", ""), ("DELETE", ""), ("POST", ":cancel")])
def test_a_job_that_is_not_there(vertex: Vertex, call: tuple[str, str]) -> None:
    response = vertex.call(call[0], f"{vertex.parent}/customJobs/1234567890{call[1]}")
    assert (response.status_code, response.json()["error"]["status"]) == (404, "NOT_FOUND")


POOL = body("pass")["jobSpec"]["workerPoolSpecs"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"displayName": ""},
        {"displayName": "x" * 129},
        {"labels": {"Upper": "x"}},
        {"nonsense": 1},
        {"jobSpec": {}},
        {"jobSpec": {"workerPoolSpecs": []}},
        {"jobSpec": {"workerPoolSpecs": [{**POOL, "replicaCount": 2}]}},
        {"jobSpec": {"workerPoolSpecs": [{**POOL, "machineSpec": {}}]}},
        {"jobSpec": {"workerPoolSpecs": [{**POOL, "containerSpec": {}}]}},
        {"jobSpec": {"workerPoolSpecs": [{**POOL, "containerSpec": {"imageUri": IMAGE, "env": [{"name": "a b"}]}}]}},
        {"jobSpec": {"workerPoolSpecs": [POOL], "scheduling": {"timeout": "soon"}}},
        {"jobSpec": {"workerPoolSpecs": [POOL], "baseOutputDirectory": {"outputUriPrefix": "/tmp/x"}}},
        {"jobSpec": {"workerPoolSpecs": [POOL], "serviceAccount": "nobody"}},
    ],
)
def test_a_wrong_job_is_refused(vertex: Vertex, change: dict[str, Any]) -> None:
    response = create(vertex, {**body("pass"), **change})
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT"), response.text
