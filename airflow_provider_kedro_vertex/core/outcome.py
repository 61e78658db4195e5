"""What a PipelineJob tells about itself: its summary for XCom, its changes for the log, its failure in words.

A job here is the JSON of Vertex AI's ``PipelineJob`` (API v1), as a dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow_provider_kedro_vertex.core.states import short

_FAILED_TASK = "FAILED"


def summary(job: Mapping[str, Any], url: str) -> dict[str, Any]:
    """The small dict that goes to XCom.

    :return: ``{"name", "id", "state", "url", "groups": {task id: {"state", "seconds"}}}``; ``seconds`` is None until
        a task has ended. Never the job or its spec.
    """
    return {
        "name": job["name"],
        "id": job["name"].rpartition("/")[2],
        "state": short(job.get("state", "")),
        "url": url,
        "groups": {
            task["taskName"]: {"state": task.get("state", ""), "seconds": _seconds(task)} for task in _tasks(job)
        },
    }


def changes(before: Mapping[str, str], job: Mapping[str, Any]) -> dict[str, str]:
    """The tasks whose state is another than before, with their new state."""
    return {name: state for name, state in task_states(job).items() if before.get(name) != state}


def task_states(job: Mapping[str, Any]) -> dict[str, str]:
    """Task id to state, for the tasks that Vertex AI has begun."""
    return {task["taskName"]: task.get("state", "") for task in _tasks(job)}


def failure(job: Mapping[str, Any], url: str) -> str:
    """Say why a job ended without success: its state, each failed task with its message, and where to look."""
    lines = [f"Vertex AI job {job['name'].rpartition('/')[2]} ended as {short(job.get('state', ''))}."]
    failed = [task for task in _tasks(job) if task.get("state") == _FAILED_TASK]
    lines += [f"  {task['taskName']}: {_message(task) or 'no message from Vertex AI'}" for task in failed]
    if not failed and _message(job):
        lines.append(f"  {_message(job)}")
    lines.append(f"See {url}")
    return "\n".join(lines)


def _tasks(job: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The tasks of node groups: Vertex AI also lists the root DAG, as the task that has no parent."""
    for task in job.get("jobDetail", {}).get("taskDetails", []):
        if task.get("parentTaskId"):
            yield task


def _message(status: Mapping[str, Any]) -> str:
    message: str = status.get("error", {}).get("message", "")
    return message.strip()


def _seconds(task: Mapping[str, Any]) -> float | None:
    start, end = task.get("startTime"), task.get("endTime")
    return round((_time(end) - _time(start)).total_seconds(), 1) if start and end else None


def _time(text: str) -> datetime:
    # Up to nanoseconds, which datetime does not read before Python 3.11.
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
