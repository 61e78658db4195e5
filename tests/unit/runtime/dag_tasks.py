"""Tasks of a DAG up to their jobs on a Vertex AI, without Airflow's database and scheduler."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_kedro_vertex.core.jobs.states import is_over, succeeded
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import read_image
from airflow_provider_kedro_vertex.hooks import KedroVertexHook
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator
from airflow_provider_kedro_vertex.task.run import rendered
from airflow_provider_kedro_vertex.vertex.submission import submit_job
from tests.storage import storage_emulator, storage_variables

MOMENT = datetime(2024, 1, 1, tzinfo=timezone.utc)


class Vertex:
    """Vertex AI and Cloud Storage, and what Airflow does with a task until its job is there."""

    def __init__(self, emulator: VertexEmulator, storage: str) -> None:
        self._emulator = emulator
        self._storage = storage

    def submit(self, task: Any, run_id: str = "manual", map_index: int = -1) -> str:
        """Submit a task's job, and return its name."""
        # What is read of it; the rest takes a database.
        context: Any = {
            "ti": SimpleNamespace(
                dag_id=task.dag.dag_id,
                run_id=run_id,
                task_id=task.task_id,
                map_index=map_index,
                try_number=1,
                max_tries=0,
                xcom_pull=lambda *arguments, **keywords: [],  # Airflow 2 asks for what other tasks' outlets were
            ),
            "dag": task.dag,
            "dag_run": SimpleNamespace(conf=None, start_date=MOMENT, run_after=MOMENT),
            "run_id": run_id,
            "params": task.params.dump(),
            "logical_date": MOMENT,
        }
        task = context["ti"].task = rendered(task, context)
        if isinstance(task, KedroVertexCustomJobOperator):
            task.pre_execute(context)
        asked = task.submission(context)
        made = submit_job(asked.client, asked.request.collection, asked.task, asked.request.body)
        assert made.created
        return str(made.job["name"])

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self._emulator.url}/v1/{name}", timeout=30).json()
        return found

    def end(self, *names: str) -> list[dict[str, Any]]:
        """Wait until all of these jobs have ended."""
        jobs = []
        for name in names:
            deadline = time.monotonic() + 600
            while not is_over((job := self.job(name))["state"]):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            jobs.append(job)
        return jobs

    def succeed(self, *names: str) -> list[dict[str, Any]]:
        jobs = self.end(*names)
        assert all(succeeded(job["state"]) for job in jobs), [job.get("error") for job in jobs] + self.log()
        return jobs

    def log(self) -> list[Any]:
        """The last lines of all containers' logs."""
        entries = KedroVertexHook().client("demo-project", "europe-west1").log_entries('resource.type="ml_job"', 1000)
        return [entry.get("jsonPayload") for entry in entries]

    def stored(self, path: str) -> Any:
        """What a JSON file of the bucket has."""
        url = f"{self._storage}/storage/v1/b/bucket/o/{quote(path, safe='')}?alt=media"
        return requests.get(url, timeout=30).json()


@contextmanager
def running_vertex(image: str, project: Path, python: Path | None = None) -> Iterator[Vertex]:
    """Run both emulators, with a bucket ``bucket``; Airflow's connection and the containers reach them.

    :param image: the name of the image whose containers run in the project's folder.
    :param python: the image's Python, if it is another one than that of the tests.
    """
    with storage_emulator("bucket") as storage:
        variables = {**storage_variables(storage), "PYTHONWARNINGS": "ignore"}
        with (
            VertexEmulator({image: read_image(project, python)}, env=variables) as emulator,
            pytest.MonkeyPatch.context() as patch,
        ):
            extra = {"is_anonymous": True, "api_endpoint": emulator.url, "logging_endpoint": emulator.url}
            connection = {"conn_type": "google_cloud_platform", "extra": {**extra, "storage_endpoint": storage}}
            patch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
            yield Vertex(emulator, storage)
