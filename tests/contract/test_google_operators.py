"""The operators of Google's Airflow provider, unmodified, run by ``airflow dags test``; see `dags/`."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import distribution
from pathlib import Path

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.airflow.command import airflow_command
from tests.unit.emulator.specs import PARENT, container_spec

from .google_environment import google_environment

pytestmark = [pytest.mark.airflow]

# The operator is newer than the last provider for Airflow 2. It is looked for without importing all of it.
_PROVIDER = distribution("apache-airflow-providers-google")
_OPERATORS = Path(str(_PROVIDER.locate_file("airflow/providers/google/cloud/operators/vertex_ai/custom_job.py")))
HAS_CUSTOM_JOBS = "class CreateCustomJobOperator" in _OPERATORS.read_text()

DEFERRED = ("", "-deferred")


def test_the_operators_wait_for_their_jobs(tmp_path: Path) -> None:
    # One test, so that one process of pytest-xdist runs Airflow once.
    images = {"quick": Noop(2), "failing": Noop(0, 3)}
    for image in images:
        (tmp_path / f"{image}.json").write_text(json.dumps(container_spec({"a": [], "b": ["a"]}, image=image)))
    (tmp_path / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "google_operators.py", tmp_path / "dags")
    connection = {"conn_type": "google_cloud_platform", "extra": {"project": "demo-project", "is_anonymous": True}}
    with (
        VertexEmulator(images, data=tmp_path / "data", tls=True) as emulator,
        google_environment(emulator) as environment,
    ):
        environment |= {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            # Google's operators take seconds to import, and many on a busy machine.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
            "PIPELINE_SPECS": str(tmp_path),
        }
        airflow_command(environment, "db", "migrate")
        output = airflow_command(environment, "dags", "test", "google_operators", "2013-06-02", check=False)
        kinds_of_jobs = ("pipelineJobs", "customJobs", "trainingPipelines")
        pipeline_jobs, custom_jobs, left = (_states(emulator, name) for name in kinds_of_jobs)
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        tasks = dict(database.execute("SELECT task_id, state FROM task_instance").fetchall())
        values = {(task, key): value for task, key, value in database.execute("SELECT task_id, key, value FROM xcom")}
    kinds = ["pipeline", "custom"] if HAS_CUSTOM_JOBS else ["pipeline"]
    assert tasks == {
        f"{kind}-{image}{deferred}": "success" if image == "quick" else "failed"
        for kind in kinds
        for image in images
        for deferred in DEFERRED
    } | dict.fromkeys(("training", "listed", "deleted"), "success"), output
    (listed,) = json.loads(values["listed", "return_value"])
    assert (listed["display_name"], listed["name"]) == (
        "trained",
        f"{PARENT}/trainingPipelines/{json.loads(values['training', 'training_id'])}",
    )
    # A training pipeline and its CustomJob.
    assert left == {}
    assert "trained-custom-job" not in custom_jobs
    for deferred in DEFERRED:
        assert pipeline_jobs[f"quick{deferred}"] == "PIPELINE_STATE_SUCCEEDED"
        assert pipeline_jobs[f"failing{deferred}"] == "PIPELINE_STATE_FAILED"
        task_id = f"pipeline-quick{deferred}"
        assert json.loads(values[task_id, "pipeline_job_id"]) == f"quick{deferred}"
        assert json.loads(values[task_id, "return_value"])["name"] == f"{PARENT}/pipelineJobs/quick{deferred}"
        if HAS_CUSTOM_JOBS:
            assert custom_jobs[f"quick{deferred}"] == "JOB_STATE_SUCCEEDED"
            assert custom_jobs[f"failing{deferred}"] == "JOB_STATE_FAILED"
            assert json.loads(values[f"custom-quick{deferred}", "custom_job_id"]).isdecimal()


def _states(emulator: VertexEmulator, collection: str) -> dict[str, str]:
    found = requests.get(f"{emulator.url}/v1/{PARENT}/{collection}", verify=str(emulator.ca), timeout=120).json()
    return {job["displayName"]: job["state"] for job in found.get(collection, ())}
