"""Waiting for a job in a worker, and taking over from the triggerer: shared by the operators and sensors.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_kedro_vertex.compat import Context
from airflow_provider_kedro_vertex.core.errors import QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.task.errors import job_error

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook


class Log(Protocol):
    """A task's log: the standard library's logger on Airflow 2, structlog's on Airflow 3."""

    def info(self, message: str, /, *args: Any) -> Any:
        """Say what happens."""

    def warning(self, message: str, /, *args: Any) -> Any:
        """Say what is wrong and does not end the task."""

    def error(self, message: str, /, *args: Any) -> Any:
        """Say what is wrong and needs a person."""


def log_outage(log: Log, error: object, limit: float | None) -> None:
    """Say that a look failed and the wait goes on.

    :param limit: seconds without an answer after which the wait is given up; None if the task's own timeout decides.
    """
    end = "the task's timeout is over" if limit is None else f"{limit / 60:g} minutes have passed without an answer"
    log.warning("%s The job is not affected: this task looks again, until %s.", error, end)


class StateLog:
    """Logs each change of a node group's state, once.

    :param seen: the states that were logged before.
    """

    def __init__(self, log: Log, seen: Mapping[str, str] | None = None) -> None:
        self._log = log
        self.seen: dict[str, str] = dict(seen or {})

    def show(self, states: Mapping[str, str]) -> None:
        """Log what is another than before."""
        for name, state in outcome.changes(self.seen, states).items():
            self._log.info("%s: %s", name, state)
        self.seen |= states


class JobMonitor:
    """Reads one job again and again.

    :param hook: reaches Vertex AI.
    :param job_name: ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``.
    :param log: the task's log.
    :param outage_limit: seconds for which Vertex AI may be out of reach.
    :param seen: node states that the task's log has already.
    :raises ConfigError: the name is none of a job.
    """

    def __init__(
        self,
        hook: KedroVertexHook,
        job_name: str,
        log: Log,
        outage_limit: float,
        seen: Mapping[str, str] | None = None,
    ) -> None:
        self._hook = hook
        self._client = hook.client_of(job_name)
        self._job_name = job_name
        self._log = log
        self._outage_limit = outage_limit
        self._answered = time.monotonic()
        self.states = StateLog(log, seen)
        self.url = hook.job_url(job_name)
        #: The page with the log; None for a PipelineJob, whose nodes have one each.
        self.log_url = (
            hook.logs_url(self._client.project_id, [job_name.rpartition("/")[2]])
            if "/customJobs/" in job_name
            else None
        )
        #: The job's ``updateTime`` when it was last read.
        self.updated: str | None = None

    def poll(self) -> Job | None:
        """Read the job once, and ride out an outage.

        :return: the job when it has ended; None while it goes on, or while Vertex AI is out of reach.
        :raises UnavailableError, QuotaExceededError: Vertex AI was out of reach for longer than the limit.
        :raises VertexApiError: the job is gone, or may not be read.
        """
        try:
            job = self.read()
        except (UnavailableError, QuotaExceededError) as error:
            if time.monotonic() - self._answered > self._outage_limit:
                raise
            log_outage(self._log, error, self._outage_limit)
            return None
        return job if is_over(job["state"]) else None

    def read(self) -> Job:
        """Read the job once, whatever its state, and log what changed.

        :raises VertexApiError: the job is gone, may not be read, or Vertex AI is out of reach.
        """
        job = self._client.get_job(self._job_name)
        self._answered = time.monotonic()
        self.updated = job.get("updateTime")
        self.states.show(outcome.task_states(job))
        return job

    def result(self, context: Context, job: Job) -> dict[str, Any]:
        """Summarise a job that has ended.

        :return: see :func:`.outcome.summary`.
        :raises JobError: it ended without success; see :mod:`.failing`.
        """
        if not outcome.is_success(job):
            raise job_error(self._hook, self._client, job, context)
        return outcome.summary(job, self.url)
