"""How a DAG run's jobs ended, for the pipeline that runs last. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.jobs import outcome, resume
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.attempts import TaskTry, submission_key
from airflow_provider_kedro_vertex.core.jobs.identity import GROUP_LABEL
from airflow_provider_kedro_vertex.vertex.client import Collection, VertexClient
from airflow_provider_kedro_vertex.vertex.submission import jobs_of_dag_run, pipeline_jobs


class JobReader:
    """Reads the jobs of one DAG run, those of all its tasks with one list of each kind.

    :param dag_run_key: the run key of the whole DAG, whatever the data scopes of its tasks.
    """

    def __init__(self, client: VertexClient, dag_run_key: str) -> None:
        self._client = client
        self._dag_run_key = dag_run_key
        self._jobs: dict[Collection, dict[str, list[Job]]] = {}

    def pipeline_jobs(self, task: TaskTry) -> list[Job]:
        """The PipelineJobs of a task instance, the oldest first: by their ids, since a list may lag behind."""
        return pipeline_jobs(self._client, task)

    def custom_jobs(self, task: TaskTry) -> list[Job]:
        """The CustomJobs of a task instance, the oldest first."""
        return self._listed("customJobs").get(task.key, [])

    def mapped_jobs(self, collection: Collection, task_id: str, map_index: int) -> list[Job]:
        """The jobs of a task instance of which no more is known than its map index, the oldest first."""
        found = self._listed(collection).get(submission_key(self._dag_run_key, task_id, map_index), [])
        # What is listed of a PipelineJob does not have its node groups.
        return found if collection == "customJobs" else [self._client.get_job(job["name"]) for job in found]

    def _listed(self, collection: Collection) -> dict[str, list[Job]]:
        if collection not in self._jobs:
            self._jobs[collection] = jobs_of_dag_run(self._client, collection, self._dag_run_key)
        return self._jobs[collection]


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


def run_outcome(outcomes: Sequence[JobOutcome]) -> dict[str, Any]:
    """Tell how a run ended from how each of its task instances' jobs did.

    :return: ``{"state", "failed_nodes", "errors"}``: SUCCEEDED only if every task's last job succeeded, else CANCELLED
        or FAILED; the task ids of the node groups that failed; and a message for each of them, or for a job that failed
        as a whole.
    """
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
