"""Compiled plans run on the emulator, whose containers do nothing here: each shape of a job, and who waits for whom."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.core.jobs.custom_job import custom_job
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.conftest import small_manifest

PARENT = "v1/projects/demo-project/locations/europe-west1"


@pytest.fixture(scope="module")
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator({"good": Noop(0), "bad": Noop(0, 3)}) as running:
        yield running


def planned(grouping: str = "none", **nodes: Any) -> Plan:
    manifest: Manifest = small_manifest(
        image="good",
        on_exit_pipeline="first",
        grouping=grouping,
        failure_policy="slow",
        labels={"team": "shop"},
        nodes={"__default__": {"env": {"A": "$(B)"}}, **nodes},
    )
    return build_plan(manifest)


def context(plan: Plan) -> RunContext:
    return RunContext(
        "key", "dag", "run", None, None, None, plan.root, "version", "job", "demo-project", "europe-west1"
    )


def ended(emulator: VertexEmulator, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while "endTime" not in (job := requests.get(f"{emulator.url}/{path}", timeout=120).json()):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return dict(job)


def run(emulator: VertexEmulator, plan: Plan, job_id: str) -> tuple[str, Mapping[str, str]]:
    """Run a PipelineJob: its state, and the states of its tasks."""
    body = pipeline_job(plan, context(plan), "{}", "A plan", {})
    made = requests.post(
        f"{emulator.url}/{PARENT}/pipelineJobs", params={"pipelineJobId": job_id}, json=body, timeout=120
    )
    assert made.status_code == 200, made.text
    job = ended(emulator, f"{PARENT}/pipelineJobs/{job_id}")
    tasks = {task["taskName"]: task["state"] for task in job["jobDetail"]["taskDetails"]}
    return job["state"].removeprefix("PIPELINE_STATE_"), tasks


@pytest.mark.parametrize("grouping", ["none", "auto", "memory", "pipeline"])
def test_the_exit_task_runs_after_all_others(emulator: VertexEmulator, grouping: str) -> None:
    plan = planned(grouping)
    state, tasks = run(emulator, plan, f"good-{grouping}")
    assert state == "SUCCEEDED"
    for task_id in [*(group.task_id for group in plan.groups), "exit-handler-1", "on-exit"]:
        assert tasks[task_id] == "SUCCEEDED", task_id


def test_the_exit_task_runs_although_a_node_failed(emulator: VertexEmulator) -> None:
    state, tasks = run(emulator, planned(clean={"image": "bad"}), "bad-clean")
    assert state == "FAILED"
    assert (tasks["load"], tasks["clean"], tasks["exit-handler-1"]) == ("SUCCEEDED", "FAILED", "FAILED")
    assert tasks["on-exit"] == "SUCCEEDED"
    assert tasks.get("report", "NOT_TRIGGERED") == "NOT_TRIGGERED"


def test_a_node_group_runs_as_a_custom_job(emulator: VertexEmulator) -> None:
    plan = planned("memory")
    for group, state in ((plan.groups[0], "SUCCEEDED"), (planned(load={"image": "bad"}).groups[0], "FAILED")):
        body = custom_job(plan, group, context(plan), "{}", group.name, {}, timeout_seconds=60)
        made = requests.post(f"{emulator.url}/{PARENT}/customJobs", json=body, timeout=120)
        assert made.status_code == 200, made.text
        assert ended(emulator, f"v1/{made.json()['name']}")["state"] == f"JOB_STATE_{state}"
