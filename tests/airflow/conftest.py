"""One DAG run of Airflow's own ``airflow dags test``, whose tasks the tests look at one by one."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.airflow.command import airflow_command
from tests.storage import storage_emulator
from tools.demo.processes import Processes

DAG_ID, DAY = "operator_runs", "2013-06-02"
IMAGE = "example/image:1"
DAG_FILES = Path(__file__).parent / "dags"

#: Stands in for the runtime inside of the container: it tells what it was given, and fails when told to.
RUNTIME = """
import json, sys
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
given = arguments["--params"]
params = {"object": given} if given.startswith("@") else json.loads(given)
print(json.dumps({"node": arguments["--node"], "params": params, "context": json.loads(arguments["--context"])}))
if params.get("exit"):
    print(json.dumps({"node": arguments["--node"], "error": "ValueError: no rows", "seconds": 1.5}))
sys.exit(params.get("exit", 0))
"""


@dataclass(frozen=True)
class DagRun:
    """A finished run of the DAG of `tests/airflow/dags`."""

    output: str
    database: Path

    def state(self, task_id: str) -> tuple[str, int]:
        """The task's state and how many tries it took."""
        (row,) = self._read("SELECT state, try_number FROM task_instance WHERE task_id = ?", task_id)
        return row

    def mapped_states(self, task_id: str) -> list[tuple[int, str]]:
        """The map index and state of each instance of a mapped task."""
        return self._read("SELECT map_index, state FROM task_instance WHERE task_id = ? ORDER BY map_index", task_id)

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        """A value that the task left; None if there is none."""
        rows = self._read("SELECT value FROM xcom WHERE task_id = ? AND key = ?", task_id, key)
        return json.loads(rows[0][0]) if rows else None

    def _read(self, query: str, *values: str) -> list[Any]:
        with sqlite3.connect(self.database) as connection:
            return connection.execute(query, values).fetchall()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    started = Processes(tmp_path_factory.mktemp("logs"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    image = tmp_path_factory.mktemp("image")
    package = image / "airflow_provider_kedro_vertex"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "runtime.py").write_text(RUNTIME)
    with VertexEmulator(images={IMAGE: image}, data=tmp_path_factory.mktemp("vertex")) as running:
        yield running


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    with storage_emulator("bucket") as url:
        yield url


@pytest.fixture(scope="session")
def run(vertex: VertexEmulator, storage: str, tmp_path_factory: pytest.TempPathFactory) -> DagRun:
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(DAG_FILES / "operator_runs.py", dags)
    manifests.write(_manifest(), dags / "small.manifest.json")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            # Airflow 3.2 wants one for the API that `dags test` serves within its own process.
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": _connection(vertex.url, storage),
            "AIRFLOW_CONN_NOBODY": _connection(nobody, storage),
        }
        airflow_command(environment, "db", "migrate")
        conf = json.dumps({"typed": "{{ ds }}"})
        output = airflow_command(environment, "dags", "test", DAG_ID, DAY, "--conf", conf, check=False)
    return DagRun(output, home / "airflow.db")


def _connection(url: str, storage: str) -> str:
    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": url, "console_url": url}
    extra |= {"logging_endpoint": url, "storage_endpoint": storage}
    return json.dumps({"conn_type": "google_cloud_platform", "extra": extra})


def _manifest() -> Manifest:
    settings = {"project_id": "demo-project", "region": "europe-west1", "image": IMAGE, "root": "bucket/runs"}
    node = Node("make_rows", ("params:rows",), ("rows",))
    return Manifest(
        project=Project("Small Project", "small", "1.7.0"),
        env=None,
        config=RunConfig.from_dict({**settings, "experiment_name": "tests"}),
        parameters={"rows": Parameter("integer", 3)},
        datasets={"rows": Dataset("rows", "MemoryDataset")},
        pipelines={
            "first": Pipeline("first", (node,)),
            "tell": Pipeline("tell", (Node("tell", ("params:run_outcome",), ("told",)),)),
        },
        runtime_params={"country": False},
    )
