"""Deletes the intermediate data of runs that ended long ago."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_kedro_vertex.core.errors import BadRequestError
from airflow_provider_kedro_vertex.core.jobs import retention
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.attempts import DAG_RUN_LABEL, RUN_LABEL
from airflow_provider_kedro_vertex.core.jobs.identity import temp_folder
from airflow_provider_kedro_vertex.core.jobs.retention import StoredRun
from airflow_provider_kedro_vertex.vertex.client import VertexClient

_FIELDS = "name,state,labels,endTime"


@dataclass
class Cleaned:
    """The data that were deleted, or would be.

    :param runs: their number.
    :param objects: the number of their objects.
    :param size: bytes.
    :param kept: the number of the other runs, by why they are kept.
    """

    runs: int = 0
    objects: int = 0
    size: int = 0
    kept: Counter[str] = field(default_factory=Counter)


def clean(client: VertexClient, root: str, project: str, ttl: int, now: datetime, delete: bool, log: Any) -> Cleaned:
    """Delete the intermediate data under a root, run by run.

    A run's data are deleted if their newest object and the end of its last job are both older than ``ttl``. Whether
    a job of the run goes on is asked right before.

    :param root: ``gs://bucket/prefix``.
    :param project: the Kedro project whose runs are meant.
    :param ttl: seconds.
    :param delete: False only tells what would be deleted.
    :param log: a logger, Airflow's or the standard library's.
    :raises VertexApiError: Vertex AI or Cloud Storage refuses, or is out of reach. What was deleted until then is.
    """
    cleaned = Cleaned()
    for run_key in client.list_folders(temp_folder(root, "").rstrip("/")):
        stored = retention.stored_run(run_key, client.list_objects(temp_folder(root, run_key)))
        if stored is None:
            continue
        reason: str | None = retention.RECENT
        if retention.is_old(stored.updated, now, ttl):
            reason = retention.kept_because(_jobs(client, run_key), project, now, ttl)
        if reason is not None:
            cleaned.kept[reason] += 1
            log.info("Run %s stays: %s.", run_key, reason)
            continue
        log.info(
            "%s run %s: %d objects, %d bytes, the last written %s.",
            "Deleting" if delete else "Would delete",
            run_key,
            len(stored.objects),
            stored.size,
            stored.updated.isoformat(),
        )
        if not delete or _delete(client, root, stored, log):
            cleaned.runs += 1
            cleaned.objects += len(stored.objects)
            cleaned.size += stored.size
        else:
            cleaned.kept[retention.RUNNING] += 1
    return cleaned


def _jobs(client: VertexClient, run_key: str) -> Iterator[Job]:
    # What is kept for a DAG run as a whole stays while any job of it is needed, of whichever data scope.
    for label in (RUN_LABEL, DAG_RUN_LABEL):
        for collection in ("pipelineJobs", "customJobs"):
            yield from client.list_jobs(collection, f"labels.{label}={run_key}", _FIELDS)


def _delete(client: VertexClient, root: str, stored: StoredRun, log: Any) -> bool:
    """Delete a run's objects.

    :return: False if one was written again meanwhile: the run has been cleared and goes on.
    """
    bucket = root.removeprefix("gs://").partition("/")[0]
    for name, generation in stored.objects:
        try:
            client.delete_object(f"gs://{bucket}/{name}", generation)
        except BadRequestError:
            log.warning("Run %s goes on: %s was written again. The rest of it stays.", stored.run_key, name)
            return False
    return True
