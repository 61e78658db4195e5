"""The triggers: they wait in the triggerer, beside all others in one poll loop."""

from airflow_provider_kedro_vertex.triggers.job import KedroVertexJobTrigger
from airflow_provider_kedro_vertex.triggers.node import KedroVertexNodeTrigger

__all__ = ["KedroVertexJobTrigger", "KedroVertexNodeTrigger"]
