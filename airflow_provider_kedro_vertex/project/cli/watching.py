"""``run-once --wait``: a live table of the node groups' states."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.core.errors import QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.cost import cost_text
from airflow_provider_kedro_vertex.core.jobs.failure import explain_job
from airflow_provider_kedro_vertex.core.jobs.outcome import task_states
from airflow_provider_kedro_vertex.core.jobs.states import is_over, short, succeeded

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan.plan import Plan
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

FAILED, CANCELLED, STILL_RUNNING, INTERRUPTED = 1, 3, 4, 130

#: Seconds between two looks at the job: first, and at most.
PAUSE, MAX_PAUSE = 1.0, 10.0
#: After so many calls in a row that failed, each tried for a minute by the client, it is given up.
_MAX_FAILURES = 10
_WAITING = "WAITING"
STATE_COLORS = {"SUCCEEDED": "green", "RUNNING": "cyan", "FAILED": "red", "SKIPPED": "green"}


def exit_code(state: str) -> int:
    """The exit code that tells how a job or run stands.

    :param state: without its prefix.
    """
    if not is_over(state):
        return STILL_RUNNING
    return 0 if succeeded(state) else CANCELLED if short(state) == "CANCELLED" else FAILED


def watch(client: VertexClient, job: Job, plan: Plan, page: str, timeout: float | None) -> int:
    """Show the states of a job's node groups until it ends.

    :param timeout: seconds to wait at most; None waits for ever.
    :return: the exit code: 0, or one of the constants of this module.
    :raises VertexApiError: the job cannot be read any more.
    """
    table = _Table([group.task_id for group in (*plan.groups, *filter(None, [plan.exit_group]))])
    deadline = None if timeout is None else time.monotonic() + timeout
    pause, failures, name = PAUSE, 0, job["name"]
    try:
        while True:
            table.show(short(job.get("state", "")), task_states(job))
            if is_over(job.get("state", "")):
                return _ended(client, job, page)
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0:
                click.echo(f"Stopped waiting after {timeout:g} s; the job goes on: {page}", err=True)
                return STILL_RUNNING
            time.sleep(min(pause, left))
            pause = min(pause * 1.3, MAX_PAUSE)
            try:
                job, failures = client.get_job(name), 0
            except (UnavailableError, QuotaExceededError) as error:
                failures += 1
                if failures == _MAX_FAILURES:
                    raise
                click.echo(f"Warning: {error} The job goes on; looking again.", err=True)
    except KeyboardInterrupt:
        click.echo(f"\nStopped waiting; the job goes on: {page}", err=True)
        return INTERRUPTED


def _ended(client: VertexClient, job: Job, page: str) -> int:
    from airflow_provider_kedro_vertex.vertex.job_logs import failed_logs

    state = job.get("state", "")
    if succeeded(state):
        if (cost := cost_text(job)) is not None:
            click.echo(cost)
        click.echo("Succeeded.")
        return 0
    logs, variables = failed_logs(client, job), client.endpoints.variables
    click.echo(explain_job(job, page, logs, environment=variables), err=True)
    return exit_code(state)


class _Table:
    """Node groups and their states: drawn over itself on a terminal, else a line for each change."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._width = max(map(len, names))
        self._states: dict[str, str] = {}
        self._drawn = 0
        self._start = time.monotonic()
        rows = shutil.get_terminal_size().lines
        self._live = sys.stdout.isatty() and len(names) + 2 < rows

    def show(self, job: str, states: Mapping[str, str]) -> None:
        """Show the states of now."""
        now = {"job": job, **{name: states.get(name, _WAITING) for name in self._names}}
        seconds = time.monotonic() - self._start
        if self._live:
            lines = [f"job {job}, {seconds:.0f} s", *(self._line(name, now[name]) for name in self._names)]
            above = f"\x1b[{self._drawn}A" if self._drawn else ""
            click.echo(above + "\n".join(f"\x1b[2K{line}" for line in lines))
            self._drawn = len(lines)
        else:
            for name, state in now.items():
                if state != self._states.get(name, _WAITING):
                    click.echo(f"{seconds:6.1f} s  {name.ljust(self._width)}  {state}")
        self._states = now

    def _line(self, name: str, state: str) -> str:
        return f"  {name.ljust(self._width)}  {click.style(state, fg=STATE_COLORS.get(state))}"
