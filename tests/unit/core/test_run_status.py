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
from airflow_provider_kedro_vertex.core.jobs.failure import explain_job
from airflow_provider_kedro_vertex.core.jobs.replay import arguments, final_status, variables
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


def test_the_error_has_the_line_that_replays_the_node() -> None:
    plan = small_plan()
    failed = task("clean", "FAILED", 9, "The replica workerpool0-0 exited with a non-zero status of 1.")
    job = pipeline_job(plan, failed, state="FAILED")
    told = json.dumps({"node": "clean", "error": "ValueError: no rows", "seconds": 2.5})
    line = "    Run it here, in the project's folder: "
    replay = "kedro vertex replay projects/p/locations/r/pipelineJobs/job-1 --node clean"
    assert line + replay in explain_job(job, "", {"clean": [told]}).splitlines()
    # Without a log, by the name of the group; and where the services are an emulator's, with their addresses.
    elsewhere = {"KEDRO_VERTEX_API_ENDPOINT": "http://127.0.0.1:8080"}
    prefix = "KEDRO_VERTEX_API_ENDPOINT=http://127.0.0.1:8080 "
    assert line + prefix + replay in explain_job(job, "", environment=elsewhere).splitlines()

    custom = {**custom_job(plan, 1, "FAILED", 7), "error": failed["error"]}
    assert line + "kedro vertex replay projects/p/locations/r/customJobs/7" in explain_job(custom, "").splitlines()


@pytest.mark.parametrize(("code", "message"), [(8, "Quota."), (13, "exited with a non-zero status of 4")])
def test_what_a_replay_would_not_show_has_no_such_line(code: int, message: str) -> None:
    job = pipeline_job(small_plan(), task("clean", "FAILED", code, message), state="FAILED")
    assert "replay" not in explain_job(job, "")


def test_the_replay_of_an_exit_pipeline_is_told_how_the_others_ended() -> None:
    plan = small_plan(on_exit_pipeline="first")
    failed = pipeline_job(plan, task("load"), task("clean", "FAILED", 9), task("on-exit"), state="FAILED")
    groups = group_statuses([failed])
    status = json.loads(final_status(choose(groups, "on-exit"), groups) or "")
    assert status["state"] == "FAILED"
    assert "failed tasks are: [clean]" in status["error"]["message"]
    assert final_status(choose(groups, "clean"), groups) is None


def test_a_replay_has_the_runs_arguments_and_not_the_paths_of_its_machine() -> None:
    plan = small_plan(nodes={"clean": {"env": {"PYTHONPATH": "/app/src", "SIZE": "7"}}})
    container = containers(pipeline_job(plan))["clean"]
    given = arguments(container, "clean", None, "pdb")
    assert given[:3] == ["-m", "airflow_provider_kedro_vertex.runtime", "replay"]
    assert tuple(given[3:-4]) == container.arguments
    assert given[-4:] == ["--up-to", "clean", "--debugger", "pdb"]
    told = variables(container)
    assert told["SIZE"] == "7"
    assert "PYTHONPATH" not in told
