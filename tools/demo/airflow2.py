"""Airflow 2.11: scheduler and triggerer, asked over the command line. There is no web server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.demo.airflow import (
    COMMAND_SECONDS,
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
from tools.demo.rest import answers

# Each look is a command that takes two seconds of a processor.
POLL_SECONDS = 8.0


class Airflow2:
    """An Airflow 2.11 without pages."""

    def __init__(self, *, processes: Processes, env: Mapping[str, str]) -> None:
        port = processes.ports.take()
        self.version = version("apache-airflow")
        self.url: str | None = None
        self._health = f"http://127.0.0.1:{port}/health"
        self._processes = processes
        self._env = {
            **env,
            # Airflow 2 grants SQLite only the SequentialExecutor, whose one task at a time holds the scheduler up.
            # Its own tests lift that with this variable; three short tasks at once do no harm to a file in WAL mode.
            "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
            # A task that has ended would schedule those after it, and so does the scheduler, under a lock
            # that SQLite does not have: now and then a task was queued twice, and its first try was told as its second.
            "AIRFLOW__SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(port),
            "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "10",
            # Standard output is for the commands' JSON.
            "PYTHONWARNINGS": "ignore",
        }

    def start(self) -> None:
        """See `tools.demo.airflow.Airflow`."""
        argv = ["airflow", "db", "migrate"]
        self._processes.run("airflow db migrate", argv, env=self._env, seconds=COMMAND_SECONDS)
        let_readers_in(Path(self._env["AIRFLOW_HOME"]))
        for component in ("scheduler", "triggerer"):
            argv = ["airflow", component, "--skip-serve-logs"]
            self._processes.start(f"Airflow {component}", argv, env=self._env)
        self._processes.until(lambda: answers(self._health), "answer of Airflow's scheduler", START_SECONDS)
        self._processes.until(self._triggerer_alive, "heartbeat of Airflow's triggerer", START_SECONDS)

    def dag_ids(self) -> set[str]:
        """See `tools.demo.airflow.Airflow`."""
        for error in self._ask("dags", "list-import-errors"):
            raise StackError(f"Airflow cannot import {error['filepath']}:\n{error['error']}")
        return {dag["dag_id"] for dag in self._ask("dags", "list")}

    def backfill(
        self,
        dag_id: str,
        first_day: date,
        last_day: date,
        *,
        watch: Callable[[], None] = lambda: None,
        seconds: float = RUN_SECONDS,
    ) -> list[Run]:
        """See `tools.demo.airflow.Airflow`. The command itself schedules the tasks and waits for them."""
        days = ["--start-date", first_day.isoformat(), "--end-date", last_day.isoformat()]
        argv = ["airflow", "dags", "backfill", dag_id, *days, "--yes"]
        command = self._processes.start(f"airflow dags backfill {dag_id}", argv, env=self._env)
        code = self._processes.wait(command, seconds, watch=watch)
        runs = [run for run in self.runs(dag_id) if first_day <= run.day <= last_day]
        if not runs or not all(run.ended for run in runs):
            raise StackError(f"{command.name} ended with exit code {code} before its runs did. {command.log_tail()}")
        return runs

    def trigger(self, dag_id: str, params: Mapping[str, str], *, seconds: float = RUN_SECONDS) -> Run:
        """See `tools.demo.airflow.Airflow`."""
        run_id = new_run_id()
        self._ask("dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(params))

        def runs() -> list[Run]:
            return [run for run in self.runs(dag_id) if run.run_id == run_id]

        ended = f"end of {run_id}"
        self._processes.until(lambda: all(run.ended for run in runs()), ended, seconds, interval=POLL_SECONDS)
        return runs()[0]

    def command(self, *arguments: str) -> None:
        """See `tools.demo.airflow.Airflow`."""
        name = f"airflow {' '.join(arguments[:2])}"
        self._processes.run(name, ["airflow", *arguments], env=self._env, seconds=COMMAND_SECONDS)

    def runs(self, dag_id: str) -> list[Run]:
        """See `tools.demo.airflow.Airflow`."""
        runs = [_run(run) for run in self._ask("dags", "list-runs", "--dag-id", dag_id)]
        return sorted(runs, key=lambda run: run.day)

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """See `tools.demo.airflow.Airflow`."""
        found = self._ask("tasks", "states-for-dag-run", dag_id, run_id)
        return [Task(task["task_id"], task["state"] or "none") for task in found]

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """See `tools.demo.airflow.Airflow`."""
        return task_log(Path(self._env["AIRFLOW_HOME"]), dag_id, run_id, task_id)

    def _triggerer_alive(self) -> bool:
        argv = ["airflow", "jobs", "check", "--job-type", "TriggererJob"]
        return self._call(argv).returncode == 0

    def _ask(self, *arguments: str) -> Any:
        answer = self._call(["airflow", *arguments, "--output", "json"])
        # Plugins log a line or two to standard output before the JSON, which is the last line.
        lines = answer.stdout.strip().splitlines()
        if answer.returncode or not lines:
            raise StackError(f"airflow {' '.join(arguments)} failed:\n{answer.stderr}{answer.stdout}")
        return json.loads(lines[-1]) if lines[-1].startswith("[") else []

    def _call(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, env=self._env, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)


def _run(run: Mapping[str, Any]) -> Run:
    start, end = (datetime.fromisoformat(run[key]) if run[key] else None for key in ("start_date", "end_date"))
    return Run(
        run_id=run["run_id"],
        day=datetime.fromisoformat(run["execution_date"]).date(),
        state=run["state"],
        minutes=(end - start).total_seconds() / 60 if start and end else None,
    )
