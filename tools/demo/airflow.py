"""What the two supported Airflows have in common, seen from the stack."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Protocol

START_SECONDS = 120.0
COMMAND_SECONDS = 60.0
POLL_SECONDS = 2.0
RUN_SECONDS = 900.0
LOCK_SECONDS = 60


@dataclass(frozen=True)
class Run:
    """A DAG run. The minutes are those from its start to its end, None before it ended."""

    run_id: str
    day: date
    state: str
    minutes: float | None

    @property
    def ended(self) -> bool:
        """Ended, in whichever way."""
        return self.state in ("success", "failed")


@dataclass(frozen=True)
class Task:
    """A task instance of a DAG run."""

    task_id: str
    state: str


class Airflow(Protocol):
    """A running Airflow."""

    version: str
    url: str | None  # its page; None where no web server is started

    def start(self) -> None:
        """Make the database, start the processes and return when all of them answer."""

    def dag_ids(self) -> set[str]:
        """The DAGs that are parsed and stored; a StackError when a DAG file has an import error."""

    def backfill(
        self,
        dag_id: str,
        first_day: date,
        last_day: date,
        *,
        watch: Callable[[], None] = lambda: None,
        seconds: float = RUN_SECONDS,
    ) -> list[Run]:
        """Run Airflow's own backfill command and return the days' runs, oldest first, once all have ended.

        `watch` is called again and again. A run that failed is no error here; its state says it. A StackError is
        raised when the command fails, a part of the stack ends, or the seconds are over.
        """

    def trigger(self, dag_id: str, params: Mapping[str, str], *, seconds: float = RUN_SECONDS) -> Run:
        """Run a DAG once with these params, as the trigger form does, and return the run once it has ended.

        A StackError is raised as by `backfill`.
        """

    def command(self, *arguments: str) -> None:
        """Run one of Airflow's commands; a StackError when it fails."""

    def runs(self, dag_id: str) -> list[Run]:
        """The DAG's runs, oldest day first."""

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """The task instances of a run."""

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The log of the task's last try; empty when it never ran."""


def settings(
    home: Path, dags_folder: Path, *, project: str, vertex_url: str, storage_url: str | None = None
) -> dict[str, str]:
    """The environment variables that both versions understand."""
    connection = {
        "conn_type": "google_cloud_platform",
        "extra": {
            "project": project,
            "is_anonymous": True,
            "api_endpoint": vertex_url,
            "logging_endpoint": vertex_url,
            "storage_endpoint": storage_url,
            "console_url": vertex_url,
            **({"storage_endpoint": storage_url} if storage_url else {}),
        },
    }
    return {
        "AIRFLOW_HOME": str(home),
        # Several processes write to one file: each waits for the others a while before it says "database is locked".
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_database(home)}?timeout={LOCK_SECONDS}",
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # The example DAGs end with their data, in 2013: nothing is scheduled for today.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # Each worker is a process of its own, started beforehand; a waiting task is deferred and needs none.
        "AIRFLOW__CORE__PARALLELISM": "4",
        # Waiting is the triggerer's work.
        "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def new_run_id() -> str:
    """A run id for a triggered run, which sorts by time."""
    return f"manual__{datetime.now(timezone.utc).isoformat()}"


def let_readers_in(home: Path) -> None:
    """Put the migrated database in SQLite's WAL mode, where reading and writing do not lock each other out."""
    with contextlib.closing(sqlite3.connect(_database(home))) as database:
        database.execute("PRAGMA journal_mode=WAL")


def _database(home: Path) -> Path:
    return home.absolute() / "airflow.db"


def task_log(home: Path, dag_id: str, run_id: str, task_id: str) -> str:
    """The log of the task's last try, from the file in Airflow's home; empty when it never ran."""
    folder = home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
    # Beside them are the triggerer's parts, named attempt=1.log.trigger.2.log.
    tries = sorted(folder.glob("attempt=*.log"), key=lambda file: (".trigger." not in file.name, file.stat().st_mtime))
    lines = tries[-1].read_text(errors="replace").splitlines() if tries else []
    return "\n".join(_plain(line) for line in lines)


def _plain(line: str) -> str:
    """Airflow 3 writes a JSON object for each line, Airflow 2 plain text."""
    try:
        entry = json.loads(line)
        errors = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ()]
        return "\n".join([str(entry["event"]), *errors])
    except (ValueError, TypeError, KeyError, AttributeError):
        return line
