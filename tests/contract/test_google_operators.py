"""The operators of Google's Airflow provider, unmodified, run by ``airflow dags test``; see `dags/`."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.images import Noop
from tests.unit.emulator.specs import PARENT, container_spec

from .google_environment import google_environment

pytestmark = [pytest.mark.airflow]


@dataclass(frozen=True)
class Run:
    """What became of the tasks and of the jobs that they made."""

    output: str
    tasks: dict[str, str]
    values: dict[tuple[str, str], str]
    pipeline_jobs: dict[str, str]
    custom_jobs: dict[str, str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("operators")
    images = {"quick": Noop(2), "failing": Noop(0, 3)}
    for image in images:
        (folder / f"{image}.json").write_text(json.dumps(container_spec({"a": [], "b": ["a"]}, image=image)))
    (folder / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "google_operators.py", folder / "dags")
    connection = {
        "conn_type": "google_cloud_platform",
        "extra": {"project": "demo-project", "is_anonymous": True},
    }
    with (
        VertexEmulator(images, data=folder / "data", tls=True) as emulator,
        google_environment(emulator) as environment,
    ):
        environment |= {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
            "PIPELINE_SPECS": str(folder),
        }
        _airflow(environment, "db", "migrate")
        output = _airflow(environment, "dags", "test", "google_operators", "2013-06-02", check=False)

        def states(collection: str) -> dict[str, str]:
            found = requests.get(f"{emulator.url}/v1/{PARENT}/{collection}", verify=str(emulator.ca), timeout=30).json()
            return {job["displayName"]: job["state"] for job in found.get(collection, [])}

        pipeline_jobs, custom_jobs = states("pipelineJobs"), states("customJobs")
    database = sqlite3.connect(folder / "airflow.db")
    tasks = dict(database.execute("SELECT task_id, state FROM task_instance").fetchall())
    values = {(task, key): value for task, key, value in database.execute("SELECT task_id, key, value FROM xcom")}
    database.close()
    return Run(output, tasks, values, pipeline_jobs, custom_jobs)


def _airflow(environment: dict[str, str], *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "airflow", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0 or not check, done.stdout
    return done.stdout


@pytest.mark.parametrize("name", ["quick", "quick-deferred"])
def test_a_pipeline_job_is_waited_for(run: Run, name: str) -> None:
    assert run.tasks[f"pipeline-{name}"] == "success", run.output
    assert run.pipeline_jobs[name] == "PIPELINE_STATE_SUCCEEDED"
    assert json.loads(run.values[f"pipeline-{name}", "pipeline_job_id"]) == name
    job = json.loads(run.values[f"pipeline-{name}", "return_value"])
    assert job["name"] == f"{PARENT}/pipelineJobs/{name}"


@pytest.mark.parametrize("name", ["failing", "failing-deferred"])
def test_a_failed_pipeline_job_fails_its_task(run: Run, name: str) -> None:
    assert run.tasks[f"pipeline-{name}"] == "failed"
    assert run.pipeline_jobs[name] == "PIPELINE_STATE_FAILED"


@pytest.mark.parametrize(("name", "state"), [("quick", "success"), ("failing", "failed")])
@pytest.mark.parametrize("deferred", [False, True])
def test_a_custom_job_is_waited_for(run: Run, name: str, state: str, deferred: bool) -> None:
    custom_jobs = pytest.importorskip("airflow.providers.google.cloud.operators.vertex_ai.custom_job")
    if not hasattr(custom_jobs, "CreateCustomJobOperator"):
        pytest.skip("CreateCustomJobOperator is newer than the last provider for Airflow 2")
    name = f"{name}-deferred" if deferred else name
    assert run.custom_jobs[name] == ("JOB_STATE_SUCCEEDED" if state == "success" else "JOB_STATE_FAILED")
    assert json.loads(run.values[f"custom-{name}", "custom_job_id"]).isdecimal()
    assert run.tasks[f"custom-{name}"] == state, run.output
