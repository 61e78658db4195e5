"""The links of a task: to its job, the logs of its nodes, and its MLflow run."""

from airflow_provider_kedro_vertex.links.task_links import MlflowLink, VertexJobLink, VertexLogsLink, WebShellLink

__all__ = ["MlflowLink", "VertexJobLink", "VertexLogsLink", "WebShellLink"]
