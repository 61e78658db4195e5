"""Waiting for a job in a worker, and taking over from the triggerer: shared by the operators and sensors.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_kedro_vertex.compat import Context
from airflow_provider_kedro_vertex.core.errors import QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.jobs import outcome, written
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.cost import cost_text
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.core.jobs.summary import summary
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, WebShellLink
from airflow_provider_kedro_vertex.task.errors import job_error
from airflow_provider_kedro_vertex.vertex.mlflow_runs import mlflow_page

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
    """Logs each change of a node group's state, once, and where its log is when it begins to run.

    :param log_page: the page with the log of a CustomJob, by its number.
    :param seen: the states that were logged before.
    """

    def __init__(self, log: Log, log_page: Callable[[str], str], seen: Mapping[str, str] | None = None) -> None:
        self._log = log
        self._log_page = log_page
        self.seen: dict[str, str] = dict(seen or {})
        self._without_page: set[str] = set()

    def show(self, tasks: Iterable[outcome.Task]) -> None:
        """Log what is another than before."""
        for task in tasks:
            if self.seen.get(task.name) != task.state:
                self._log.info("%s: %s", task.name, task.state)
                self.seen[task.name] = task.state
                if task.runs:
                    self._without_page.add(task.name)
            if task.name in self._without_page and task.number:  # Vertex AI may tell the number after the state
                self._log.info("%s: its log is at %s", task.name, self._log_page(task.number))
                self._without_page.remove(task.name)


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
        self.states = StateLog(log, self._log_page, seen)
        self.url = hook.job_url(job_name)
        self.console_url = hook.console_url
        #: The page with the log; None for a PipelineJob, whose nodes have one each.
        self.log_url = self._log_page(job_name.rpartition("/")[2]) if "/customJobs/" in job_name else None
        #: Where the containers write which MLflow run is theirs; None if there is no MLflow, or its link is kept.
        self.mlflow_file: str | None = None
        self._has_mlflow_page = False
        self._web_shell: str | None = None
        #: The job's ``updateTime`` when it was last read.
        self.updated: str | None = None

    def poll(self, context: Context) -> Job | None:
        """Read the job once, and ride out an outage.

        :return: the job when it has ended; None while it goes on, or while Vertex AI is out of reach.
        :raises UnavailableError, QuotaExceededError: Vertex AI was out of reach for longer than the limit.
        :raises VertexApiError: the job is gone, or may not be read.
        """
        try:
            job = self.read(context)
        except (UnavailableError, QuotaExceededError) as error:
            if time.monotonic() - self._answered > self._outage_limit:
                raise
            log_outage(self._log, error, self._outage_limit)
            return None
        return job if is_over(job["state"]) else None

    def read(self, context: Context) -> Job:
        """Read the job once, whatever its state, log what changed, and keep the links that are new.

        :raises VertexApiError: the job is gone, may not be read, or Vertex AI is out of reach.
        """
        job = self._client.get_job(self._job_name)
        self._answered = time.monotonic()
        self.updated = job.get("updateTime")
        self.states.show(outcome.tasks(job))
        self._keep_links(context, job)
        return job

    def _keep_links(self, context: Context, job: Job) -> None:
        shell = outcome.web_shell(job)
        if shell is not None and shell != self._web_shell:
            WebShellLink.persist(context, shell)
            self._web_shell = shell
        self.mlflow_file = None if self._has_mlflow_page else written.mlflow_run_file(job)
        if self.mlflow_file is not None and (page := mlflow_page(self._client, self.mlflow_file)) is not None:
            MlflowLink.persist(context, page)
            self._has_mlflow_page, self.mlflow_file = True, None

    def _log_page(self, number: str) -> str:
        return self._hook.logs_url(self._client.project_id, [number])

    def result(self, context: Context, job: Job) -> dict[str, Any]:
        """Summarise a job that has ended.

        :return: see :func:`.summary.summary`.
        :raises JobError: it ended without success; see :mod:`.failing`.
        """
        if not outcome.is_success(job):
            raise job_error(self._hook, self._client, job, context)
        if (cost := cost_text(job)) is not None:
            self._log.info("%s", cost)
        return summary(job, self.url)
