"""How a job came out: the changes worth a log line, and who has to act on a failure.

A job is the JSON object of API v1. A PipelineJob's tasks are those of ``jobDetail.taskDetails`` that have a parent; a
CustomJob is taken as one task of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.core.jobs.api import Job, TaskDetail
from airflow_provider_kedro_vertex.core.jobs.states import ENDED_NODE_STATES, short, succeeded
from airflow_provider_kedro_vertex.core.times import moment

#: Who has to act on a failure.
FailureClass = Literal[
    "user code", "memory", "missing input", "permission", "request", "quota", "infrastructure", "cancelled"
]
#: The class of a job with failures of several classes: the one to look at first.
_ORDER: tuple[FailureClass, ...] = (
    "user code",
    "memory",
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
    137: "memory",  # 128 and the number of SIGKILL, which nobody but the kernel sends to it
    ExitCode.MISCONFIGURED: "request",
    ExitCode.INPUT_MISSING: "missing input",
    ExitCode.SERVICE_UNREACHABLE: "infrastructure",
    ExitCode.TERMINATED: "infrastructure",
}
_FAILED, _RUNNING = "FAILED", "RUNNING"


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
        """It ended without success by itself."""
        return self.state == _FAILED

    @property
    def runs(self) -> bool:
        """Its container runs."""
        return self.state == _RUNNING

    @property
    def ended(self) -> bool:
        """It will not change any more, as a task of a PipelineJob."""
        return self.state in ENDED_NODE_STATES

    @property
    def failure_class(self) -> FailureClass:
        """Who has to act, if it failed."""
        if exit_status := _EXIT_STATUS.search(self.message):
            return _BY_EXIT_CODE.get(int(exit_status[1]), "user code")
        return "infrastructure" if self.code is None else _BY_CODE.get(self.code, "infrastructure")


def tasks(job: Job) -> list[Task]:
    """The node groups that Vertex AI has begun."""
    if "/customJobs/" in job["name"]:
        return [_task(job, job.get("displayName", ""), job["name"])]
    return [_task(task, task["taskName"], _custom_job(task)) for task in _details(job)]


def task_states(job: Job) -> dict[str, str]:
    """Task id to state, for the node groups that Vertex AI has begun."""
    return {task.name: task.state for task in tasks(job)}


def web_shell(job: Job) -> str | None:
    """The page with a shell in the first machine of a CustomJob; None unless it runs and ``enableWebAccess`` is set.

    Vertex AI tells one for each machine, by names such as ``workerpool0-0`` (CustomJob.webAccessUris, v1).
    """
    shells: Mapping[str, str] = job.get("webAccessUris", {})
    return shells[min(shells)] if shells else None


def failure_class(job: Job) -> FailureClass:
    """Who has to act on a job that ended without success."""
    if short(job["state"]) == "CANCELLED":
        return "cancelled"
    classes = {task.failure_class for task in tasks(job) if task.failed}
    classes = classes or {_task(job, "", None).failure_class}
    return next(one for one in _ORDER if one in classes)


def is_success(job: Job) -> bool:
    """Tell whether a job ended with success."""
    return succeeded(job["state"])


def _details(job: Job) -> Iterator[TaskDetail]:
    """Vertex AI also lists the root DAG, as the task that has no parent."""
    for task in job.get("jobDetail", {}).get("taskDetails", []):
        if task.get("parentTaskId"):
            yield task


def _custom_job(task: TaskDetail) -> str | None:
    """The CustomJob of a task, which has its log: the one that it launched, or its container."""
    executor = task.get("executorDetail", {})
    launched: str | None = executor.get("customJobDetail", {}).get("job") or _gcp_resource(task)
    return launched or executor.get("containerDetail", {}).get("mainJob")


def _gcp_resource(task: TaskDetail) -> str | None:
    """The job that a launcher's output ``gcp_resources`` names."""
    text = task.get("execution", {}).get("metadata", {}).get("output:gcp_resources")
    try:
        uri: str = json.loads(text)["resources"][0]["resourceUri"] if text else ""
    except (ValueError, LookupError, TypeError):
        return None
    return uri or None


def _task(told: Job | TaskDetail, name: str, custom_job: str | None) -> Task:
    return Task(
        name=name,
        state=short(told.get("state", "")),
        seconds=_between(told.get("startTime"), told.get("endTime")),
        message=message(told),
        code=told.get("error", {}).get("code"),
        number=custom_job.rpartition("/")[2] if custom_job else None,
        created=told.get("createTime"),
    )


def message(status: Job | TaskDetail) -> str:
    """Vertex AI's error of a job or task; "" without one."""
    text: str = status.get("error", {}).get("message", "")
    return text.strip()


def _between(start: str | None, end: str | None) -> float | None:
    return round((moment(end) - moment(start)).total_seconds(), 1) if start and end else None
