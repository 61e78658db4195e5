"""How long a run's intermediate data are kept: what may be deleted, and why the rest stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.core.text import label_value
from airflow_provider_kedro_vertex.core.times import moment

#: kedro-vertexai's default of ``run_config.ttl``: a week.
DEFAULT_TTL = 604800

#: Why a run's data stay.
RECENT, RUNNING, UNKNOWN, ANOTHER_PROJECT = "recent", "running", "unknown", "another project"


@dataclass(frozen=True)
class StoredRun:
    """The intermediate data of one run.

    :param run_key: of the run; the name of its folder.
    :param objects: names in the bucket, with their generations.
    :param size: bytes.
    :param updated: when the newest of them was written.
    """

    run_key: str
    objects: Sequence[tuple[str, str]]
    size: int
    updated: datetime


def stored_run(run_key: str, objects: Iterable[Mapping[str, Any]]) -> StoredRun | None:
    """Sum up the objects of a run's folder (Cloud Storage JSON API v1).

    :return: None if there are none.
    """
    found = list(objects)
    if not found:
        return None
    return StoredRun(
        run_key,
        [(item["name"], str(item.get("generation", ""))) for item in found],
        sum(int(item.get("size", 0)) for item in found),
        max(moment(item["updated"]) for item in found),
    )


def is_old(written: datetime, now: datetime, ttl: int) -> bool:
    """Tell whether something is older than ``ttl`` seconds."""
    return now - written > timedelta(seconds=ttl)


def kept_because(jobs: Iterable[Job], project: str, now: datetime, ttl: int) -> str | None:
    """Why old data of a run stay all the same.

    :param jobs: every job of the run that Vertex AI knows, of either kind.
    :param project: whose data may be deleted; several projects may share a root.
    :return: None if they may be deleted.
    """
    known = list(jobs)
    if not known:
        # Of a job in another region, or one that was deleted: whether its run goes on cannot be told.
        return UNKNOWN
    if any(job.get("labels", {}).get("kedro-project") != label_value(project) for job in known):
        return ANOTHER_PROJECT
    if not all(is_over(job["state"]) for job in known):
        return RUNNING
    if not all("endTime" in job and is_old(moment(job["endTime"]), now, ttl) for job in known):
        return RECENT
    return None
