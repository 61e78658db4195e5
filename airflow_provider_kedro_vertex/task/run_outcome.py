"""How a DAG run's jobs ended, for the pipeline that runs last. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from airflow_provider_kedro_vertex.compat import Context
from airflow_provider_kedro_vertex.core.jobs import outcome, resume
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.attempts import TaskTry
from airflow_provider_kedro_vertex.core.jobs.request import GROUP_LABEL
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from airflow_provider_kedro_vertex.vertex.submission import custom_jobs_of_run, pipeline_jobs


class JobReader:
    """Reads the jobs of one DAG run; the CustomJobs of all its tasks with one list.

    :param dag_run_key: the run key of the whole DAG, whatever the data scopes of its tasks.
    """

    def __init__(self, client: VertexClient, dag_run_key: str) -> None:
        self._client = client
        self._dag_run_key = dag_run_key

    def pipeline_jobs(self, task: TaskTry) -> list[Job]:
        """The PipelineJobs of a task instance, the oldest first."""
        return pipeline_jobs(self._client, task)

    def custom_jobs(self, task: TaskTry) -> list[Job]:
        """The CustomJobs of a task instance, the oldest first."""
        return self._custom_jobs.get(task.key, [])

    @cached_property
    def _custom_jobs(self) -> dict[str, list[Job]]:
        return custom_jobs_of_run(self._client, self._dag_run_key)


@dataclass(frozen=True)
class JobOutcome:
    """How a task's last job ended.

    :param state: without its prefix; "" if the task has no job.
    :param failures: the node groups that failed, each with its message; a job that failed as a whole has no group.
    """

    state: str
    failures: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, attempts: Sequence[Job], groups: Iterable[str] = ()) -> JobOutcome:
        """Read it off a task's jobs.

        :param attempts: the oldest first.
        :param groups: the node groups that other tasks waited for; see :func:`.resume.ended`.
        """
        if not attempts:
            return cls("")
        state = resume.ended(attempts, groups)
        return cls(state, () if state in ("SUCCEEDED", "CANCELLED") else tuple(_failures(attempts[-1])))


class MakesJobs(Protocol):
    """An operator whose jobs count for the outcome of a run."""

    def job_outcome(self, reader: JobReader, context: Context) -> JobOutcome:
        """How its last job in this DAG run ended."""


def run_outcome(tasks: Iterable[MakesJobs], reader: JobReader, context: Context) -> dict[str, Any]:
    """Tell how the jobs of some tasks ended, as Vertex AI knows it.

    :return: ``{"state", "failed_nodes", "errors"}``: SUCCEEDED only if every task's last job succeeded, else CANCELLED
        or FAILED; the task ids of the node groups that failed; and a message for each of them, or for a job that failed
        as a whole.
    :raises VertexApiError: the jobs could not be read.
    """
    outcomes = [task.job_outcome(reader, context) for task in tasks]
    failures = [failure for each in outcomes for failure in each.failures]
    return {
        "state": _state({each.state for each in outcomes}),
        "failed_nodes": [name for name, _ in failures if name],
        "errors": [message for _, message in failures if message],
    }


def _state(states: set[str]) -> str:
    if states == {"SUCCEEDED"}:
        return "SUCCEEDED"
    # A task without a job came after one that failed, or could not submit its own.
    cancelled = "CANCELLED" in states and states <= {"SUCCEEDED", "", "CANCELLED"}
    return "CANCELLED" if cancelled else "FAILED"


def _failures(job: Job) -> list[tuple[str, str]]:
    message = job.get("error", {}).get("message", "")
    if "/customJobs/" in job["name"]:
        return [(job.get("labels", {}).get(GROUP_LABEL, ""), message)]
    return [(task.name, task.message) for task in outcome.tasks(job) if task.failed] or [("", message)]
