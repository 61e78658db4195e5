"""The whole local stack: a bucket, a Vertex AI and an Airflow that works on them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from tools.demo.airflow import Airflow, settings
from tools.demo.airflow2 import Airflow2
from tools.demo.airflow3 import Airflow3
from tools.demo.processes import Processes
from tools.demo.project import KedroProject
from tools.demo.storage import StorageEmulator
from tools.demo.vertex import VertexEmulator

START_SECONDS = 60.0
DAG_SECONDS = 120.0
# Settings of the person who starts the stack, which would lead the parts elsewhere.
FOREIGN = ("AIRFLOW", "_AIRFLOW", "KEDRO", "MLFLOW", "GOOGLE_", "VERTEX_", "STORAGE_", "GCSFS_", "FSSPEC_", "PYTHON")
NO_TELEMETRY = {"DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1"}

# Nodes run side by side, each as if on a machine of one processor; more threads would only wait for each other.
ONE_PROCESSOR = {"OMP_NUM_THREADS": "1"}


def environment() -> dict[str, str]:
    """The environment variables of this process without foreign settings, its own Python's programs first on PATH."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    own["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), own.get("PATH", os.defpath)))
    return {**own, **NO_TELEMETRY, "PYTHONUNBUFFERED": "1"}


class Stack:
    """The stack as a context manager: up when it is entered, and nothing of it left when it is done.

    Meanwhile SIGTERM and SIGHUP are KeyboardInterrupts, as SIGINT is.

    Args:
        folder: Where its logs, Airflow's home and the jobs of the Vertex AI emulator go.
        dags_folder: The DAG files.
        project: The Kedro project of these DAGs. Its manifest names the image, the bucket, the Google Cloud project
            and the region that the emulators then have.
        host: The address at which the pages listen.

    Raises:
        StackError: On entering, when a part does not start.
    """

    airflow: Airflow
    storage: StorageEmulator
    vertex: VertexEmulator

    def __init__(self, folder: Path, *, dags_folder: Path, project: KedroProject, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.processes = Processes(folder / "logs")
        self._cleanup = ExitStack()
        self._dags_folder = dags_folder
        self._project = project
        self._host = host

    def __enter__(self) -> Stack:
        if threading.current_thread() is threading.main_thread():
            # Else Python would end at once, and leave the stack behind.
            for kind in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(kind) is not signal.SIG_IGN:  # as nohup says of SIGHUP
                    self._cleanup.callback(signal.signal, kind, signal.signal(kind, signal.default_int_handler))
        self._cleanup.callback(self.processes.stop)
        try:
            self._start(environment())
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def wait_for_dag(self, dag_id: str) -> None:
        """Return when Airflow knows the DAG.

        Raises:
            StackError: A DAG file has an import error, or the DAG does not come.
        """
        self.processes.until(lambda: dag_id in self.airflow.dag_ids(), f"DAG {dag_id}", DAG_SECONDS)

    def _start(self, env: Mapping[str, str]) -> None:
        self._project.inspect(self.processes, env)
        target = self._project.target()
        self.storage = StorageEmulator(target.bucket, processes=self.processes, env=env)
        self.vertex = VertexEmulator(
            target,
            self._project.folder,
            host=self._host,
            data=self.folder / "vertex",
            node_settings={**self.storage.client_settings(), **NO_TELEMETRY, **ONE_PROCESSOR},
            processes=self.processes,
            env=env,
        )
        airflow_env = {
            **env,
            **settings(
                self.folder / "airflow",
                self._dags_folder,
                project=target.project_id,
                vertex_url=self.vertex.url,
                storage_url=self.storage.url,
            ),
        }
        if version("apache-airflow").startswith("2."):
            self.airflow = Airflow2(processes=self.processes, env=airflow_env)
        else:
            self.airflow = Airflow3(host=self._host, processes=self.processes, env=airflow_env)
        self.airflow.start()
        self.processes.until(self.storage.ready, "answer of the storage emulator", START_SECONDS)
        self.processes.until(self.vertex.ready, "answer of the Vertex AI emulator", START_SECONDS)
