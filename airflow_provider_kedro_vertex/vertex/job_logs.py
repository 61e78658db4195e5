"""What the containers of a job wrote, from Cloud Logging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from airflow_provider_kedro_vertex.core.errors import VertexApiError
from airflow_provider_kedro_vertex.core.jobs.api import Job, LogEntry
from airflow_provider_kedro_vertex.core.jobs.outcome import Task, tasks
from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Lines of each failed node's log, failed nodes whose logs are read, and seconds to wait for each.
LOG_LINES, MOST_LOGS, LOG_SECONDS = 50, 5, 10.0
#: Containers whose logs are asked for at once: a filter has at most 20,000 characters.
_CONTAINERS = 200
#: Lines of one container each that one request takes.
_MARKED_LINES = 1000


def failed_logs(client: VertexClient, job: Job) -> dict[str, list[str]]:
    """Read the last lines of the first failed tasks of a job, by task id; see :func:`last_lines`."""
    failed = [task for task in tasks(job) if task.failed and task.number]
    return {task.name: last_lines(client, task) for task in failed[:MOST_LOGS]}


def last_lines(client: VertexClient, task: Task) -> list[str]:
    """Read the last lines of a task's log; a log that cannot be read is told as such, and hides nothing else."""
    if not task.number:
        return []
    wanted = f'resource.type="ml_job" AND resource.labels.job_id="{task.number}"'
    if task.created:  # else Cloud Logging looks at the last day alone
        wanted += f' AND timestamp>="{task.created}"'
    try:
        entries = client.log_entries(wanted, LOG_LINES, deadline=LOG_SECONDS)
    except VertexApiError as error:
        return [f"(Its log could not be read: {error})"]
    return [line for entry in entries for line in lines(entry)][-LOG_LINES:]


def entries_since(client: VertexClient, numbers: Sequence[str], since: str) -> Iterator[LogEntry]:
    """Read the whole logs of some containers, the oldest entries first (of more than 200 containers: of each 200).

    :param numbers: the last parts of their CustomJobs' names.
    :param since: RFC 3339, as all times of Google's APIs; without it Cloud Logging looks at the last day alone.
    """
    remaining = iter(numbers)
    while chunk := [*islice(remaining, _CONTAINERS)]:
        any_of = " OR ".join(f'resource.labels.job_id="{number}"' for number in chunk)
        yield from client.all_log_entries(f'resource.type="ml_job" AND ({any_of}) AND timestamp>="{since}"')


def lines(entry: LogEntry) -> list[str]:
    """The lines of a log's entry, mostly one."""
    return _text(entry).splitlines() or [""]


def marked_lines(client: VertexClient, tasks: Sequence[Task], mark: str) -> list[str]:
    """Read the lines of some tasks' logs that begin with a mark, the oldest first, with one request.

    :param tasks: those that have a log; the first 200 of them.
    :raises VertexApiError: the logs could not be read.
    """
    read = [task for task in tasks if task.number][:_CONTAINERS]
    if not read:
        return []
    entries = client.log_entries(_marked(read, mark), _MARKED_LINES, deadline=LOG_SECONDS)
    return [text for entry in entries if (text := _text(entry)).startswith(mark)]


def marked_lines_by_container(client: VertexClient, tasks: Sequence[Task], mark: str) -> dict[str, list[str]]:
    """Read the lines of any number of tasks' logs that begin with a mark: the CustomJob's number to its lines.

    :param tasks: those that have a log.
    :raises VertexApiError: the logs could not be read.
    """
    found: dict[str, list[str]] = {}
    remaining = (task for task in tasks if task.number)
    while chunk := [*islice(remaining, _CONTAINERS)]:
        for entry in client.all_log_entries(_marked(chunk, mark)):
            number = entry.get("resource", {}).get("labels", {}).get("job_id", "")
            if (text := _text(entry)).startswith(mark):
                found.setdefault(number, []).append(text)
    return found


def _marked(tasks: Sequence[Task], mark: str) -> str:
    """The filter of the lines of some tasks' logs that have a mark."""
    numbers = " OR ".join(f'resource.labels.job_id="{task.number}"' for task in tasks)
    wanted = f'resource.type="ml_job" AND ({numbers})'
    wanted += f' AND (jsonPayload.message:"{mark.strip()}" OR textPayload:"{mark.strip()}")'
    if created := min((task.created for task in tasks if task.created), default=None):
        wanted += f' AND timestamp>="{created}"'
    return wanted


def _text(entry: LogEntry) -> str:
    payload = entry.get("jsonPayload", {})
    # A line of a log may be empty.
    text = payload["message"] if "message" in payload else entry.get("textPayload") or payload or ""
    return str(text).rstrip("\n")
