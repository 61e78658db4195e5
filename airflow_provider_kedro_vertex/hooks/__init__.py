"""The hook: Airflow's Google connection, as this package uses it."""

from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook

__all__ = ["KedroVertexHook"]
