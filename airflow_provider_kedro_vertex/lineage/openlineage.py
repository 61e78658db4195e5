"""What OpenLineage's provider asks the operators and sensors for. Nothing of OpenLineage is imported before it asks.

A task notes what its job read and wrote while it runs: the provider asks in a process that it forks when the task has
ended, which can reach neither Airflow nor Vertex AI any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.lineage.assets import drop_outlets

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


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
