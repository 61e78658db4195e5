"""What a job that succeeded says of the data that it wrote."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.identity import mlflow_run_url
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import RUN_CONTEXT
from airflow_provider_kedro_vertex.core.jobs.request import MLFLOW_LABEL

#: The state of a node group whose result Vertex AI took from its cache.
_CACHED = "SKIPPED"


def cached_nodes(job: Job) -> frozenset[str]:
    """The nodes that did not run, since Vertex AI took the result of their node group from its cache."""
    if "/customJobs/" in job["name"]:
        return frozenset()
    spec: Mapping[str, Any] = job.get("pipelineSpec", {})
    executors: dict[str, Any] = spec.get("deploymentSpec", {}).get("executors", {})
    return frozenset(
        node
        for task in outcome.tasks(job)
        if task.state == _CACHED
        for node in _values(executors.get(f"exec-{task.name}", {}).get("container", {}).get("args", ()), "--node")
    )


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
        spec: Any = job.get("jobSpec", {})
        pool: dict[str, Any] = (spec.get("workerPoolSpecs") or [{}])[0]
        text = next(iter(_values(pool.get("containerSpec", {}).get("args", ()), "--context")), None)
    else:
        runtime: Any = job.get("runtimeConfig", {})
        text = runtime.get("parameterValues", {}).get(RUN_CONTEXT)
    try:
        context: dict[str, Any] = json.loads(text or "{}")
    except ValueError:
        return {}
    return context


def _values(arguments: Sequence[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == option]
