"""Loops and retries of DAGs, against an executor whose containers end when the test says so."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from tests.unit.emulator.engine.test_pipeline_jobs import FAILED, Crash, Emulator
from tests.unit.emulator.engine.test_pipeline_jobs import emulator as emulator
from tests.unit.emulator.scripted import run
from tests.unit.emulator.specs import PARENT, body, container_spec, nested_spec


def loop_spec(items: str = "[1, 2, 3]", limit: int = 0, retry: dict[str, Any] | None = None) -> dict[str, Any]:
    """A container ``each`` in a loop; its argument is ``run`` and the item."""
    spec = container_spec({"each": []}, args={"each": ["run{{$.inputs.parameters['x']}}"]})
    spec["components"]["comp-each"]["inputDefinitions"] = {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}}}
    task = spec["root"]["dag"]["tasks"]["each"]
    task["parameterIterator"] = {"itemInput": "x", "items": {"raw": items}}
    if limit:
        task["iteratorPolicy"] = {"parallelismLimit": limit}
    if retry:
        task["retryPolicy"] = retry
    return spec


async def running(emulator: Emulator, *names: str) -> None:
    while sorted(emulator.script.running) != sorted(names):
        await asyncio.sleep(0.001)


async def started(emulator: Emulator, count: int) -> None:
    """Wait until so many containers have been started in all."""
    while len(emulator.script.works) < count:
        await asyncio.sleep(0.001)


def finish(emulator: Emulator, name: str, outcome: Outcome = Outcome()) -> None:  # noqa: B008 - frozen
    emulator.script.running[name].set_result(outcome)


def test_a_loop_runs_no_more_than_its_limit(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(loop_spec("[1, 2, 3, 4]", limit=2))
        await running(emulator, "run1", "run2")
        assert emulator.states["each-2"] == "PENDING"
        finish(emulator, "run2")
        await running(emulator, "run1", "run3")
        finish(emulator, "run1")
        await running(emulator, "run3", "run4")
        finish(emulator, "run3")
        finish(emulator, "run4")
        await emulator.done()

    run(scenario())
    assert emulator.state == "SUCCEEDED"
    assert emulator.states == {"each": "SUCCEEDED", **{f"each-{at}": "SUCCEEDED" for at in range(4)}}
    (loop, first, *_) = (detail for detail in emulator.job.job_detail.task_details if detail.parent_task_id)
    assert (first.parent_task_id, first.task_unique_name) == (loop.task_id, "each.0")


def test_a_failed_iteration_fails_its_loop_and_stops_no_other(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(loop_spec("[1, 2, 3]", limit=1))
        await running(emulator, "run1")
        finish(emulator, "run1", FAILED)
        await running(emulator, "run2")
        finish(emulator, "run2")
        await running(emulator, "run3")
        finish(emulator, "run3")
        await emulator.done()

    run(scenario())
    assert emulator.state == "FAILED"
    assert emulator.states == {"each": "FAILED", "each-0": "FAILED", "each-1": "SUCCEEDED", "each-2": "SUCCEEDED"}
    assert emulator.task("each").error.message.endswith("The failed tasks are: [each-0].")


def test_a_loops_retry_policy_is_one_of_each_iteration(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(loop_spec("[1, 2]", retry={"maxRetryCount": 1, "backoffDuration": "0s"}))
        await running(emulator, "run1", "run2")
        finish(emulator, "run1", FAILED)
        await started(emulator, 3)
        finish(emulator, "run1")
        finish(emulator, "run2")
        await emulator.done()

    run(scenario())
    assert emulator.state == "SUCCEEDED"


@pytest.mark.parametrize("items", ["[]", "[1, 2, 3]"])
def test_a_cancelled_loop_starts_nothing_more(emulator: Emulator, items: str) -> None:
    async def scenario() -> None:
        emulator.create(loop_spec(items, limit=1))
        if items != "[]":
            await running(emulator, "run1")
            emulator.cancel()
        await emulator.done()

    run(scenario())
    assert emulator.state == ("SUCCEEDED" if items == "[]" else "CANCELLED")
    assert len(emulator.script.works) == (0 if items == "[]" else 1)


def test_an_item_of_another_type_fails_its_iteration(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(loop_spec('["a"]'))
        await emulator.done()

    run(scenario())
    assert emulator.task("each-0").error.message == "The loop's item 0 must be a NUMBER_INTEGER, not str."


def test_too_many_iterations_fail_the_loop(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(loop_spec(f"[{', '.join('1' * 10_000)}]"))
        await emulator.done()

    run(scenario())
    assert emulator.state == "FAILED"
    assert emulator.task("each").error.message == "The job would have 10002 tasks; at most 10000 are run."


def test_a_loop_goes_on_after_a_crash(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(loop_spec("[1, 2, 3, 4]", limit=2))
        await running(crash.first, "run1", "run2")
        finish(crash.first, "run2")
        await running(crash.first, "run1", "run3")
        while crash.first.states["each-1"] != "SUCCEEDED":
            await asyncio.sleep(0.001)
        after = crash.restarted()
        after.recover()
        await running(after, "run4")
        finish(after, "run4")
        await after.done()
        # What ran when the emulator was killed has failed; what had ended is kept, and what waited goes on.
        states = ("FAILED", "SUCCEEDED", "FAILED", "SUCCEEDED")
        assert after.states == {"each": "FAILED", **{f"each-{at}": state for at, state in enumerate(states)}}
        await crash.first.engine.close()

    run(scenario())


def retried_group(count: int = 1, seconds: str = "0s") -> dict[str, Any]:
    spec = nested_spec(container_spec({"a": [], "b": ["a"]}, args={"a": ["a"], "b": ["b"]}))
    task = spec["root"]["dag"]["tasks"]["group"]
    task["retryPolicy"] = {"maxRetryCount": count, "backoffDuration": seconds}
    return copy.deepcopy(spec)


def test_a_dag_is_tried_again_with_all_its_tasks(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(retried_group(), failurePolicy="PIPELINE_FAILURE_POLICY_FAIL_FAST")
        await emulator.until("a")
        await emulator.end("a")
        await emulator.until("b")
        finish(emulator, "b", FAILED)
        await running(emulator, "a")
        assert emulator.states["b"] == "PENDING"
        finish(emulator, "a")
        await running(emulator, "b")
        finish(emulator, "b")
        await running(emulator, "last")
        finish(emulator, "last")
        await emulator.done()

    run(scenario())
    assert emulator.state == "SUCCEEDED"
    group = emulator.task("group")
    failed = [status for status in group.pipeline_task_status if status.HasField("error")]
    assert [status.error.message for status in failed] == [
        "The DAG failed because some tasks failed. The failed tasks are: [b]."
    ]
    assert sorted(emulator.states) == ["a", "b", "group", "last"]


def test_a_dag_fails_when_its_tries_are_used_up(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(retried_group())
        for tries in (1, 2):
            await started(emulator, tries)
            finish(emulator, "a", FAILED)
        await emulator.done()

    run(scenario())
    assert emulator.state == "FAILED"
    assert emulator.task("group").error.code == Code.FAILED_PRECONDITION


def test_a_dag_that_waits_for_another_try_is_cancelled(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(retried_group(seconds="3600s"))
        await running(emulator, "a")
        finish(emulator, "a", FAILED)
        while emulator.states.get("group") != "PENDING":
            await asyncio.sleep(0.001)
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert emulator.state == "CANCELLED"
    assert emulator.states["group"] == "CANCELLED"


def test_a_dag_that_waits_for_another_try_gets_it_after_a_crash(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(retried_group(seconds="1s"))
        await running(crash.first, "a")
        finish(crash.first, "a", FAILED)
        while crash.first.states["group"] != "PENDING":
            await asyncio.sleep(0.001)
        after = crash.restarted()
        await crash.first.engine.close()
        after.recover()
        for name in ("a", "b", "last"):
            await running(after, name)
            finish(after, name)
        await after.done()
        assert after.state == "SUCCEEDED"

    run(scenario())


def test_a_loop_over_a_thousand_items(tmp_path: Path) -> None:
    with VertexEmulator(noop=Noop(0), data=tmp_path) as emulator:
        made = body(loop_spec(json.dumps(list(range(1000)))))
        name = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=made, timeout=120).json()["name"]
        deadline = time.monotonic() + 300
        while (job := requests.get(f"{emulator.url}/v1/{name}", timeout=120).json())["state"] not in (
            "PIPELINE_STATE_SUCCEEDED",
            "PIPELINE_STATE_FAILED",
        ):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    tasks = job["jobDetail"]["taskDetails"]
    assert len(tasks) == 1002
    assert {task["state"] for task in tasks} == {"SUCCEEDED"}
