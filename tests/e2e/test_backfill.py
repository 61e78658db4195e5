"""The main job: the flights pipeline, day by day, through real Airflow processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from tools.demo.__main__ import DAG_ID, FIRST_DAY, FLIGHTS
from tools.demo.airflow import Run
from tools.demo.stack import Stack, environment

pytestmark = [pytest.mark.airflow]


def test_each_day_has_a_run_that_succeeded(stack: Stack, runs: list[Run]) -> None:
    days = [FIRST_DAY + timedelta(days=number) for number in range(3)]
    assert [(run.day, run.state) for run in runs] == [(day, "success") for day in days]
    for run in runs:
        tasks = {task.task_id: task.state for task in stack.airflow.tasks(DAG_ID, run.run_id)}
        assert tasks == {"submit": "success", "wait": "success"}


def test_each_run_is_one_job_with_every_node(stack: Stack, runs: list[Run]) -> None:
    manifest = json.loads((FLIGHTS.folder / FLIGHTS.manifest).read_text())
    nodes = len(manifest["pipelines"]["__default__"]["nodes"])
    for run in runs:
        jobs = [job for job in stack.vertex.jobs() if job.run_id == run.run_id]
        assert [job.state for job in jobs] == ["SUCCEEDED"]
        assert list(jobs[0].nodes.values()) == ["SUCCEEDED"] * nodes


def test_the_results_are_those_of_kedro_run(stack: Stack, runs: list[Run], tmp_path: Path) -> None:
    project = tmp_path / "flights"
    shutil.copytree(FLIGHTS.folder, project, ignore=shutil.ignore_patterns("data"))
    for run in runs:
        command = [sys.executable, "-m", "kedro", "run", "--env", "laptop", "--params", f"run_date={run.day}"]
        done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("metrics.json", "airline_errors.json", "baseline.json"):
            plain = json.loads((project / "data" / str(run.day) / name).read_text())
            assert stack.storage.read_json(f"{run.day}/{name}") == plain


def test_each_run_is_one_of_the_experiment_with_its_day_and_its_metrics(stack: Stack, runs: list[Run]) -> None:
    store = f"{stack.vertex.url}/v1/projects/demo-project/locations/europe-west1/metadataStores/default"
    query = quote('schema_title="system.ExperimentRun"')
    with urllib.request.urlopen(f"{store}/contexts?filter={query}&pageSize=1000", timeout=60) as answer:
        contexts = json.load(answer)["contexts"]
    for run in runs:
        described = f"Airflow DAG {DAG_ID}, run {run.run_id}"
        (found,) = (context for context in contexts if context["description"] == described)
        assert [parent.rpartition("/")[2] for parent in found["parentContexts"]] == [
            "flights-experiment"
        ]  # the pipeline is flights
        assert found["metadata"]["_state"] == "COMPLETE"
        assert found["metadata"]["_params"]["run_date"] == str(run.day)
        metrics = stack.storage.read_json(f"{run.day}/metrics.json")
        numbers = {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
        assert numbers
        assert found["metadata"]["_metrics"] == numbers
