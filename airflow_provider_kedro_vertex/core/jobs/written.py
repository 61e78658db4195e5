"""What a job that succeeded says of the data that it wrote."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import RUN_CONTEXT

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
    if "/customJobs/" in job["name"]:
        spec: Any = job.get("jobSpec", {})
        pool: dict[str, Any] = (spec.get("workerPoolSpecs") or [{}])[0]
        text = next(iter(_values(pool.get("containerSpec", {}).get("args", ()), "--context")), None)
    else:
        runtime: Any = job.get("runtimeConfig", {})
        text = runtime.get("parameterValues", {}).get(RUN_CONTEXT)
    try:
        context = json.loads(text or "{}")
    except ValueError:
        return {}
    return {"run_key": context.get("run_key"), "version": context.get("save_version")}


def _values(arguments: Sequence[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(arguments) if name == option]
