"""Airflow 3: API server, scheduler, DAG processor and triggerer, asked over the REST API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.demo.airflow import (
    COMMAND_SECONDS,
    POLL_SECONDS,
    RUN_SECONDS,
    START_SECONDS,
    Run,
    Task,
    let_readers_in,
    new_run_id,
    task_log,
)
from tools.demo.errors import StackError
from tools.demo.processes import Processes
from tools.demo.rest import get_json

USUAL_PORT = 8080
BACKFILL_TRIES = 10
COMPONENTS = (
    ("api-server",),
    # The log servers would take two more ports, and the API server reads the log files itself.
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("triggerer", "--skip-serve-logs"),
)


class Airflow3:
    """An Airflow 3 that asks nobody for a password."""

    def __init__(self, *, host: str, processes: Processes, env: Mapping[str, str]) -> None:
        port = processes.ports.take(USUAL_PORT)
        self.version = version("apache-airflow")
        self.url: str | None = f"http://127.0.0.1:{port}"
        self._processes = processes
        self._env = {
            **env,
            "AIRFLOW__API__HOST": host,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
        }

    def start(self) -> None:
        """See `tools.demo.airflow.Airflow`."""
        self.command("db", "migrate")
        let_readers_in(Path(self._env["AIRFLOW_HOME"]))
        for component in COMPONENTS:
            self._processes.start(f"Airflow {component[0]}", ["airflow", *component], env=self._env)
        self._processes.until(self._healthy, "healthy report of every part of Airflow", START_SECONDS)

    def dag_ids(self) -> set[str]:
        """See `tools.demo.airflow.Airflow`."""
        for error in self._get("importErrors")["import_errors"]:
            raise StackError(f"Airflow cannot import {error['filename']}:\n{error['stack_trace']}")
        return {dag["dag_id"] for dag in self._get("dags?limit=100")["dags"]}

    def backfill(
        self,
        dag_id: str,
        first_day: date,
        last_day: date,
        *,
        watch: Callable[[], None] = lambda: None,
        seconds: float = RUN_SECONDS,
    ) -> list[Run]:
        """See `tools.demo.airflow.Airflow`."""
        days = ("--from-date", first_day.isoformat(), "--to-date", last_day.isoformat())
        self._create_backfill("--dag-id", dag_id, *days)
        return self._ended(dag_id, lambda run: first_day <= run.day <= last_day, watch, seconds)

    def _create_backfill(self, *arguments: str) -> None:
        """Make the backfill; the command undoes all when it fails.

        It reads and then writes in one transaction, and where another process wrote in between SQLite does not wait.
        """
        for left in reversed(range(BACKFILL_TRIES)):
            try:
                self.command("backfill", "create", *arguments)
                break
            except StackError as error:
                if "database is locked" not in str(error) or not left:
                    raise
                time.sleep(POLL_SECONDS)

    def trigger(self, dag_id: str, params: Mapping[str, str], *, seconds: float = RUN_SECONDS) -> Run:
        """See `tools.demo.airflow.Airflow`."""
        run_id = new_run_id()
        self.command("dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(params))
        return self._ended(dag_id, lambda run: run.run_id == run_id, lambda: None, seconds)[0]

    def runs(self, dag_id: str) -> list[Run]:
        """See `tools.demo.airflow.Airflow`."""
        found = self._get(f"dags/{quote(dag_id)}/dagRuns?limit=100&order_by=logical_date")["dag_runs"]
        return [_run(run) for run in found]

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """See `tools.demo.airflow.Airflow`."""
        found = self._get(f"dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/taskInstances?limit=500")["task_instances"]
        return [Task(task["task_id"], task["state"] or "none") for task in found]

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """See `tools.demo.airflow.Airflow`."""
        return task_log(Path(self._env["AIRFLOW_HOME"]), dag_id, run_id, task_id)

    def _ended(
        self, dag_id: str, wanted: Callable[[Run], bool], watch: Callable[[], None], seconds: float
    ) -> list[Run]:
        def runs() -> list[Run]:
            return [run for run in self.runs(dag_id) if wanted(run)]

        what = f"end of the runs of {dag_id}"
        self._processes.until(
            lambda: all(run.ended for run in runs()), what, seconds, watch=watch, interval=POLL_SECONDS
        )
        watch()
        if not (ended := runs()):
            raise StackError(f"Airflow made no run of {dag_id}. See {self._processes.logs}.")
        return ended

    def headers(self) -> dict[str, str]:
        """What calls of the REST API carry: for Airflow 3.1 a token, which it gives to everybody here."""
        if not self.version.startswith("3.1."):
            return {}
        return {"Authorization": f"Bearer {get_json(f'{self.url}/auth/token')['access_token']}"}

    def _get(self, path: str) -> Any:
        return get_json(f"{self.url}/api/v2/{path}", self.headers())

    def _healthy(self) -> bool:
        try:
            health = self._get("monitor/health")
        except StackError:
            return False
        return all(part["status"] == "healthy" for part in health.values())

    def command(self, *arguments: str) -> None:
        """See `tools.demo.airflow.Airflow`."""
        name = f"airflow {' '.join(arguments[:2])}"
        self._processes.run(name, ["airflow", *arguments], env=self._env, seconds=COMMAND_SECONDS)


def _run(run: Mapping[str, Any]) -> Run:
    start, end = (datetime.fromisoformat(run[key]) if run[key] else None for key in ("start_date", "end_date"))
    return Run(
        run_id=run["dag_run_id"],
        # A triggered run has no logical date of its own.
        day=datetime.fromisoformat(run["logical_date"] or run["run_after"]).date(),
        state=run["state"],
        minutes=(end - start).total_seconds() / 60 if start and end else None,
    )
