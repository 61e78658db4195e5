"""The sensor: it waits for a job that another task, or anybody, has submitted."""

from airflow_provider_kedro_vertex.sensors.job import KedroVertexPipelineSensor

__all__ = ["KedroVertexPipelineSensor"]
