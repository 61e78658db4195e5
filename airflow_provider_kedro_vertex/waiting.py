"""Waiting for a PipelineJob: what the operator and the sensor share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_kedro_vertex.core import outcome
from airflow_provider_kedro_vertex.core.errors import JobError, QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.states import is_over, succeeded

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks import KedroVertexHook


class Log(Protocol):
    """A task's log: the standard library's logger on Airflow 2, structlog's on Airflow 3."""

    def info(self, message: str, /, *args: Any) -> Any:
        """Say what happens."""

    def warning(self, message: str, /, *args: Any) -> Any:
        """Say what is wrong and does not end the wait."""


class JobWatch:
    """Read one job again and again; log each change of a node group's state once.

    :param hook: reaches Vertex AI.
    :param job_name: ``projects/../locations/../pipelineJobs/..``.
    :param log: the task's log.
    :raises ConfigError: the name is none of a PipelineJob.
    """

    def __init__(self, hook: KedroVertexHook, job_name: str, log: Log) -> None:
        self._client = hook.client_of(job_name)
        self._job_name = job_name
        self.url = hook.job_url(job_name)
        self._log = log
        self._seen: Mapping[str, str] = {}

    def ended(self) -> dict[str, Any] | None:
        """Read the job once.

        :return: the job when it has ended; None while it goes on, or while Vertex AI is out of reach.
        :raises VertexApiError: the job is gone, or may not be read.
        """
        try:
            job = self.read()
        except (UnavailableError, QuotaExceededError) as error:
            self._log.warning("%s The wait goes on.", error)
            return None
        return job if is_over(job["state"]) else None

    def read(self) -> dict[str, Any]:
        """Read the job once, whatever its state, and log what changed.

        :raises VertexApiError: the job is gone, may not be read, or Vertex AI is out of reach.
        """
        job = self._client.get_job(self._job_name)
        for name, state in outcome.changes(self._seen, job).items():
            self._log.info("%s: %s", name, state)
        self._seen = outcome.task_states(job)
        return job

    def result(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Summarise a job that has ended.

        :return: see :func:`.outcome.summary`.
        :raises JobError: it ended without success; the message names the failed node groups.
        """
        if not succeeded(job["state"]):
            raise JobError(outcome.failure(job, self.url))
        return outcome.summary(job, self.url)

    def cancel(self) -> None:
        """Ask Vertex AI to cancel the job."""
        self._client.cancel_job(self._job_name)
        self._log.info("Asked Vertex AI to cancel %s.", self._job_name)
