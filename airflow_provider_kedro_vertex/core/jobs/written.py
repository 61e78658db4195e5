"""What a job that succeeded says of the data that it wrote."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import containers, values
from airflow_provider_kedro_vertex.core.jobs.identity import RUN_CONTEXT, mlflow_run_url
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
    context = _context(job)
    return {"run_key": context.get("run_key"), "version": context.get("save_version")} if context else {}


def mlflow_run_file(job: Job) -> str | None:
    """Where the containers of a job write which MLflow run is theirs, ``gs://..``; None if they use no MLflow."""
    context = _context(job)
    if MLFLOW_LABEL not in job.get("labels", {}) or not context:
        return None
    return mlflow_run_url(context["root"], context["run_key"])


def _context(job: Job) -> dict[str, Any]:
    """The run as the containers are told of it; empty if the job is none of this package."""
    if "/customJobs/" in job["name"]:
        text = next((text for each in containers(job).values() for text in values(each.arguments, "--context")), None)
    else:
        runtime: Any = job.get("runtimeConfig", {})
        text = runtime.get("parameterValues", {}).get(RUN_CONTEXT)
    try:
        context: dict[str, Any] = json.loads(text or "{}")
    except ValueError:
        return {}
    return context
