"""How a run stands, read off its jobs, and the containers that they ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.attempts import KEY_LABEL
from airflow_provider_kedro_vertex.core.jobs.containers import containers
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.jobs.run_status import choose, group_statuses, run_state
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from tests.unit.conftest import small_manifest
from tests.unit.core.test_outcome import task

PARAMS = '{"rows": 7, "note": "$(HOME) costs $5"}'


def request(plan: Plan, **more: Any) -> JobRequest:
    run = Run("small-1", "small", "one", datetime(2013, 6, 1, tzinfo=timezone.utc))
    return JobRequest(plan, run, "p", "r", PARAMS, "title", {}, **more)


def pipeline_job(plan: Plan, *tasks: dict[str, Any], state: str = "RUNNING", number: int = 1) -> Any:
    return {
        **request(plan).body(f"job-{number}"),
        "name": f"projects/p/locations/r/pipelineJobs/job-{number}",
        "state": f"PIPELINE_STATE_{state}",
        "jobDetail": {"taskDetails": [{"taskName": "root", "state": state}, *tasks]},
    }


def custom_job(plan: Plan, at: int, state: str, number: int) -> Any:
    body = request(plan, group=plan.groups[at]).body("job-1")
    labels = {**body["labels"], KEY_LABEL: f"key-{at}"}
    return {
        **body,
        "labels": labels,
        "name": f"projects/p/locations/r/customJobs/{number}",
        "state": f"JOB_STATE_{state}",
        "createTime": f"2013-06-01T00:0{number}:00Z",
    }


def small_plan(**config: object) -> Plan:
    return build_plan(small_manifest(**config))


def test_containers_are_read_back_from_both_kinds_of_jobs() -> None:
    env = {"COST": "$5", "PLACE": "$(HOME)/$$x"}
    plan = small_plan(nodes={"clean": {"env": env}})
    of_pipeline = containers(pipeline_job(plan))
    of_custom = {name: each for at in range(3) for name, each in containers(custom_job(plan, at, "RUNNING", 1)).items()}

    assert of_pipeline.keys() == of_custom.keys() == {"load", "clean", "report"}
    assert of_pipeline == of_custom
    clean = of_pipeline["clean"]
    assert (clean.nodes, clean.image) == (("clean",), plan.groups[1].image)
    assert {name: clean.env[name] for name in env} == env
    assert json.loads(clean.arguments[clean.arguments.index("--params") + 1]) == json.loads(PARAMS)
    assert json.loads(clean.arguments[clean.arguments.index("--context") + 1])["run_key"] == "small-1"


def test_an_exit_pipeline_is_read_without_the_outcome_that_only_the_container_is_told() -> None:
    exit_plan = small_plan(on_exit_pipeline="first")
    found = containers(pipeline_job(exit_plan))
    assert "--final-status" not in found["on-exit"].arguments
    assert found["on-exit"].nodes == ("load",)
    created = {"createTime": "2013-06-01T00:00:00Z"}
    details = [task("exit-handler-1", "RUNNING", **created), task("load", "RUNNING", **created)]
    names = [group.name for group in group_statuses([pipeline_job(exit_plan, *details)])]
    assert names[0] == "load"
    assert "exit-handler-1" not in names


def test_a_job_of_another_program_has_tasks_and_no_containers() -> None:
    job = pipeline_job(small_plan(), task("load"))
    job["pipelineSpec"] = {"deploymentSpec": {"executors": {"exec-load": {"importer": {}}}}}
    (status,) = group_statuses([job])
    assert (status.name, status.nodes, status.state, status.seconds) == ("load", (), "SUCCEEDED", 89.9)


def test_the_groups_come_as_they_began_and_the_others_last() -> None:
    early, late = {"createTime": "2013-06-01T00:00:00Z"}, {"createTime": "2013-06-01T00:00:09.5Z"}
    job = pipeline_job(small_plan(), task("clean", "RUNNING", **late, endTime=None), task("load", **early))
    found = [(group.name, group.state, group.seconds) for group in group_statuses([job])]
    assert found == [("load", "SUCCEEDED", 89.9), ("clean", "RUNNING", None), ("report", "WAITING", None)]
    job["state"] = "PIPELINE_STATE_FAILED"
    assert group_statuses([job])[-1].state == "NOT_TRIGGERED"


def test_an_attempt_that_resumes_tells_of_what_it_runs() -> None:
    plan = small_plan()
    first = pipeline_job(plan, task("load"), task("clean", "FAILED", code=9), state="FAILED")
    second = pipeline_job(plan.only(["clean", "report"]), task("clean", "RUNNING"), number=2)
    states = {group.name: (group.state, group.job["name"][-1]) for group in group_statuses([first, second])}
    assert states == {"load": ("SUCCEEDED", "1"), "clean": ("RUNNING", "2"), "report": ("WAITING", "2")}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([(0, "SUCCEEDED"), (1, "FAILED")], "FAILED"),
        ([(0, "SUCCEEDED"), (1, "FAILED"), (1, "SUCCEEDED")], "SUCCEEDED"),
        ([(0, "FAILED"), (1, "PENDING")], "RUNNING"),
        ([(0, "PENDING")], "PENDING"),
        ([(0, "CANCELLED"), (1, "SUCCEEDED")], "CANCELLED"),
        ([(0, "CANCELLED"), (1, "FAILED")], "FAILED"),
        ([(0, "EXPIRED"), (1, "SUCCEEDED")], "EXPIRED"),
        ([(0, "EXPIRED"), (0, "SUCCEEDED")], "SUCCEEDED"),
    ],
)
def test_the_last_job_of_each_task_says_how_a_dag_run_stands(states: list[tuple[int, str]], expected: str) -> None:
    plan = small_plan()
    jobs = [custom_job(plan, at, state, number) for number, (at, state) in enumerate(states)]
    assert run_state(jobs) == expected


def test_a_group_is_found_by_its_name_and_by_its_nodes() -> None:
    plan = small_plan()
    renamed = replace(plan.groups[1], task_id="cleaning-8f")
    groups = group_statuses([pipeline_job(replace(plan, groups=(plan.groups[0], renamed)))])
    assert choose(groups, "clean") is choose(groups, "cleaning-8f")
    with pytest.raises(ConfigError, match=r"^The run has no node 'claen'. Did you mean 'clean'\?$"):
        choose(groups, "claen")
