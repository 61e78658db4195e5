"""What is told of a job: its summary, its failure and who has to act."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs import failure, outcome
from airflow_provider_kedro_vertex.core.jobs.summary import summary

URL = "https://console/job"
EXIT = "The replica workerpool0-0 exited with a non-zero status of {}. To find out more about why your job exited .."


GCP_RESOURCES = json.dumps(
    {
        "resources": [
            {"resourceType": "CustomJob", "resourceUri": "https://r-api/v1/projects/p/locations/r/customJobs/9"}
        ]
    }
)


def task(
    name: str, state: str = "SUCCEEDED", code: int | None = None, message: str = "", **more: Any
) -> dict[str, Any]:
    error = {} if code is None else {"error": {"code": code, "message": message}}
    detail = {"containerDetail": {"mainJob": f"projects/p/locations/r/customJobs/{len(name)}"}}
    times = {"startTime": "2013-06-01T00:00:00.123456789Z", "endTime": "2013-06-01T00:01:30Z"}
    told = {"taskName": name, "parentTaskId": "1", "state": state, "executorDetail": detail}
    return {**told, **times, **error, **more}


def pipeline(*tasks: dict[str, Any], state: str = "FAILED", **more: Any) -> dict[str, Any]:
    root = {"taskName": "root", "state": state}
    name = "projects/p/locations/r/pipelineJobs/job-1"
    return {"name": name, "state": f"PIPELINE_STATE_{state}", "jobDetail": {"taskDetails": [root, *tasks]}, **more}


def custom(state: str = "FAILED", code: int = 3, message: str = EXIT.format(1)) -> dict[str, Any]:
    error = {"error": {"code": code, "message": message}} if state == "FAILED" else {}
    return {
        "name": "projects/p/locations/r/customJobs/7",
        "displayName": "train",
        "state": f"JOB_STATE_{state}",
        **error,
    }


def test_the_summary_is_small() -> None:
    job = pipeline(task("load"), task("train", "RUNNING", endTime=None), state="RUNNING")

    assert summary(job, URL) == {
        "name": "projects/p/locations/r/pipelineJobs/job-1",
        "id": "job-1",
        "state": "RUNNING",
        "url": URL,
        "groups": {"load": {"state": "SUCCEEDED", "seconds": 89.9}, "train": {"state": "RUNNING", "seconds": None}},
    }


@pytest.mark.parametrize(
    ("detail", "number"),
    [
        ({"executorDetail": {"customJobDetail": {"job": "projects/p/locations/r/customJobs/8"}}}, "8"),
        ({"execution": {"metadata": {"output:gcp_resources": GCP_RESOURCES}}}, "9"),
        ({"execution": {"metadata": {"output:gcp_resources": "{"}}}, "5"),
        ({"execution": {"metadata": {"output:gcp_resources": '{"resources": []}'}}}, "5"),
        ({"executorDetail": {"customJobDetail": {}}}, None),
    ],
)
def test_the_log_of_a_launched_custom_job_is_its_own(detail: dict[str, Any], number: str | None) -> None:
    (found,) = outcome.tasks(pipeline(task("train", **detail)))
    assert found.number == number


def test_a_custom_job_is_one_group() -> None:
    assert summary(custom("SUCCEEDED"), URL)["groups"] == {"train": {"state": "SUCCEEDED", "seconds": None}}
    assert outcome.task_states(custom("RUNNING")) == {"train": "RUNNING"}


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (3, EXIT.format(1), "user code"),
        (9, EXIT.format(137), "memory"),
        (3, EXIT.format(2), "request"),
        (3, EXIT.format(3), "missing input"),
        (3, EXIT.format(4), "infrastructure"),
        (3, EXIT.format(143), "infrastructure"),
        (3, "The image is not known.", "request"),
        (7, "Permission denied on service account.", "permission"),
        (8, "The following quotas are exceeded: ..", "quota"),
        (13, "Internal error.", "infrastructure"),
        (14, "The machine was preempted.", "infrastructure"),
    ],
)
def test_a_failure_has_the_class_of_who_must_act(code: int, message: str, expected: str) -> None:
    assert outcome.failure_class(pipeline(task("train", "FAILED", code, message))) == expected
    assert outcome.failure_class(custom(code=code, message=message)) == expected


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (pipeline(task("a", "FAILED", 14, "gone"), task("b", "FAILED", 3, EXIT.format(1))), "user code"),
        (pipeline(state="CANCELLED"), "cancelled"),
        (pipeline(error={"code": 8, "message": "No quota for this pipeline."}), "quota"),
        (pipeline(), "infrastructure"),
        (custom("EXPIRED"), "infrastructure"),
        (custom("PARTIALLY_SUCCEEDED"), "infrastructure"),
    ],
)
def test_a_job_has_the_class_to_look_at_first(job: dict[str, Any], expected: str) -> None:
    assert outcome.failure_class(job) == expected
    assert not outcome.is_success(job)


def test_a_failure_tells_what_to_know_at_three_in_the_morning() -> None:
    job = pipeline(task("load"), task("train", "FAILED", 3, EXIT.format(1)))
    tail = ["Training ..", json.dumps({"node": "train", "error": "ValueError: no rows", "seconds": 2.5}), "bye"]

    assert failure.explain_job(job, URL, {"train": tail}, {"train": "https://console/log"}).splitlines() == [
        "Vertex AI job job-1 failed: the code of a node raised an error. It has ended, and is not billed any more.",
        f"  train: {EXIT.format(1)}",
        "    Error of node train after 2.5 s: ValueError: no rows",
        "    The end of its log (3 lines):",
        "      Training ..",
        '      {"node": "train", "error": "ValueError: no rows", "seconds": 2.5}',
        "      bye",
        "    Its log: https://console/log",
        "See https://console/job",
    ]


def test_a_job_that_failed_before_its_nodes_says_so() -> None:
    told = failure.explain_job(pipeline(error={"code": 7, "message": "No access to the bucket."}), URL)

    assert told == (
        "Vertex AI job job-1 failed: a permission is missing. It has ended, and is not billed any more.\n"
        "  No access to the bucket.\nSee https://console/job"
    )


NESTED = '{"seconds": ' + "[" * 9999  # what a node prints is anything


@pytest.mark.parametrize("line", ["", "{", "[1]", '{"error": 1}', '{"node": 1, "error": 2', "error", NESTED])
def test_other_lines_are_no_containers_error(line: str) -> None:
    assert failure.container_error([line]) is None


def test_where_the_mlflow_run_is_comes_from_the_log() -> None:
    told = json.dumps({"mlflow_run_id": "1", "mlflow_url": "http://mlflow/#/1"})

    assert failure.mlflow_run_url([told, "done"]) == "http://mlflow/#/1"
    assert failure.mlflow_run_url(["done"]) is None
