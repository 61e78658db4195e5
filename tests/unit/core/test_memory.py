"""A node that was killed for its memory: how it is told, and what its next attempt asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs import failure, outcome
from airflow_provider_kedro_vertex.core.jobs.memory import explain_kill, in_gib, limit_of
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest
from airflow_provider_kedro_vertex.core.settings.nodes import RetryPolicy
from airflow_provider_kedro_vertex.core.settings.sections import SettingsError
from tests.unit.core.test_request import request

KILLED = {
    "code": 3,
    "message": "The replica workerpool0-0 ran out-of-memory and exited with a non-zero status of 137.",
}
POLICY = {"clean": {"on_out_of_memory": {"factor": 2, "max": "7Gi"}}}
GIB = 2**30


def asked(memory: str | None = "2Gi", policy: dict[str, Any] | None = None, **settings: Any) -> JobRequest:
    resources = {"__default__": {}, "clean": {"memory": memory} if memory else {}}
    return request(resources=resources, retry_policy=POLICY if policy is None else policy, **settings)


def custom(job: JobRequest) -> JobRequest:
    return replace(job, group=next(group for group in job.plan.groups if group.name == "clean"))


def failed(body: dict[str, Any], error: dict[str, Any] = KILLED) -> Any:
    """A job as it is told when its node `clean` has failed."""
    if "jobSpec" in body:
        return {**body, "name": "projects/p/locations/r/customJobs/7", "state": "JOB_STATE_FAILED", "error": error}
    tasks = [
        {"taskName": "root", "state": "FAILED"},
        {"taskName": "load", "parentTaskId": "1", "state": "SUCCEEDED"},
        {"taskName": "clean", "parentTaskId": "1", "state": "FAILED", "error": error},
    ]
    told = {"state": "PIPELINE_STATE_FAILED", "jobDetail": {"taskDetails": tasks}}
    return {**body, **told, "name": "projects/p/locations/r/pipelineJobs/job-1"}


def limit(body: dict[str, Any]) -> float | None:
    """What the body asks for, in GiB."""
    found = limit_of(failed(body), "clean")
    return found and found / GIB


def test_the_next_attempt_of_a_killed_node_has_twice_the_memory_up_to_the_most() -> None:
    job = asked()
    first = job.body("job-1")
    second = job.body("job-2", [failed(first)])
    third = job.body("job-3", [failed(first), failed(second)])
    fourth = job.body("job-4", [failed(first), failed(second), failed(third)])
    assert [limit(body) for body in (first, second, third, fourth)] == [2, 4, 7, 7]
    # Another node asks for what it did.
    assert {limit_of(failed(body), "load") for body in (first, second, third)} == {None}


def test_a_compiled_spec_is_not_taken_where_a_node_needs_more() -> None:
    job = asked()
    first = job.body("job-1")
    compiled = replace(job, spec=first["pipelineSpec"])
    assert limit(compiled.body("job-2", [failed(first)])) == 4
    assert compiled.body("job-2", [])["pipelineSpec"] is first["pipelineSpec"]


def test_a_custom_job_gets_the_machine_that_has_more() -> None:
    job = custom(asked(policy={"clean": {"on_out_of_memory": {"max": "100Gi"}}}))
    first = job.body("job-1")
    second = job.body("job-2", [failed(first)])
    before, after = limit(first), limit(second)
    assert before is not None
    assert after is not None
    assert before >= 2, "the machine has more than was asked for"
    assert 2 * before <= after <= 100


def test_a_launched_custom_job_gets_more_too() -> None:
    job = asked(
        nodes={"clean": {"scheduling": {"strategy": "spot"}}}, policy={"clean": {"on_out_of_memory": {"max": "100Gi"}}}
    )
    first = job.body("job-1")
    before, after = limit(first), limit(job.body("job-2", [failed(first)]))
    assert before
    assert after
    assert after >= 2 * before


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (asked(), {"code": 3, "message": "exited with a non-zero status of 1"}),
        (asked(policy={}), KILLED),
        (asked(policy={"load": POLICY["clean"]}), KILLED),
        (asked(policy={"clean": {"num_retries": 2}}), KILLED),
        (asked("8Gi"), KILLED),
        (asked(None), KILLED),
    ],
)
def test_all_others_ask_for_what_they_did(job: JobRequest, error: dict[str, Any]) -> None:
    first = job.body("job-1")
    assert job.body("job-1", [failed(first, error)]) == first


def test_what_the_settings_say_by_now_is_the_least() -> None:
    killed = failed(asked("1Gi").body("job-1"))
    assert limit(asked("5Gi").body("job-2", [killed])) == 5


def test_the_kill_is_told_with_its_limit_and_what_to_try() -> None:
    job = failed(asked().body("job-1"))
    (task,) = [task for task in outcome.tasks(job) if task.failed]
    told = (
        "It was killed at 2.0 GiB of memory, its limit, and had asked for more. Try memory: 4Gi in resources.<node> of "
        "vertexai.yml."
    )
    assert explain_kill(job, task) == told
    assert f"    {told}" in failure.explain_job(job, "https://page").splitlines()
    assert failure.failed_node(job, task, "https://page", [], None).error == told
    assert outcome.failure_class(job) == "memory"
    unknown = failed(asked(None).body("job-1"))
    assert explain_kill(unknown, task) == (
        "It was killed for its memory. Try more: resources.<node>.memory in vertexai.yml."
    )
    (other,) = [task for task in outcome.tasks(failed(asked().body("job-1"), {"code": 13})) if task.failed]
    assert explain_kill(job, other) is None


def test_bytes_are_written_as_a_setting_that_is_enough() -> None:
    assert [in_gib(number) for number in (1, GIB, GIB + 1e6, 2.5 * GIB)] == ["1Gi", "1Gi", "2Gi", "3Gi"]


def test_a_policy_says_something() -> None:
    assert RetryPolicy.read({"on_out_of_memory": {"max": "32Gi"}}).num_retries == 0
    with pytest.raises(SettingsError, match="num_retries is missing"):
        RetryPolicy.read({"backoff_factor": 2})
    with pytest.raises(SettingsError, match=r"on_out_of_memory\.max is missing"):
        RetryPolicy.read({"on_out_of_memory": {}})
    with pytest.raises(SettingsError, match=r"on_out_of_memory\.factor must be"):
        RetryPolicy.read({"on_out_of_memory": {"max": "32Gi", "factor": 0.5}})
