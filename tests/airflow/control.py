"""What a person does to a running Airflow: trigger, clear and mark; and what happens to it: a component is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests

from tools.demo.airflow import settings
from tools.demo.airflow2 import Airflow2
from tools.demo.airflow3 import Airflow3
from tools.demo.errors import StackError
from tools.demo.processes import Processes, _members, tail
from tools.demo.stack import environment

#: Airflow 2 is run without a web server, and its command line cannot mark a task.
MARK = """
import sys
from airflow.models.dagbag import DagBag
from airflow.utils.state import TaskInstanceState
dag_id, run_id, task_id, state = sys.argv[1:]
DagBag(include_examples=False).get_dag(dag_id).set_task_instance_state(
    task_id=task_id, run_id=run_id, state=TaskInstanceState(state)
)
"""
FAIL_RUN = """
import sys
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.models.dagbag import DagBag
dag_id, run_id = sys.argv[1:]
set_dag_run_state_to_failed(dag=DagBag(include_examples=False).get_dag(dag_id), run_id=run_id, commit=True)
"""
SECONDS = 300.0


def start_emulator(processes: Processes, data: Path, *arguments: str) -> str:
    """Start the Vertex AI emulator in a process of its own and return its address once it answers."""
    argv = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator", "--port", "0", "--data", str(data)]
    processes.start("Vertex AI emulator", [*argv, *arguments], env=environment())
    address = data / "url"
    processes.until(lambda: address.exists() and bool(address.read_text()), "address of the emulator", SECONDS)
    return address.read_text().strip()


@dataclass(frozen=True)
class RunningVertex:
    """The emulator, asked over its own addresses."""

    url: str

    def jobs(self, dag_id: str, task_id: str | None = None, collection: str = "pipelineJobs") -> list[dict[str, Any]]:
        """The jobs of a DAG, or of one of its tasks, the oldest first."""
        wanted = f'labels.airflow-dag-id="{dag_id}"'
        if task_id is not None:
            wanted += f' AND labels.airflow-task-id="{task_id}"'
        parent = f"{self.url}/v1/projects/demo-project/locations/europe-west1"
        answer = requests.get(f"{parent}/{collection}", params={"filter": wanted, "pageSize": "100"}, timeout=120)
        return sorted(answer.json().get(collection, []), key=lambda job: str(job["createTime"]))

    def states(self, dag_id: str, task_id: str | None = None) -> list[str]:
        return [job["state"].removeprefix("PIPELINE_STATE_") for job in self.jobs(dag_id, task_id)]


@dataclass(frozen=True)
class AssetEvent:
    """An event of an asset."""

    uri: str
    task_id: str
    extra: dict[str, Any]


class RunningAirflow:
    """A real Airflow of the installed version, with the DAGs of one folder.

    :param home: Airflow's home.
    :param env: the environment of its processes.
    :param storage_url: Cloud Storage; None if no job needs it.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        processes: Processes,
        vertex_url: str,
        env: Mapping[str, str],
        storage_url: str | None = None,
    ) -> None:
        self._home = home
        self._processes = processes
        self._env = {
            **env,
            **settings(home, dags, project="demo-project", vertex_url=vertex_url, storage_url=storage_url),
        }
        # Many short tasks: what is to be seen is what becomes of them.
        self._env["AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC"] = "1"
        self._env["AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL"] = "2"
        # A triggerer that was killed is given up this soon.
        self._env["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"] = "10"
        self._env["AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC"] = "2"
        self.is_2 = version("apache-airflow").startswith("2.")
        self._airflow: Airflow2 | Airflow3
        if self.is_2:
            self._airflow = Airflow2(processes=processes, env=self._env)
        else:
            self._airflow = Airflow3(host="127.0.0.1", processes=processes, env=self._env)

    def start(self, *dag_ids: str) -> None:
        """Return when every component answers and these DAGs are known."""
        self._airflow.start()
        self._processes.until(lambda: self._airflow.dag_ids() >= set(dag_ids), "DAGs", SECONDS, interval=1.0)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any] | None = None) -> None:
        """Ask for a run.

        :param conf: what its trigger form would send.
        """
        more = () if conf is None else ("--conf", json.dumps(conf))
        self._command("dags", "trigger", dag_id, "--run-id", run_id, *more)

    def backfill(self, dag_id: str, first_day: date, last_day: date) -> dict[str, str]:
        """Run these days with Airflow's own command: run id to the state in which the run ended."""
        runs = self._airflow.backfill(dag_id, first_day, last_day)
        return {run.run_id: run.state for run in runs}

    def clear(
        self, dag_id: str, run_id: str, task_id: str, *, downstream: bool = False, only_failed: bool = False
    ) -> None:
        if self.is_2:
            more = [option for option, on in (("--downstream", downstream), ("--only-failed", only_failed)) if on]
            self._command("tasks", "clear", dag_id, "--task-regex", f"^{task_id}$", "--yes", *more)
        else:
            wanted = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": only_failed}
            wanted["include_downstream"] = downstream
            self._call("POST", f"dags/{dag_id}/clearTaskInstances", wanted)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        if self.is_2:
            argv = [sys.executable, "-W", "ignore", "-c", MARK, dag_id, run_id, task_id, state]
            self._processes.run(f"mark {task_id}", argv, env=self._env, seconds=SECONDS)
        else:
            self._call("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", {"new_state": state})

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark a whole run as failed."""
        if self.is_2:
            argv = [sys.executable, "-W", "ignore", "-c", FAIL_RUN, dag_id, run_id]
            self._processes.run(f"fail {dag_id}", argv, env=self._env, seconds=SECONDS)
        else:
            self._call("PATCH", f"dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self._read("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", dag_id, run_id)[0][0])

    def kill_triggerer(self) -> None:
        """`kill -9` of all that belongs to it."""
        name = "Airflow triggerer"
        (triggerer,) = (one for one in self._processes._running if one.name == name)
        self._processes._running.remove(triggerer)
        os.killpg(triggerer.session, signal.SIGKILL)
        for pid in _members({triggerer.session}):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        triggerer._process.wait()

    def start_triggerer(self) -> None:
        argv = ["airflow", "triggerer", "--skip-serve-logs"]
        self._processes.start("Airflow triggerer", argv, env=self._airflow._env)

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Task id to state."""
        query = "SELECT task_id, state FROM task_instance WHERE dag_id = ? AND run_id = ?"
        return dict(self._read(query, dag_id, run_id))

    def mapped_states(self, dag_id: str, run_id: str, task_id: str) -> list[str | None]:
        """The states of the instances of a mapped task, by their map indexes."""
        query = "SELECT state FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ? ORDER BY map_index"
        return [state for (state,) in self._read(query, dag_id, run_id, task_id)]

    def try_number(self, dag_id: str, run_id: str, task_id: str) -> int:
        query = "SELECT try_number FROM task_instance WHERE dag_id = ? AND run_id = ? AND task_id = ?"
        return int(self._read(query, dag_id, run_id, task_id)[0][0])

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """The task's result; None if there is none."""
        query = "SELECT value FROM xcom WHERE dag_id = ? AND run_id = ? AND task_id = ? AND key = 'return_value'"
        rows = self._read(query, dag_id, run_id, task_id)
        return json.loads(rows[0][0]) if rows else None

    def has_trigger(self, dag_id: str, run_id: str, task_id: str) -> bool:
        """Whether the triggerer has taken up the task's current try."""
        if self.is_2:  # its triggers say nothing of their start, and its commands take longer than that
            query = """SELECT 1 FROM task_instance JOIN "trigger" ON "trigger".id = trigger_id
                WHERE dag_id = ? AND run_id = ? AND task_id = ? AND state = 'deferred' AND triggerer_id IS NOT NULL"""
            return bool(self._read(query, dag_id, run_id, task_id))
        folder = self._home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return any(folder.glob(f"attempt={self.try_number(dag_id, run_id, task_id)}.log.trigger.*"))

    def run_states(self, dag_id: str) -> list[str]:
        """The states of all runs of a DAG."""
        return [state for (state,) in self._read("SELECT state FROM dag_run WHERE dag_id = ?", dag_id)]

    def confs(self, dag_id: str) -> dict[str, Any]:
        """What each run of a DAG was given, by run id; on Airflow 3 alone."""
        return {
            run_id: json.loads(conf) if isinstance(conf, str) else conf
            for run_id, conf in self._read("SELECT run_id, conf FROM dag_run WHERE dag_id = ?", dag_id)
        }

    @property
    def url(self) -> str | None:
        """The address of the pages; None on Airflow 2."""
        return self._airflow.url

    def asset_id(self, uri: str) -> int:
        """The number of an asset, as the addresses of the pages have it."""
        return int(self._read("SELECT id FROM asset WHERE uri = ?", uri)[0][0])

    def asset_events(self, dag_id: str) -> list[AssetEvent]:
        """The events of assets (datasets in Airflow 2) that a DAG has made, the oldest first."""
        kind = "dataset" if self.is_2 else "asset"
        query = f"""SELECT {kind}.uri, source_task_id, {kind}_event.extra FROM {kind}_event
            JOIN {kind} ON {kind}.id = {kind}_event.{kind}_id WHERE source_dag_id = ? ORDER BY {kind}_event.id"""
        return [AssetEvent(uri, task_id, json.loads(extra)) for uri, task_id, extra in self._read(query, dag_id)]

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """What all tries of a task logged."""
        folder = self._home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return "\n".join(file.read_text(errors="replace") for file in sorted(folder.glob("*.log*")))

    def until(self, ready: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Poll until it is so; the error tells what each task instance is doing and what the failed ones logged."""
        try:
            self._processes.until(ready, what, seconds, interval=0.5)
        except StackError as error:
            raise StackError(f"{error}\n{self._standing()}") from None

    def _standing(self) -> str:
        query = """SELECT dag_id, run_id, task_id, map_index, try_number, state, trigger_id FROM task_instance
            WHERE state IS NULL OR state NOT IN ('success', 'skipped') ORDER BY dag_id, run_id, task_id"""
        rows = self._read(query)
        logs = {
            f"{dag_id}.{task_id}": self.log(dag_id, run_id, task_id)
            for dag_id, run_id, task_id, _, _, state, _ in rows
            if state in ("failed", "up_for_retry", "queued", "running")
        }
        lines = [" ".join(map(str, row)) for row in rows]
        lines += [f"{name} logged:\n{tail(log)}" for name, log in logs.items()]
        lines += [f"The end of {log.name}:\n{tail(log.read_text())}" for log in sorted(self._processes.logs.iterdir())]
        return "\n".join(lines)

    def _read(self, query: str, *values: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self._home / "airflow.db", timeout=60)) as connection:
            return connection.execute(query, values).fetchall()

    def _command(self, *arguments: str) -> None:
        name = f"airflow {' '.join(arguments[:2])}"
        self._processes.run(name, ["airflow", *arguments], env=self._airflow._env, seconds=SECONDS)

    def _call(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        url = f"{self._airflow.url}/api/v2/{path}"
        headers = {"Content-Type": "application/json", **self._airflow.headers()}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=60):
            pass
