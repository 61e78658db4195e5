"""A real MLflow server, and requests to it that know nothing of the code under test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.demo.ports import Ports

ROOT = Path(__file__).parents[2]
# Each runner of background jobs is one more process that imports MLflow.
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
PYTHON = ROOT / ".venv-mlflow" / "bin" / "python"


@dataclass(frozen=True)
class Mlflow:
    """A tracking server."""

    url: str

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            value: dict[str, Any] = json.load(answer)
        return value

    def runs(self, run_key: str, view: str = "ALL") -> list[Run]:
        """Every run of a DAG run, also deleted ones."""
        experiments = self.call("experiments/search", {"max_results": 100})["experiments"]
        body = {
            "experiment_ids": [item["experiment_id"] for item in experiments],
            "filter": f"tags.vertexai_run_id = '{run_key}'",
            "run_view_type": view,
        }
        return [Run(item) for item in self.call("runs/search", body).get("runs", [])]

    def artifacts(self, run_id: str) -> list[str]:
        return [item["path"] for item in self.call(f"artifacts/list?run_id={run_id}").get("files", [])]


@dataclass(frozen=True)
class Run:
    """A run as the server tells it."""

    body: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.body["info"]["run_id"])

    @property
    def status(self) -> str:
        return str(self.body["info"]["status"])

    @property
    def name(self) -> str:
        return str(self.body["info"]["run_name"])

    @property
    def params(self) -> dict[str, str]:
        return self._pairs("params")

    @property
    def metrics(self) -> dict[str, float]:
        return self._pairs("metrics")

    @property
    def tags(self) -> dict[str, str]:
        return self._pairs("tags")

    @property
    def states(self) -> dict[str, str]:
        """The tags by which containers tell how they are."""
        return {name: value for name, value in self.tags.items() if name.startswith("kedro_vertex.")}

    def _pairs(self, name: str) -> dict[str, Any]:
        return {item["key"]: item["value"] for item in self.body["data"].get(name, [])}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Mlflow]:
    """Start ``mlflow server`` on a database and a folder of its own."""
    if not PYTHON.exists():
        raise FileNotFoundError(f"There is no {PYTHON}: these tests need an environment with MLflow. Run `make test`.")
    port = Ports().take()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **_LEAN},
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while not _healthy(url):
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.1)
        yield Mlflow(url)
    finally:
        # Its workers are children of its own: they are in its process group. There is nothing that it has to save.
        with suppress(ProcessLookupError):  # it could not start
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=120) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
