"""CustomJobs of their own, against an executor whose containers end when the test says so; the store is a real one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import INTERRUPTED, MOST_RESTARTS
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Message,
    from_json,
    vertex_message,
)
from airflow_provider_kedro_vertex.emulator.resources.states import JOB_FINAL, JobState
from tests.unit.emulator.scripted import Parts, Script, run
from tests.unit.emulator.specs import PARENT

PREEMPTED = Outcome(Code.UNAVAILABLE, "preempted")


def job_body(name: str, **spec: Any) -> dict[str, Any]:
    container = {"imageUri": "image", "command": ["python"], "args": [name]}
    pool = {"machineSpec": {"machineType": "n2-standard-4"}, "replicaCount": 1, "containerSpec": container}
    return {"displayName": name, "jobSpec": {"workerPoolSpecs": [pool], **spec}}


class Emulator(Parts):
    """The parts around the CustomJobs, on one data folder."""

    def __init__(self, folder: Path, places: int = 100) -> None:
        self.script = Script(places)
        super().__init__(folder, self.script)

    def create(self, name: str, **spec: Any) -> str:
        request = vertex_message("CreateCustomJobRequest")(parent=PARENT)
        from_json(request.custom_job, job_body(name, **spec), "custom_job")
        return str(self.service.create_custom_job(request).name)

    def cancel(self, name: str) -> None:
        self.service.cancel_custom_job(vertex_message("CancelCustomJobRequest")(name=name))

    def job(self, name: str) -> Message:
        return self.service.get_custom_job(vertex_message("GetCustomJobRequest")(name=name))

    def state(self, name: str) -> str:
        return JobState(self.job(name).state).name.removeprefix("JOB_STATE_")

    async def until(self, *running: str) -> None:
        while sorted(self.script.running) != sorted(running):
            await asyncio.sleep(0.001)

    async def end(self, argument: str, outcome: Outcome) -> None:
        count = len(self.script.works)
        self.script.running[argument].set_result(outcome)
        while argument in self.script.running and len(self.script.works) == count:
            await asyncio.sleep(0.001)

    async def done(self, name: str) -> None:
        while self.job(name).state not in JOB_FINAL:
            await asyncio.sleep(0.001)


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    return Emulator(tmp_path)


def test_a_preempted_job_is_started_again_and_not_for_ever(emulator: Emulator) -> None:
    async def scenario() -> None:
        name = emulator.create("a")
        for _ in range(MOST_RESTARTS):
            await emulator.until("a")
            assert emulator.state(name) == "RUNNING"
            await emulator.end("a", PREEMPTED)
        await emulator.until("a")
        await emulator.end("a", PREEMPTED)
        await emulator.done(name)
        assert (emulator.state(name), emulator.job(name).error.code) == ("FAILED", Code.UNAVAILABLE)

    run(scenario())
    assert len(emulator.script.works) == MOST_RESTARTS + 1


def test_the_code_of_the_user_and_jobs_without_retries_run_once(emulator: Emulator) -> None:
    async def scenario() -> None:
        names = {"a": emulator.create("a"), "b": emulator.create("b", scheduling={"disableRetries": True})}
        await emulator.until("a", "b")
        await emulator.end("a", Outcome(Code.INVALID_ARGUMENT, "exited with 1"))
        await emulator.end("b", PREEMPTED)
        for name in names.values():
            await emulator.done(name)
            assert emulator.state(name) == "FAILED"

    run(scenario())
    assert len(emulator.script.works) == 2


def test_an_executor_that_breaks_fails_its_job(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        name = emulator.create("a", scheduling={"disableRetries": True})
        await emulator.until("a")
        emulator.script.running["a"].set_exception(RuntimeError("broken"))
        await emulator.done(name)
        assert emulator.job(name).error.code == Code.INTERNAL

    run(scenario())
    assert "could not be run" in caplog.text


def test_a_waiting_job_is_cancelled_without_running(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path, places=1)

    async def scenario() -> None:
        first, second, third = emulator.create("a"), emulator.create("b"), emulator.create("c")
        emulator.cancel(third)
        await emulator.until("a")
        emulator.cancel(second)
        emulator.cancel(second)
        assert emulator.state(second) == "CANCELLING"
        for name in (second, third):
            await emulator.done(name)
            assert (emulator.state(name), emulator.job(name).HasField("start_time")) == ("CANCELLED", False)
            with pytest.raises(ApiError, match="CANCELLED"):
                emulator.cancel(name)
        await emulator.end("a", Outcome())
        await emulator.done(first)

    run(scenario())
    assert len(emulator.script.works) == 1


def test_the_timeout_counts_from_the_start_of_the_container(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path, places=1)

    async def scenario() -> None:
        first, second = emulator.create("a"), emulator.create("b", scheduling={"timeout": "0.05s"})
        await emulator.until("a")
        await asyncio.sleep(0.1)  # longer than the second job's timeout, which has not begun
        assert emulator.state(second) == "PENDING"
        await emulator.end("a", Outcome())
        await emulator.done(second)
        assert emulator.state(first) == "SUCCEEDED"
        assert emulator.state(second) == "CANCELLED"
        assert "timeout of 0.05 seconds" in emulator.job(second).error.message

    run(scenario())


def test_after_a_kill_what_ran_has_failed_and_what_waited_runs(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    names: dict[str, str] = {}

    async def before() -> None:
        emulator = Emulator(tmp_path / "first", places=1)
        names.update({name: emulator.create(name) for name in ("runs", "waits", "cancelled")})
        await emulator.until("runs")
        emulator.cancel(names["cancelled"])
        # As kill -9 leaves it: the files as they are now.
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        await emulator.custom_jobs.close()
        emulator.store.close()

    async def after() -> None:
        emulator = Emulator(tmp_path / "second")
        emulator.custom_jobs.recover()
        await emulator.until("waits")
        await emulator.end("waits", Outcome())
        await emulator.done(names["waits"])
        states = {name: emulator.state(full) for name, full in names.items()}
        assert states == {"runs": "FAILED", "waits": "SUCCEEDED", "cancelled": "CANCELLED"}
        assert emulator.job(names["runs"]).error.message == INTERRUPTED
        assert len(emulator.script.works) == 1
        emulator.store.close()

    run(before())
    run(after())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"workerPoolSpecs": [*job_body("a")["jobSpec"]["workerPoolSpecs"], {"replicaCount": 2}]}, "INVALID_ARGUMENT"),
        (
            {
                "workerPoolSpecs": [
                    {
                        "replicaCount": 1,
                        "machineSpec": {"machineType": "n2-standard-4"},
                        "pythonPackageSpec": {"pythonModule": "x"},
                    }
                ]
            },
            "INVALID_ARGUMENT",
        ),
        ({"workerPoolSpecs": [{"replicaCount": 1, "machineSpec": {"machineType": "x"}}]}, "INVALID_ARGUMENT"),
        ({"scheduling": {"timeout": "0s"}}, "INVALID_ARGUMENT"),
    ],
)
def test_what_is_not_run_is_refused_by_name(emulator: Emulator, change: dict[str, Any], code: str) -> None:
    with pytest.raises(ApiError) as refused:
        emulator.create("a", **change)
    assert refused.value.code.name == code
