"""Runs of this package in a Vertex AI experiment: real containers write, unmodified ``google-cloud-aiplatform`` reads.

The containers reach the emulator as they would reach Vertex AI: by Google's host name, with TLS and credentials.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.core.jobs.identity import job_id, run_key
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from tests.contract.google_environment import variables
from tests.storage import storage_emulator, storage_variables
from tests.unit.project.conftest import write_project

LOCATION = "projects/demo-project/locations/europe-west1"
FIRST = datetime(2013, 6, 1, tzinfo=timezone.utc)
REGISTRY = """
from pathlib import Path
from kedro.pipeline import node, pipeline

def train(rate):
    return {"slope": rate}, {"loss": 1 - rate, "steps": 3, "kind": "linear", "diverged": float("nan")}

def score(model, day):
    if day == 3 and Path("{stop}").exists():
        raise ValueError("no rows")
    return {"mae": model["slope"] + day}

def register_pipelines():
    return {
        "__default__": pipeline([
            node(train, "params:model.rate", ["model", "metrics"], name="train"),
            node(score, ["model", "params:day"], "test_metrics", name="score"),
        ]),
    }
"""
FILES = {
    "conf/base/catalog.yml": "metrics: {type: json.JSONDataset, filepath: 'gs://shop/${runtime_params:day,0}.json'}\n",
    "conf/base/parameters.yml": "model: {rate: 0.5}\nday: 0\n",
    "conf/base/vertexai.yml": "project_id: demo-project\nregion: europe-west1\n"
    "run_config: {image: 'r.test/shop:1', root: shop, experiment_name: Late Flights, "
    "experiment_description: 'Of one day, in minutes.'}\n",
}
#: Google's SDK, as anybody would use it.
READ = """
import json, sys
from google.cloud import aiplatform
aiplatform.init(project="demo-project", location="europe-west1", api_transport="rest")
name = sys.argv[1]
table = aiplatform.get_experiment_df(name).set_index("run_name").sort_index()
runs = aiplatform.ExperimentRun.list(experiment=name)
print(json.dumps({
    "table": json.loads(table.to_json(orient="index")),
    "description": aiplatform.Experiment(name)._metadata_context.description,
    "jobs": {run.name: sorted(job.name for job in run.get_logged_pipeline_jobs()) for run in runs},
}))
"""


@pytest.fixture(scope="module")
def stop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("told") / "stop"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, stop: Path) -> Path:
    registry = REGISTRY.replace("{stop}", str(stop))  # a container's folder is a copy
    folder = tmp_path_factory.mktemp("project")
    return write_project(folder, {**FILES, "src/{package}/pipeline_registry.py": registry}, "shop_of_experiments")


@pytest.fixture(scope="module")
def manifest(project: Path) -> Manifest:
    return inspect_project(project)


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with storage_emulator("shop") as url:
        yield url


@pytest.fixture(scope="module")
def emulator(project: Path, storage: str) -> Iterator[VertexEmulator]:
    images = {"r.test/shop:1": project}
    with VertexEmulator(images, env=storage_variables(storage), tls=True) as running:
        yield running


def call(emulator: VertexEmulator, method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
    """Call Vertex AI, and keep no connection: one with TLS would still be there when the emulator ends."""
    url = f"{emulator.url}/v1/{path}"
    answer = requests.request(method, url, json=body, params=query, verify=str(emulator.ca), timeout=60)
    assert answer.ok, answer.text
    value: dict[str, Any] = answer.json()
    return value


def read(emulator: VertexEmulator, storage: str, experiment: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-c", READ, experiment]
    done = subprocess.run(command, capture_output=True, text=True, env=variables(emulator, storage), timeout=300)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return value


def request(manifest: Manifest, day: int, dag: str, **config: object) -> JobRequest:
    """The job of a backfilled day, as Airflow's operator describes it."""
    run_id = f"backfill__{FIRST + timedelta(day):%Y-%m-%d}"
    key = run_key(dag, run_id)
    params = {"day": day, "model": {"rate": day / 4}, "tags": ["a", "b"], "note": None}
    return JobRequest(
        build_plan(manifest, config=manifest.config.overridden(config)),
        Run(key, dag, run_id, FIRST + timedelta(day), dag_run_key=key),
        "demo-project",
        "europe-west1",
        json.dumps(params),
        f"day {day}",
        {},
    )


def ended(emulator: VertexEmulator, name: str) -> str:
    while "endTime" not in (job := call(emulator, "GET", name)):
        time.sleep(0.2)
    return str(job["state"])


def run_pipeline_job(emulator: VertexEmulator, asked: JobRequest, attempt: int = 1) -> str:
    name = job_id(asked.run.run_key, "run", -1, attempt)
    made = call(emulator, "POST", f"{LOCATION}/pipelineJobs", asked.body(name), pipelineJobId=name)
    return ended(emulator, made["name"])


def run_custom_jobs(emulator: VertexEmulator, asked: JobRequest) -> list[str]:
    states = []
    for group in asked.plan.groups:
        body = replace(asked, group=group).body(job_id(asked.run.run_key, group.task_id, -1, 1))
        states.append(ended(emulator, call(emulator, "POST", f"{LOCATION}/customJobs", body)["name"]))
    return states


def row(day: int, state: str = "COMPLETE") -> Mapping[str, Any]:
    return {
        "experiment_name": "late-flights",
        "run_type": "system.ExperimentRun",
        "state": state,
        "param.day": day,
        "param.model.rate": day / 4,
        "param.tags": '["a", "b"]',
        "param.note": "null",
        "metric.loss": 1 - day / 4,
        "metric.steps": 3,
        "metric.test_metrics.mae": day / 4 + day,
    }


def test_three_backfilled_runs_are_read_back_and_a_new_attempt_is_no_new_run(
    manifest: Manifest, emulator: VertexEmulator, storage: str, stop: Path
) -> None:
    jobs = [request(manifest, day, "flights") for day in (1, 2, 3)]
    keys = [asked.run.run_key for asked in jobs]
    stop.touch()
    # Days side by side, so that the first ones make the store and the experiment at the same time.
    with ThreadPoolExecutor(3) as days:
        states = list(days.map(lambda asked: run_pipeline_job(emulator, asked), jobs))
    assert states == ["PIPELINE_STATE_SUCCEEDED"] * 2 + ["PIPELINE_STATE_FAILED"]
    found = read(emulator, storage, "late-flights")
    expected = {key: row(day) for day, key in enumerate(keys, 1)}
    assert found["table"] == {**expected, keys[2]: {**row(3, "FAILED"), "metric.test_metrics.mae": None}}
    assert found["description"] == "Of one day, in minutes."

    stop.unlink()
    assert run_pipeline_job(emulator, jobs[2], attempt=2) == "PIPELINE_STATE_SUCCEEDED"
    found = read(emulator, storage, "late-flights")
    assert found["table"] == expected
    tries = {key: [job_id(key, "run", -1, attempt) for attempt in (1, 2)[: 1 + at // 2]] for at, key in enumerate(keys)}
    assert found["jobs"] == tries


def test_the_custom_jobs_of_a_dag_run_are_one_run(manifest: Manifest, emulator: VertexEmulator, storage: str) -> None:
    jobs = [request(manifest, day, "flights_by_node", experiment_name="by-node") for day in (1, 2, 3)]
    with ThreadPoolExecutor(3) as days:
        states = list(days.map(lambda asked: run_custom_jobs(emulator, asked), jobs))
    assert states == [["JOB_STATE_SUCCEEDED"] * 2] * 3
    found = read(emulator, storage, "by-node")
    keys = [asked.run.run_key for asked in jobs]
    assert found["table"] == {key: {**row(day), "experiment_name": "by-node"} for day, key in enumerate(keys, 1)}
    assert found["jobs"] == {key: [] for key in keys}
