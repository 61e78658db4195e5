"""What a job was made of: the run, the manifest, the images and the commit, read off the job itself."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import containers, values
from airflow_provider_kedro_vertex.core.jobs.identity import RUN_CONTEXT

#: The labels that tell from which commit the manifest was made, and which manifest it was.
COMMIT_LABEL, MANIFEST_LABEL = "kedro-commit", "kedro-manifest"
#: Hexadecimal digits of a manifest's digest in a label, whose value has room for 63.
DIGEST_LENGTH = 32


def run_context(job: Job) -> dict[str, Any]:
    """The run as the containers of a job are told of it; empty if the job is none of this package."""
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


def origin(job: Job) -> dict[str, Any]:
    """What a job of this package was made of, as far as it tells; empty for another one.

    :return: some of ``{"run_key", "version", "data_scope", "manifest", "commit", "images"}``: the key of the run, the
        version of its versioned datasets, the title of its data scope, the first digits of its manifest's digest, the
        commit, and the images of its containers, sorted; an image has its digest where the settings name it.
    """
    context = run_context(job)
    if not context:
        return {}
    labels = job.get("labels", {})
    told = {
        "run_key": context.get("run_key"),
        "version": context.get("save_version"),
        "data_scope": context.get("data_scope"),
        "manifest": labels.get(MANIFEST_LABEL),
        "commit": labels.get(COMMIT_LABEL),
        "images": sorted({each.image for each in containers(job).values()}),
    }
    return {key: value for key, value in told.items() if value}
