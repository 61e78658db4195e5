"""A job that a task asks for, and the client that reaches its project and region."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.jobs.attempts import TaskTry
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest
from airflow_provider_kedro_vertex.vertex.client import VertexClient


@dataclass(frozen=True)
class Submission:
    """A job that a task asks for.

    :param client: reaches the job's project and region.
    :param request: the job.
    :param task: the try that asks.
    """

    client: VertexClient
    request: JobRequest
    task: TaskTry
