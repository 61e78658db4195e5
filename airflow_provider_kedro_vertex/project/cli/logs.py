"""``kedro vertex logs``."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.project.cli import options, runs
from airflow_provider_kedro_vertex.project.cli.output import report_errors, warn
from airflow_provider_kedro_vertex.project.cli.watching import INTERRUPTED, exit_code

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.api import LogEntry
    from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus
    from airflow_provider_kedro_vertex.project.cli.runs import FoundRun

#: Seconds between two looks at the log. Cloud Logging answers a project 60 times a minute.
PAUSE = 3.0
#: Seconds by which an entry may come after one that was written later.
LATE = 30.0
#: Seconds after the end of a DAG run's jobs in which Airflow may make the next one.
NEXT_JOB = 30.0
_COLORS = ("cyan", "yellow", "green", "magenta", "blue")


@click.command(name="logs")
@runs.argument
@click.option("--node", help="One node, or node group, alone.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@options.text_or_json
@click.pass_context
def command(context: click.Context, /, run: str, node: str | None, follow: bool, form: str, **where: Any) -> None:
    """Print what the containers of a run wrote, the oldest lines first.

    RUN is a job's id, resource name or page, or DAG_ID/RUN_ID of an Airflow run or its page. Of a node that several
    jobs of the run have tried, the last try is shown. With --format json each line is one JSON object.

    With --follow the exit code tells how the run ended: 0 succeeded, 1 failed, 3 cancelled.
    """
    with report_errors():
        found = runs.find(context.obj.project_path, run, **where)
        log = _Log(form, node)
        if not follow:
            log.print_new(found)
            log.explain_silence()
            return
        try:
            context.exit(_follow(log, found))
        except KeyboardInterrupt:
            click.echo("Stopped following; the run goes on.", err=True)
            context.exit(INTERRUPTED)


def _follow(log: _Log, found: FoundRun) -> int:
    """Print a run's log until it has ended and the log says no more; return the exit code.

    :raises KedroVertexError: the run cannot be read any more.
    """
    from airflow_provider_kedro_vertex.core.jobs.run_status import run_state
    from airflow_provider_kedro_vertex.core.jobs.states import is_over

    over_since: float | None = None
    while True:
        state = run_state(found.jobs)  # as of before the log is read, which therefore has all that a job wrote
        printed = log.print_new(found)
        if not is_over(state):
            over_since = None
        elif over_since is None:
            over_since = time.monotonic()
        elif not printed and time.monotonic() - over_since >= (NEXT_JOB if found.is_dag_run else 0):
            log.explain_silence()
            return exit_code(state)
        time.sleep(PAUSE)
        try:
            found = found.again()
        except (UnavailableError, QuotaExceededError) as error:  # it was tried for a minute
            warn(f"{error} Looking again.")


class _Log:
    """The log of a run, printed piece by piece.

    :param form: ``text`` or ``json``.
    :param node: a node or node group; None for all of them.
    """

    def __init__(self, form: str, node: str | None) -> None:
        self._form = form
        self._node = node
        self._seen: dict[str, datetime] = {}
        self._since: dict[str, datetime] = {}
        self._colors: dict[str, str] = {}
        self._unused = itertools.cycle(_COLORS)
        self._silent = True
        self._width = 0

    def print_new(self, found: FoundRun) -> bool:
        """Print what was not printed before; tell whether there was any.

        :raises KedroVertexError: the run has no such node, or the log cannot be read.
        """
        groups = {group.task.number: group for group in self._groups(found) if group.task and group.task.number}
        self._width = max((len(group.name) for group in groups.values()), default=0)
        printed = False
        for group, entry in self._entries(found, groups):
            self._print(group, entry)
            printed, self._silent = True, False
        return printed

    def explain_silence(self) -> None:
        """Say on stderr that there is nothing, if nothing was printed."""
        if self._silent:
            whose = f"Node {self._node!r}" if self._node else "The run"
            click.echo(f"{whose} has written no log (yet).", err=True)

    def _groups(self, found: FoundRun) -> list[GroupStatus]:
        from airflow_provider_kedro_vertex.core.jobs.run_status import choose, group_statuses

        groups = group_statuses(found.jobs)
        return groups if self._node is None else [choose(groups, self._node)]

    def _entries(self, found: FoundRun, groups: Mapping[str, GroupStatus]) -> Iterator[tuple[GroupStatus, LogEntry]]:
        """The entries that were not given before, each with its node group.

        Each container's log is read on from the newest entry, less the time by which an entry may come late.
        """
        from airflow_provider_kedro_vertex.core.times import moment
        from airflow_provider_kedro_vertex.vertex.job_logs import entries_since

        if not groups:
            return
        for number, group in groups.items():
            created = (group.task.created if group.task else None) or group.job["createTime"]
            self._since.setdefault(number, moment(created))
        since = newest = min(self._since[number] for number in groups)
        for entry in entries_since(found.client, [*groups], f"{since:%Y-%m-%dT%H:%M:%S.%f}Z"):
            number = entry.get("resource", {}).get("labels", {}).get("job_id", "")
            place, written = f"{entry.get('logName')} {entry.get('insertId')}", moment(entry["timestamp"])
            if number not in groups or written < self._since[number] or place in self._seen:
                continue
            newest, self._seen[place] = max(newest, written), written
            yield groups[number], entry
        late = newest - timedelta(seconds=LATE)
        self._since = {number: max(start, late) for number, start in self._since.items()}
        self._seen = {place: written for place, written in self._seen.items() if written >= late}

    def _print(self, group: GroupStatus, entry: LogEntry) -> None:
        from airflow_provider_kedro_vertex.vertex.job_logs import lines

        for line in lines(entry):
            if self._form == "json":
                told = {"time": entry.get("timestamp"), "group": group.name, "severity": entry.get("severity")}
                click.echo(json.dumps({**told, "text": line}, ensure_ascii=False))
            elif self._node is not None:
                click.echo(line)
            else:
                if group.name not in self._colors:
                    self._colors[group.name] = next(self._unused)
                click.echo(f"{click.style(group.name.ljust(self._width), fg=self._colors[group.name])} | {line}")
