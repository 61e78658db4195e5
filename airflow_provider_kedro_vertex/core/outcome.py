"""What became of a job: the small summary for XCom, the changes worth a log line, and why it failed.

A job is the JSON object of API v1. A PipelineJob's tasks are those of ``jobDetail.taskDetails`` that have a parent; a
CustomJob is taken as one task of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.core.states import ENDED_NODE_STATES, short, succeeded
from airflow_provider_kedro_vertex.core.times import moment

#: Who has to act on a failure.
FailureClass = Literal["user code", "missing input", "permission", "request", "quota", "infrastructure", "cancelled"]
#: The class of a job with failures of several classes: the one to look at first.
_ORDER: tuple[FailureClass, ...] = (
    "user code",
    "missing input",
    "permission",
    "request",
    "quota",
    "infrastructure",
    "cancelled",
)
#: By ``google.rpc.Code``; every other code is infrastructure's.
_BY_CODE: Mapping[int, FailureClass] = {
    1: "cancelled",
    3: "request", 5: "request", 9: "request", 11: "request", 12: "request",
    7: "permission", 16: "permission",
    8: "quota",
}  # fmt: skip
#: Vertex AI's words for a container that failed; they come with code 3 or 9 though the request was right.
_EXIT_STATUS = re.compile(r"exited with a non-zero status of (\d+)")
#: By the container's exit code; every other code is the user code's. A preemption sends SIGTERM.
_BY_EXIT_CODE: Mapping[int, FailureClass] = {
    ExitCode.MISCONFIGURED: "request",
    ExitCode.INPUT_MISSING: "missing input",
    ExitCode.SERVICE_UNREACHABLE: "infrastructure",
    ExitCode.TERMINATED: "infrastructure",
}
_FAILED = "FAILED"


@dataclass(frozen=True)
class Task:
    """A node group as a job tells of it.

    :param name: its task id.
    :param state: without a prefix; "" before it has one.
    :param seconds: how long it ran; None until it has ended.
    :param message: Vertex AI's error; "" without one.
    :param code: ``google.rpc.Code`` of the error; None without one.
    :param number: the number of its CustomJob, by which its log is found; None before there is one.
    :param created: when it was created, as Vertex AI writes it.
    """

    name: str
    state: str
    seconds: float | None
    message: str
    code: int | None
    number: str | None
    created: str | None

    @property
    def failed(self) -> bool:
        """Whether it ended without success by itself."""
        return self.state == _FAILED

    @property
    def ended(self) -> bool:
        """Whether it will not change any more, as a task of a PipelineJob."""
        return self.state in ENDED_NODE_STATES

    @property
    def failure_class(self) -> FailureClass:
        """Who has to act, if it failed."""
        if exit_status := _EXIT_STATUS.search(self.message):
            return _BY_EXIT_CODE.get(int(exit_status[1]), "user code")
        return "infrastructure" if self.code is None else _BY_CODE.get(self.code, "infrastructure")


def tasks(job: Mapping[str, Any]) -> list[Task]:
    """The node groups that Vertex AI has begun."""
    if "/customJobs/" in job["name"]:
        return [_task(job, job.get("displayName", ""), job["name"])]
    return [_task(task, task["taskName"], _main_job(task)) for task in _details(job)]


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
        "groups": {task.name: {"state": task.state, "seconds": task.seconds} for task in tasks(job)},
    }


def task_states(job: Mapping[str, Any]) -> dict[str, str]:
    """Task id to state, for the node groups that Vertex AI has begun."""
    return {task.name: task.state for task in tasks(job)}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The tasks whose state is another than before, with their new state."""
    return {name: state for name, state in after.items() if before.get(name) != state}


def failure_class(job: Mapping[str, Any]) -> FailureClass:
    """Who has to act on a job that ended without success."""
    if short(job["state"]) == "CANCELLED":
        return "cancelled"
    classes = {task.failure_class for task in tasks(job) if task.failed}
    classes = classes or {_task(job, "", None).failure_class}
    return next(one for one in _ORDER if one in classes)


def failure(
    job: Mapping[str, Any],
    url: str,
    logs: Mapping[str, Sequence[str]] | None = None,
    log_urls: Mapping[str, str] | None = None,
) -> str:
    """Say why a job ended without success, for a person who reads the task's log.

    :param logs: task id to the last lines of its container's log, for the failed tasks whose log could be read.
    :param log_urls: task id to the page that shows its log.
    """
    state = short(job.get("state", ""))
    lines = [f"Vertex AI job {job['name'].rpartition('/')[2]} ended as {state} ({failure_class(job)})."]
    failed = [task for task in tasks(job) if task.failed]
    for task in failed:
        lines += [
            f"  {line}"
            for line in _task_failure(task, (logs or {}).get(task.name, ()), (log_urls or {}).get(task.name))
        ]
    if not failed and _message(job):
        lines.append(f"  {_message(job)}")
    lines.append(f"See {url}")
    return "\n".join(lines)


def node_summary(job: Mapping[str, Any], task: Task, url: str) -> dict[str, Any]:
    """What one node group leaves in XCom: the job's name, id and page, and the group's own state and seconds."""
    return {
        "name": job["name"],
        "id": job["name"].rpartition("/")[2],
        "url": url,
        "group": task.name,
        "state": task.state,
        "seconds": task.seconds,
    }


def node_failure(job: Mapping[str, Any], task: Task, url: str, log: Sequence[str], log_url: str | None) -> str:
    """Say why one node group of a job ended without success.

    :param log: the last lines of its container's log.
    :param log_url: the page that shows its log; None if it has none.
    """
    first = f"Node group {task.name} of Vertex AI job {job['name'].rpartition('/')[2]} ended as {task.state}"
    why = f" ({task.failure_class})." if task.failed else "."
    return "\n".join([first + why, *(f"  {line}" for line in _task_failure(task, log, log_url)), f"See {url}"])


def _task_failure(task: Task, log: Sequence[str], log_url: str | None) -> list[str]:
    lines = [f"{task.name}: {task.message or 'no message from Vertex AI'}"]
    if (error := container_error(log)) is not None:
        lines.append(f"  Error of node {error['node']} after {error['seconds']} s: {error['error']}")
    if log:
        lines.append(f"  The end of its log ({len(log)} lines):")
        lines += [f"    {line}" for line in log]
    if log_url is not None:
        lines.append(f"  Its log: {log_url}")
    return lines


def container_error(log: Sequence[str]) -> dict[str, Any] | None:
    """What the runtime in the container wrote last when it failed: ``{"node", "error", "seconds"}``; None if nothing.

    Lines after it, of a shell or of Vertex AI, do not hide it.
    """
    return _told(log, "node", "error", "seconds")


def mlflow_run_url(log: Sequence[str]) -> str | None:
    """Where the runtime in the container wrote that its MLflow run is; None if it did not."""
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


def is_success(job: Mapping[str, Any]) -> bool:
    """Whether a job ended with success."""
    return succeeded(job["state"])


def _details(job: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Vertex AI also lists the root DAG, as the task that has no parent."""
    for task in job.get("jobDetail", {}).get("taskDetails", []):
        if task.get("parentTaskId"):
            yield task


def _main_job(task: Mapping[str, Any]) -> str | None:
    main: str | None = task.get("executorDetail", {}).get("containerDetail", {}).get("mainJob")
    return main


def _task(told: Mapping[str, Any], name: str, custom_job: str | None) -> Task:
    return Task(
        name=name,
        state=short(told.get("state", "")),
        seconds=_between(told.get("startTime"), told.get("endTime")),
        message=_message(told),
        code=told.get("error", {}).get("code"),
        number=custom_job.rpartition("/")[2] if custom_job else None,
        created=told.get("createTime"),
    )


def _message(status: Mapping[str, Any]) -> str:
    message: str = status.get("error", {}).get("message", "")
    return message.strip()


def _between(start: str | None, end: str | None) -> float | None:
    return round((moment(end) - moment(start)).total_seconds(), 1) if start and end else None
