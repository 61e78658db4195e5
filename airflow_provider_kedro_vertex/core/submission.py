"""Exactly one job: which job is this try's, and when a new attempt is due.

A PipelineJob's id is chosen by its caller, so the service itself refuses a second one. What is left to decide is what
to do with the job that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_kedro_vertex.core.errors import AlreadyExistsError, JobError
from airflow_provider_kedro_vertex.core.identity import job_id
from airflow_provider_kedro_vertex.core.states import is_over, succeeded

#: The label that tells which Airflow try made a job.
TRY_LABEL = "airflow-try"
#: The label that tells when the DAG run of that try had started.
START_LABEL = "airflow-run-start"

#: More attempts than this in one DAG run is a loop that nobody wants to pay for.
MAX_ATTEMPTS = 1000


class PipelineJobs(Protocol):
    """The part of the Vertex AI client that submitting needs."""

    @property
    def parent(self) -> str:
        """``projects/../locations/..``."""

    def create_pipeline_job(self, job_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a job, or raise AlreadyExistsError."""

    def get_job(self, name: str) -> dict[str, Any]:
        """Read a job."""


@dataclass(frozen=True)
class Attempts:
    """The attempts of one task instance to run a job.

    :param run_key: names the DAG run.
    :param task_id: Airflow's.
    :param map_index: Airflow's; -1 for a task that is not mapped.
    :param try_number: Airflow's number of this try.
    :param first_try: the number of the first try since the task was last cleared; 1 if it never was.
    :param run_start: when the DAG run started, in the form of a label. A run that was deleted and made again, or
        cleared after it had ended, has the same run id and another start.
    """

    run_key: str
    task_id: str
    map_index: int
    try_number: int
    first_try: int
    run_start: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which a later try knows whose a job is."""
        return {TRY_LABEL: str(self.try_number), START_LABEL: self.run_start}

    def submit(self, client: PipelineJobs, body: Callable[[str], Mapping[str, Any]]) -> tuple[dict[str, Any], bool]:
        """Make sure that this try has one job.

        :param body: makes the job's body from its id.
        :return: the job, and whether this call created it.
        :raises JobError: there were :data:`MAX_ATTEMPTS` attempts already.
        :raises VertexApiError: creating or reading failed.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            new_id = job_id(self.run_key, self.task_id, self.map_index, attempt)
            try:
                return client.create_pipeline_job(new_id, body(new_id)), True
            except AlreadyExistsError:
                job = client.get_job(f"{client.parent}/pipelineJobs/{new_id}")
                if self._is_ours(job):
                    return job, False
        raise JobError(f"Task {self.task_id!r} has made {MAX_ATTEMPTS} jobs in this DAG run; it makes no more.")

    def _is_ours(self, job: Mapping[str, Any]) -> bool:
        """Whether this try takes the job that is there, instead of making a new attempt."""
        if not is_over(job["state"]):
            return True
        labels = job.get("labels", {})
        if labels.get(START_LABEL) != self.run_start:
            return False
        made_by = int(labels[TRY_LABEL]) if labels.get(TRY_LABEL, "").isdecimal() else 0
        # This very try made it, and lost the answer or its worker.
        if made_by == self.try_number:
            return True
        # An earlier try made it and died before it could tell; clearing the task afterwards asks for a new one.
        return bool(succeeded(job["state"]) and made_by >= self.first_try)
