"""What the containers of a job wrote last, from Cloud Logging."""

from __future__ import annotations

from airflow_provider_kedro_vertex.core.errors import VertexApiError
from airflow_provider_kedro_vertex.core.jobs.api import Job, LogEntry
from airflow_provider_kedro_vertex.core.jobs.outcome import Task, tasks
from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Lines of each failed node's log, failed nodes whose logs are read, and seconds to wait for each.
LOG_LINES, MOST_LOGS, LOG_SECONDS = 50, 5, 10.0


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
    lines = [line for entry in entries for line in _text(entry).splitlines() or [""]]
    return lines[-LOG_LINES:]


def _text(entry: LogEntry) -> str:
    payload = entry.get("jsonPayload", {})
    # A line of a log may be empty.
    text = payload["message"] if "message" in payload else entry.get("textPayload") or payload or ""
    return str(text).rstrip("\n")
