"""What OpenLineage's provider asks the operators and sensors for. Nothing of OpenLineage is imported before it asks.

A task notes what its job read and wrote while it runs: the provider asks in a process that it forks when the task has
ended, which can reach neither Airflow nor Vertex AI any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.lineage.assets import drop_outlets

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

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


class OpenLineageTask:
    """A task whose events of OpenLineage tell what its job read and wrote."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage's provider of a task that succeeded."""
        from airflow_provider_kedro_vertex.lineage.facets import operator_lineage

        return operator_lineage(vars(self).get("noted"))

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage's provider of a task that failed."""
        # Of a task that tells of no data, the provider takes the outlets for what it wrote.
        drop_outlets(self)
        return self.get_openlineage_facets_on_complete(task_instance)
