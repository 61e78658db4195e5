"""The facts that a task notes while it runs, of which OpenLineage is told when it has ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.outcome import Task
from airflow_provider_kedro_vertex.core.jobs.saved import Saved
from airflow_provider_kedro_vertex.core.project.lineage import Flow


@dataclass(frozen=True)
class Noted:
    """A job, or the part of it that a task stands for, as OpenLineage is told of it.

    :param job: the job.
    :param containers: the node groups that the task stands for, as the job tells of them.
    :param url: the job's page in the console.
    :param pipeline: Kedro's name of the pipeline.
    :param nodes: the names of the Kedro nodes that the task stands for.
    :param flow: what they read, and what they wrote in this run.
    :param versioned: those of the catalog's datasets that are saved in the run's version.
    :param saved: what the containers told of the data that they saved, by the catalog's names.
    :param repository: the web address of the project's repository.
    """

    job: Job
    containers: Sequence[Task]
    url: str
    pipeline: str
    nodes: tuple[str, ...]
    flow: Flow
    versioned: Collection[str]
    saved: Mapping[str, Saved]
    repository: str | None
