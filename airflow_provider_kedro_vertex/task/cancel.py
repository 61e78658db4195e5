"""Cancelling jobs when their task ends before they do: written once, for operators, sensors and the triggerer.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.task.job_monitor import Log
from airflow_provider_kedro_vertex.vertex.client import VertexClient


def cancel_jobs(connect: Callable[[], VertexClient], names: Callable[[VertexClient], Iterable[str]], log: Log) -> None:
    """Ask Vertex AI to cancel some jobs. An error is logged and not raised: it must not hide why the task ends.

    :param connect: makes a connection. A signal handler may have come in the middle of another call, so this one needs
        a connection of its own.
    :param names: finds the resource names of the jobs that have not ended.
    """
    name = None
    try:
        client = connect()
        for name in names(client):
            client.cancel_job(name)
            log.info("Asked Vertex AI to cancel %s.", name)
    except KedroVertexError as error:
        log.error(
            "%s could not be cancelled: %s It may still run and be billed. Look for it in the console, and cancel it "
            "there.",
            name or "The job of this task",
            error,
        )
