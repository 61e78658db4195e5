"""Tasks and components of a real Airflow are killed; the emulator tells what became of the jobs.

``WAITING_TASKS`` sets how many tasks are deferred while the triggerer is killed, and ``OUTAGE_SECONDS`` for how long
Vertex AI is out of reach then.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
import requests

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from tests.airflow.conftest import _manifest
from tests.airflow.control import RunningAirflow, RunningVertex, start_emulator
from tools.demo.processes import Processes
from tools.demo.stack import environment

pytestmark = [pytest.mark.airflow]

WAITING_TASKS = int(os.environ.get("WAITING_TASKS", "2"))
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "5"))
#: Seconds until a job that is killed with its task must be CANCELLED.
KILL_SECONDS = 180.0
DAGS = ("dies", "waits", "is_killed", "late_run")
RUN = "manual__one"
#: Long enough that all tasks are deferred before the first job ends.
LASTS = 75 + 15 * WAITING_TASKS + OUTAGE_SECONDS
#: What waiting calls; the other tasks go on to be submitted and killed meanwhile.
METHODS = ("GetPipelineJob", "ListPipelineJobs")


class Vertex(RunningVertex):
    """One that may be out of reach."""

    def goes_out(self) -> None:
        faults = [{"method": method, "reset": True, "count": 10_000} for method in METHODS]
        requests.post(f"{self.url}/_emulator/faults", json={"faults": faults}, timeout=120).raise_for_status()

    def comes_back(self) -> None:
        requests.delete(f"{self.url}/_emulator/faults", timeout=120).raise_for_status()


@pytest.fixture(scope="module")
def vertex(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Vertex:
    data = tmp_path_factory.mktemp("vertex")
    images = {"short": "noop:1", "lasts": f"noop:{LASTS}", "lives": "noop:3600"}
    arguments = [f"--image={name}={noop}" for name, noop in images.items()]
    return Vertex(start_emulator(processes, data, *arguments))


@pytest.fixture(scope="module")
def airflow(processes: Processes, vertex: Vertex, tmp_path_factory: pytest.TempPathFactory) -> RunningAirflow:
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "kills.py", dags)
    manifests.write(_manifest(), dags / "small.manifest.json")
    env = {**environment(), "WAITING_TASKS": str(WAITING_TASKS)}
    running = RunningAirflow(home, dags, processes, vertex.url, env)
    running.start(*DAGS)
    running.trigger("late_run", RUN)  # the first, since its time runs
    running.until(lambda: running.states("late_run", RUN).get("deferred") == "deferred", "deferred task")
    for dag_id in DAGS[:-1]:
        running.trigger(dag_id, RUN)
    return running


def test_neither_an_outage_nor_a_killed_triggerer_ends_or_doubles_a_job(
    airflow: RunningAirflow, vertex: Vertex
) -> None:
    airflow.until(lambda: set(airflow.states("waits", RUN).values()) == {"deferred"}, "deferred tasks", 600)
    assert vertex.states("waits") == ["RUNNING"] * WAITING_TASKS

    vertex.goes_out()
    time.sleep(OUTAGE_SECONDS)  # what is waited for is that nothing happens
    vertex.comes_back()
    airflow.kill_triggerer()
    assert set(airflow.states("waits", RUN).values()) == {"deferred"}
    airflow.start_triggerer()

    ended = {"success", "failed"}
    airflow.until(lambda: set(airflow.states("waits", RUN).values()) <= ended, "end of the tasks", LASTS + 300)
    assert set(airflow.states("waits", RUN).values()) == {"success"}
    assert vertex.states("waits") == ["SUCCEEDED"] * WAITING_TASKS
    result = airflow.xcom("waits", RUN, "wait_0")
    (job,) = vertex.jobs("waits", "wait_0")
    assert (result["name"], result["state"]) == (job["name"], "SUCCEEDED")
    assert result["groups"]["make-rows"]["state"] == "SUCCEEDED"
    assert result["groups"]["make-rows"]["seconds"] >= LASTS
    # The triggerer ended it: no worker came back only to return.
    assert "Submitted Vertex AI job" in airflow.log("waits", RUN, "wait_0")


@pytest.mark.parametrize("task_id", ["before", "after"])
def test_a_task_process_killed_around_the_create_call_makes_no_second_job(
    airflow: RunningAirflow, vertex: Vertex, task_id: str
) -> None:
    airflow.until(lambda: airflow.states("dies", RUN)[task_id] in ("success", "failed"), f"end of {task_id}")

    assert airflow.states("dies", RUN)[task_id] == "success"
    assert airflow.try_number("dies", RUN, task_id) == 2
    assert vertex.states("dies", task_id) == ["SUCCEEDED"]
    assert vertex.jobs("dies", task_id)[0]["labels"]["airflow-try"] == ("2" if task_id == "before" else "1")


def cancelled(airflow: RunningAirflow, vertex: Vertex, dag_id: str, task_id: str, number: int) -> None:
    """Wait until the job of an attempt is CANCELLED."""
    airflow.until(
        lambda: vertex.states(dag_id, task_id)[number : number + 1] == ["CANCELLED"],
        f"cancelled job of {dag_id}.{task_id}",
        KILL_SECONDS,
    )


def test_clearing_and_then_failing_a_deferred_task_cancels_each_job(airflow: RunningAirflow, vertex: Vertex) -> None:
    airflow.until(lambda: airflow.has_trigger("is_killed", RUN, "deferred"), "wait")
    airflow.clear("is_killed", RUN, "deferred")
    cancelled(airflow, vertex, "is_killed", "deferred", 0)

    airflow.until(lambda: vertex.states("is_killed", "deferred")[1:] == ["RUNNING"], "second job")
    airflow.until(lambda: airflow.has_trigger("is_killed", RUN, "deferred"), "second wait")
    airflow.mark("is_killed", RUN, "deferred", "failed")
    cancelled(airflow, vertex, "is_killed", "deferred", 1)
    assert airflow.states("is_killed", RUN)["deferred"] == "failed"


def test_failing_a_running_task_cancels_its_job(airflow: RunningAirflow, vertex: Vertex) -> None:
    airflow.until(lambda: vertex.states("is_killed", "running") == ["RUNNING"], "running job")
    airflow.mark("is_killed", RUN, "running", "failed")

    cancelled(airflow, vertex, "is_killed", "running", 0)


def test_the_time_of_a_deferred_task_ends_its_job(airflow: RunningAirflow, vertex: Vertex) -> None:
    airflow.until(lambda: airflow.states("is_killed", RUN)["late"] == "failed", "end of late")

    cancelled(airflow, vertex, "is_killed", "late", 0)
    assert vertex.states("is_killed", "late") == ["CANCELLED"]


def test_the_time_of_a_dag_run_ends_its_jobs(airflow: RunningAirflow, vertex: Vertex) -> None:
    airflow.until(lambda: airflow.states("late_run", RUN)["deferred"] == "skipped", "end of the run")

    cancelled(airflow, vertex, "late_run", "deferred", 0)
