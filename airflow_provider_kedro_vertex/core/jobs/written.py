"""What a job that succeeded says of the data that it wrote."""

from __future__ import annotations

from typing import Any

from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import containers
from airflow_provider_kedro_vertex.core.jobs.identity import mlflow_run_url
from airflow_provider_kedro_vertex.core.jobs.origin import run_context
from airflow_provider_kedro_vertex.core.jobs.request import MLFLOW_LABEL

#: The state of a node group whose result Vertex AI took from its cache.
_CACHED = "SKIPPED"


def cached_nodes(job: Job) -> frozenset[str]:
    """The nodes that did not run, since Vertex AI took the result of their node group from its cache."""
    if "/customJobs/" in job["name"]:
        return frozenset()
    asked_for = containers(job)
    cached = {task.name for task in outcome.tasks(job) if task.state == _CACHED} & asked_for.keys()
    return frozenset(node for name in cached for node in asked_for[name].nodes)


def run_of(job: Job) -> dict[str, Any]:
    """The run that a job wrote for: its key, and the version of its versioned datasets."""
    context = run_context(job)
    return {"run_key": context.get("run_key"), "version": context.get("save_version")} if context else {}


def mlflow_run_file(job: Job) -> str | None:
    """Where the containers of a job write which MLflow run is theirs, ``gs://..``; None if they use no MLflow."""
    context = run_context(job)
    if MLFLOW_LABEL not in job.get("labels", {}) or not context:
        return None
    return mlflow_run_url(context["root"], context["run_key"])
