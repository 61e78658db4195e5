"""Run a Kedro project's nodes as a container does: by the command, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.identity import RunContext, temp_folder
from airflow_provider_kedro_vertex.runtime.node_group.boundary import stored_url
from airflow_provider_kedro_vertex.runtime.store import StoredDataset

COMMAND = ("-m", "airflow_provider_kedro_vertex.runtime", "run")
_QUIET = ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY")


def context(root: str, run: str = "run-1", day: int = 1) -> RunContext:
    return RunContext(
        run_key=f"shop-{run}-0123456789",
        dag_id="shop",
        run_id=run,
        logical_date=f"2013-01-0{day}T00:00:00+00:00",
        data_interval_start=None,
        data_interval_end=None,
        root=root,
        save_version=f"2013-01-0{day}T00.00.00.000Z-0123456789",
        job_id=f"shop-{run}-job-1",
    )


@dataclass(frozen=True)
class Result:
    """What a container leaves: its exit code and its log."""

    code: int
    log: str

    @property
    def lines(self) -> list[str]:
        return self.log.rstrip("\n").split("\n")

    @property
    def last(self) -> dict[str, Any]:
        value = json.loads(self.lines[-1])
        assert set(value) == {"node", "error", "seconds"}
        return value


@dataclass(frozen=True)
class Project:
    """The project's folder, what one Airflow run gives to its containers, and their Python."""

    path: Path
    context: RunContext
    variables: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def in_run(self, context: RunContext) -> Project:
        return replace(self, context=context)

    def with_variables(self, **variables: str) -> Project:
        return replace(self, variables={**self.variables, **variables})

    def arguments(self, *nodes: str, pipeline: str = "__default__", params: object = None) -> list[str]:
        named = [argument for node in nodes for argument in ("--node", node)]
        return [
            *("--pipeline", pipeline, *named, "--params", json.dumps({} if params is None else params)),
            *("--context", self.context.to_json()),
        ]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a container; its log is one stream, as the platforms show it."""
        return subprocess.Popen(
            [self.python, *COMMAND, *arguments],
            cwd=self.path,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command(self, *arguments: str) -> Result:
        process = self.start(*arguments)
        log, _ = process.communicate(timeout=120)
        return Result(process.returncode, log)

    def run(self, *nodes: str, pipeline: str = "__default__", params: object = None, env: str | None = None) -> Result:
        extra = () if env is None else ("--env", env)
        return self.command(*self.arguments(*nodes, pipeline=pipeline, params=params), *extra)

    def succeed(self, *nodes: str, **arguments: Any) -> Result:
        result = self.run(*nodes, **arguments)
        assert result.code == 0, result.log
        return result

    def kedro(self, *arguments: str) -> None:
        """Run Kedro's own command line, the judge."""
        done = subprocess.run(
            [self.python, "-m", "kedro", *arguments],
            cwd=self.path,
            env={**self.environment(), "DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        quiet = {name: value for name, value in os.environ.items() if name not in _QUIET}
        return {**quiet, "PYTHONWARNINGS": "ignore", **self.variables}

    def store(self, dataset: str, value: object) -> None:
        """Leave an undeclared dataset as an earlier container would have."""
        StoredDataset(dataset, stored_url(self.context, dataset)).save(value)

    def stored_value(self, dataset: str) -> Any:
        """An undeclared dataset that a container left."""
        return StoredDataset(dataset, stored_url(self.context, dataset)).load()

    def json(self, path: str) -> Any:
        return json.loads((self.path / path).read_text())

    def total(self) -> Any:
        """The versioned dataset as this run saved it."""
        return self.json(f"data/total.json/{self.context.save_version}/total.json")

    def stored(self) -> list[str]:
        """The names in the run's folder for undeclared datasets, on a local root."""
        folder = Path(temp_folder(self.context.root, self.context.run_key))
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is so, while a process lives."""
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
