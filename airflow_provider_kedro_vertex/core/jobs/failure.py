"""A failure, told to the person who reads the task's log: what failed, why, what it costs and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.core.errors import FailedNode
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.cost import cost_text
from airflow_provider_kedro_vertex.core.jobs.memory import explain_kill
from airflow_provider_kedro_vertex.core.jobs.outcome import FailureClass, Task, failure_class, message, tasks
from airflow_provider_kedro_vertex.core.jobs.replay import command_line
from airflow_provider_kedro_vertex.core.jobs.states import short

#: Why a job failed, after "failed:".
_CAUSES: Mapping[FailureClass, str] = {
    "user code": "the code of a node raised an error",
    "memory": "a node was killed for its memory",
    "permission": "a permission is missing",
    "request": "what it was asked to do is wrong",
    "quota": "a quota of the project is exhausted",
    "infrastructure": "Google's machines or services failed",
    "cancelled": "somebody, or a timeout, cancelled it",
}
#: What to do about it.
FIXES: Mapping[FailureClass, str] = {
    "user code": "Mend the node, build its image and clear this task; what has succeeded is not run again.",
    "memory": "Ask for more memory, or let retry_policy.<node>.on_out_of_memory do so for the next attempt, and "
    "clear this task; what has succeeded is not run again.",
    "permission": "Give the account that the message names the role it lacks, then clear this task.",
    "request": "Another try would fail in the same way: mend the setting, parameter or input that the message names, "
    "then clear this task.",
    "quota": "Ask for more quota in the console (IAM & Admin, Quotas), or run fewer jobs at once; Airflow's retries "
    "may succeed.",
    "infrastructure": "Airflow's retries may succeed; what has succeeded is not run again.",
    "cancelled": "Clear this task to run what is left.",
}
#: The failures that come again where the node runs once more with the same data.
_REPLAYED: frozenset[FailureClass] = frozenset({"user code", "memory", "missing input"})
_ENDS = {"FAILED": "failed", "CANCELLED": "was cancelled", "EXPIRED": "ran out of time"}


def explain_job(
    job: Job,
    url: str,
    logs: Mapping[str, Sequence[str]] | None = None,
    log_urls: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Say why a job ended without success.

    :param logs: task id to the last lines of its container's log, for the failed tasks whose log could be read.
    :param log_urls: task id to the page that shows its log.
    :param environment: variables by which a person's command reaches the services, where they are not Google's own.
    """
    lines = [f"Vertex AI job {_end(_id(job), short(job.get('state', '')), failure_class(job))}"]
    failed = [task for task in tasks(job) if task.failed]
    for task in failed:
        log = (logs or {}).get(task.name, ())
        about = _task_failure(job, task, log, (log_urls or {}).get(task.name), environment or {})
        lines += [f"  {line}" for line in about]
    if not failed and message(job):
        lines.append(f"  {message(job)}")
    if (cost := cost_text(job)) is not None:
        lines.append(f"  {cost}")
    lines.append(f"See {url}")
    return "\n".join(lines)


def explain_node(
    job: Job,
    task: Task,
    url: str,
    log: Sequence[str],
    log_url: str | None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Say why one node group of a job ended without success.

    :param log: the last lines of its container's log.
    :param log_url: the page that shows its log; None if it has none.
    :param environment: as :func:`explain_job`.
    """
    cause = task.failure_class if task.failed else "cancelled"
    first = f"Node group {_end(f'{task.name} of Vertex AI job {_id(job)}', task.state, cause)}"
    about = _task_failure(job, task, log, log_url, environment or {})
    return "\n".join([first, *(f"  {line}" for line in about), f"See {url}"])


def failed_node(job: Job, task: Task, url: str, log: Sequence[str], log_url: str | None) -> FailedNode:
    """Describe a node group that ended without success, for whoever is to be told.

    :param url: the page of the job.
    :param log: the last lines of its container's log.
    :param log_url: the page that shows its log; None if it has none.
    """
    error = container_error(log) or {}
    return FailedNode(
        group=task.name,
        node=error.get("node"),
        error=error.get("error") or explain_kill(job, task),
        message=task.message,
        log=tuple(log),
        log_url=log_url,
        job=job["name"],
        job_url=url,
    )


def _end(who: str, state: str, cause: FailureClass) -> str:
    end = _ENDS.get(state, f"ended as {state}")
    why = "" if state == "CANCELLED" else f": {_CAUSES[cause]}"
    return f"{who} {end}{why}. It has ended, and is not billed any more."


def _id(job: Job) -> str:
    return str(job["name"]).rpartition("/")[2]


def _task_failure(
    job: Job, task: Task, log: Sequence[str], log_url: str | None, environment: Mapping[str, str]
) -> list[str]:
    lines = [f"{task.name}: {task.message or 'no message from Vertex AI'}"]
    if (killed := explain_kill(job, task)) is not None:
        lines.append(f"  {killed}")
    if (error := container_error(log)) is not None:
        lines.append(f"  Error of node {error['node']} after {error['seconds']} s: {error['error']}")
    if log:
        lines.append(f"  The end of its log ({len(log)} lines):")
        lines += [f"    {line}" for line in log]
    if log_url is not None:
        lines.append(f"  Its log: {log_url}")
    if task.failure_class in _REPLAYED:
        replay = command_line(job, task.name, error["node"] if error else None, environment)
        lines += [f"  Run it here, in the project's folder: {replay}"] if replay else []
    return lines


def container_error(log: Sequence[str]) -> dict[str, Any] | None:
    """Find what the container wrote last when it failed: ``{"node", "error", "seconds"}``; None if nothing.

    Lines after it, of a shell or of Vertex AI, do not hide it.
    """
    return _told(log, "node", "error", "seconds")


def mlflow_run_url(log: Sequence[str]) -> str | None:
    """Find where the container wrote that its MLflow run is; None if it did not."""
    told = _told(log, "mlflow_run_id", "mlflow_url")
    return told["mlflow_url"] if told else None


def _told(log: Sequence[str], *keys: str) -> dict[str, Any] | None:
    """The last line that is a JSON object with these keys."""
    for line in reversed(log):
        if f'"{keys[-1]}"' in line and line.lstrip().startswith("{"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):  # a container's log may hold anything
                continue
            if isinstance(value, dict) and value.keys() >= set(keys):
                return value
    return None
