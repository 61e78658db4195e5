"""Every mode gives the same results, and a node that failed is all that runs again, on the real example.

Each of the two modes with a task for each node backfills one day, in which the machine of one node is taken away; it is
cleared then. While the run goes on, Airflow's page shows the nodes with their states.
"""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.chromium import CHROMIUM, Chromium
from tools.demo.__main__ import DAG_ID, FIRST_DAY, MODES, Mode
from tools.demo.airflow import Run
from tools.demo.stack import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.browser]

RUN_ID = f"backfill__{FIRST_DAY}T00:00:00+00:00"
#: All results but the plot and the model, whose bytes tell their versions.
FILES = ("metrics.json", "airline_errors.json", "baseline.json", "predictions.parquet", "flight_features.parquet")
#: A node whose machine is taken away, and the nodes after it.
LOST, AFTER = "model.predict_delays", {"evaluate", "summarise_airlines", "plot_delays"}
PICTURES = {"flights_nodes": "airflow-nodes.png", "flights_custom_jobs": "airflow-custom-jobs.png"}
SECONDS = 900.0


def stored(stack: Stack, folder: str) -> dict[str, bytes]:
    found = {}
    for name in FILES:
        path = quote(f"{folder}{FIRST_DAY}/{name}", safe="")
        found[name] = call("GET", f"{stack.storage.url}/storage/v1/b/{stack.storage.bucket}/o/{path}?alt=media")
    return found


def call(method: str, url: str, body: Any = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def custom_jobs(stack: Stack) -> list[dict[str, Any]]:
    """The CustomJobs of the DAG with one PipelineJob and a sensor for each node."""
    query = quote('labels.airflow-dag-id="flights_nodes"')
    parent = "projects/demo-project/locations/europe-west1"
    answer = call("GET", f"{stack.vertex.url}/v1/{parent}/customJobs?filter={query}&pageSize=100")
    found: list[dict[str, Any]] = json.loads(answer)["customJobs"]
    return found


def take_the_machine_away(stack: Stack, mode: Mode) -> None:
    """Once from a task of a PipelineJob; from a CustomJob more often than Vertex AI starts it again by itself."""
    pipeline_task = {"task": "model-predict-delays", "preempt_after": 0.1}
    custom_job = {"task": f"flights {RUN_ID} {LOST}", "preempt_after": 0.1, "count": 7}
    fault = pipeline_task if mode.dag_id == "flights_nodes" else custom_job
    call("POST", f"{stack.vertex.url}/_emulator/faults", {"faults": [fault]})


def clear(stack: Stack, dag_id: str, task_id: str) -> None:
    """Clear a task with all that come after it, as a person does in Airflow's page, or with its command."""
    if stack.airflow.url is None:
        command = ["tasks", "clear", dag_id, "--task-regex", f"^{task_id}$", "--downstream", "--yes"]
        stack.airflow.command(*command)
    else:
        wanted = {"dag_run_id": RUN_ID, "task_ids": [task_id], "include_downstream": True}
        wanted |= {"dry_run": False, "only_failed": False}
        call("POST", f"{stack.airflow.url}/api/v2/dags/{dag_id}/clearTaskInstances", wanted)


def states(stack: Stack, dag_id: str) -> dict[str, str]:
    found = {task.task_id: task.state for task in stack.airflow.tasks(dag_id, RUN_ID)}
    found.pop("submit", None)
    return found


def run_state(stack: Stack, dag_id: str) -> str:
    return next(run.state for run in stack.airflow.runs(dag_id) if run.run_id == RUN_ID)


class Looker:
    """Looks at Airflow's pages of a run once, while a node runs."""

    def __init__(self, stack: Stack, mode: Mode, folder: Path) -> None:
        self._stack = stack
        self._dag_id = mode.dag_id
        self._folder = folder
        self.texts: dict[str, str] = {}

    def look(self) -> None:
        if self.texts or not self._stack.airflow.url or CHROMIUM is None:
            return
        if sum(state != "none" for state in states(self._stack, self._dag_id).values()) < 5:
            return
        address = f"{self._stack.airflow.url}/dags/{self._dag_id}/runs/{quote(RUN_ID)}"
        with Chromium(self._folder, width=1600, height=820) as page:
            page.open(address, "features", "model", "evaluate")
            for view in ("grid", "graph"):
                page.value(f"localStorage.setItem('default_dag_view', JSON.stringify('{view}'))")
                groups = json.dumps(["features", "model"])
                page.value(f"localStorage.setItem('{self._dag_id}/open-groups', JSON.stringify({groups}))")
                page.open(address, "weather_features", "predict_delays", "plot_delays")
                self.texts[view] = str(page.value("document.body.innerText"))
            pictures = Path(os.environ.get("PICTURES", self._folder)).absolute()
            page.picture(pictures / PICTURES[self._dag_id])


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.dag_id != DAG_ID], ids=lambda mode: mode.dag_id)
def test_a_lost_node_is_cleared_and_the_results_are_those_of_one_job(
    stack: Stack, runs: list[Run], mode: Mode, tmp_path: Path
) -> None:
    take_the_machine_away(stack, mode)
    looker = Looker(stack, mode, tmp_path)
    (run,) = stack.airflow.backfill(mode.dag_id, FIRST_DAY, FIRST_DAY, watch=looker.look, seconds=SECONDS)
    failed = states(stack, mode.dag_id)
    assert (run.run_id, run.state) == (RUN_ID, "failed")
    assert len(failed) == 14
    assert failed.pop(LOST) == "failed"
    assert {task_id for task_id, state in failed.items() if state == "upstream_failed"} == AFTER
    assert {state for task_id, state in failed.items() if task_id not in AFTER} == {"success"}
    if stack.airflow.url and CHROMIUM:
        assert set(looker.texts) == {"grid", "graph"}
        for text in looker.texts.values():
            assert all(name in text for name in ("select_flights", "train_regressor", "summarise_airlines"))
            assert any(word in text.lower() for word in ("running", "deferred", "queued", "success"))

    clear(stack, mode.dag_id, LOST)
    if stack.airflow.url is None:
        # The scheduler of Airflow 2 leaves the runs of a backfill to the backfill's own command.
        stack.airflow.backfill(mode.dag_id, FIRST_DAY, FIRST_DAY, seconds=SECONDS)
    what = f"end of {mode.dag_id}"
    over = {"success", "failed", "upstream_failed"}
    stack.processes.until(lambda: over >= set(states(stack, mode.dag_id).values()), what, SECONDS, interval=2)
    assert set(states(stack, mode.dag_id).values()) == {"success"}
    stack.processes.until(lambda: run_state(stack, mode.dag_id) == "success", what, 120, interval=1)
    assert stored(stack, mode.folder) == stored(stack, "")
    if mode.dag_id == "flights_nodes":
        again = {LOST.replace(".", "-").replace("_", "-"), *(node.replace("_", "-") for node in AFTER)}
        first, second = (set(job.nodes) for job in stack.vertex.jobs() if job.dag_id == mode.dag_id)
        assert (len(first), second) == (14, again)
        # One node of this DAG is a CustomJob inside of its job, whose first attempt it succeeded in.
        (trained,) = (job for job in custom_jobs(stack) if job["labels"].get("kedro-group") == "model-train-regressor")
        (pool,) = trained["jobSpec"]["workerPoolSpecs"]
        assert trained["state"] == "JOB_STATE_SUCCEEDED"
        assert trained["jobSpec"]["scheduling"]["strategy"] == "SPOT"
        assert pool["machineSpec"]["machineType"] == "n1-highmem-8"
        assert pool["diskSpec"]["bootDiskSizeGb"] == 200
    else:
        (jobs,) = stack.vertex.custom_jobs(mode.dag_id)
        assert (jobs.job_id, jobs.nodes_done) == ("15 CustomJobs", "14/14")
