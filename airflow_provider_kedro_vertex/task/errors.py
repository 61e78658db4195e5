"""From a job that failed to an exception of Airflow: with the failed nodes' logs, and with or without another try.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.compat import AirflowException, AirflowFailException, Context
from airflow_provider_kedro_vertex.core.errors import (
    JobError,
    KedroVertexError,
    QuotaExceededError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.core.jobs import failure, outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, VertexLogsLink
from airflow_provider_kedro_vertex.vertex.job_logs import failed_logs, last_lines

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook
    from airflow_provider_kedro_vertex.vertex.client import VertexClient


def job_error(hook: KedroVertexHook, client: VertexClient, job: Job, context: Context) -> JobError:
    """Explain a job that ended without success, and keep the links to what explains more."""
    failed = [task for task in outcome.tasks(job) if task.failed and task.number]
    logs = failed_logs(client, job)
    urls = {task.name: hook.logs_url(client.project_id, [str(task.number)]) for task in failed}
    if failed:
        VertexLogsLink.persist(context, hook.logs_url(client.project_id, [str(task.number) for task in failed]))
    for run_url in filter(None, map(failure.mlflow_run_url, logs.values())):
        MlflowLink.persist(context, run_url)
    cause = outcome.failure_class(job)
    url, variables = hook.job_url(job["name"]), client.endpoints.variables
    nodes = [failure.failed_node(job, task, url, logs.get(task.name, ()), urls[task.name]) for task in failed]
    return JobError(failure.explain_job(job, url, logs, urls, variables), cause, failure.FIXES[cause], nodes)


def node_error(hook: KedroVertexHook, client: VertexClient, job: Job, task: outcome.Task, context: Context) -> JobError:
    """Explain a node group that ended without success, as :func:`job_error` does for a job."""
    log = last_lines(client, task)
    log_url = hook.logs_url(client.project_id, [task.number]) if task.number else None
    if (run_url := failure.mlflow_run_url(log)) is not None:
        MlflowLink.persist(context, run_url)
    cause = task.failure_class if task.failed else "cancelled"
    url, variables = hook.job_url(job["name"]), client.endpoints.variables
    message = failure.explain_node(job, task, url, log, log_url, variables)
    nodes = [failure.failed_node(job, task, url, log, log_url)] if task.failed else []
    return JobError(message, cause, failure.FIXES[cause], nodes)


def to_airflow_exception(error: KedroVertexError, context: Context | None = None) -> AirflowException:
    """Let Airflow retry what may go better next time; a wrong setting or a missing permission stays wrong.

    Raise it ``from None``: its text says all, and Airflow would print a chain of tracebacks over it.

    :param context: of the task that fails, whose ``on_node_failure`` is told of failed nodes.
    """
    _tell_of_failed_nodes(error, context)
    if isinstance(error, JobError):
        final = error.failure_class in ("request", "permission")
    else:
        final = not isinstance(error, UnavailableError | QuotaExceededError)
    return AirflowFailException(str(error)) if final else AirflowException(str(error))


def to_waiting_exception(error: KedroVertexError, context: Context | None = None) -> AirflowException:
    """As :func:`to_airflow_exception`, where the task only waits: an ended job never changes, so only outages pass."""
    _tell_of_failed_nodes(error, context)
    passes = isinstance(error, UnavailableError | QuotaExceededError)
    return (AirflowException if passes else AirflowFailException)(str(error))


def event_exception(event: Mapping[str, Any]) -> AirflowException:
    """The exception of a wait that the triggerer gave up; see :class:`.triggers.KedroVertexJobTrigger`."""
    return (AirflowFailException if event["final"] else AirflowException)(event["error"])


def _tell_of_failed_nodes(error: KedroVertexError, context: Context | None) -> None:
    if context is None or not isinstance(error, JobError) or not error.failed_nodes:
        return
    task: Any = context["task"]
    callback = vars(task).get("on_node_failure")
    if callback is None:
        return
    told: Any = context
    told["failed_nodes"] = error.failed_nodes
    try:
        callback(context)
    except Exception:  # whatever a notifier does, it hides nothing of why the task fails
        task.log.exception(
            "on_node_failure failed; it was to tell of %s.", ", ".join(n.group for n in error.failed_nodes)
        )
