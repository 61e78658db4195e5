"""Finding the jobs of a run that a person names, and of a project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice

from airflow_provider_kedro_vertex.core.errors import ConfigError, NotFoundError
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.attempts import DAG_RUN_LABEL, KEY_LABEL, LAUNCHED
from airflow_provider_kedro_vertex.core.jobs.identity import GROUP_LABEL, run_key
from airflow_provider_kedro_vertex.core.jobs.run_reference import AirflowRun, JobReference
from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: The most jobs of one DAG run that are read; more is no run that a person looks at.
MAX_JOBS = 2000


def find_jobs(client: VertexClient, run: JobReference | AirflowRun) -> list[Job]:
    """Read the jobs of a run, whole, the oldest first.

    :param client: of the project and region that ``run`` names, if it does.
    :return: at least one.
    :raises ConfigError: there is none.
    :raises VertexApiError: they could not be read.
    """
    if isinstance(run, JobReference):
        return [_job(client, f"{client.parent}/{run.collection}/{run.job_id}")]
    label = f'labels.{DAG_RUN_LABEL}="{run_key(run.dag_id, run.run_id)}"'
    # What is listed of a PipelineJob does not have its node groups.
    names = (job["name"] for job in client.list_jobs("pipelineJobs", label, "name"))
    pipeline_jobs = (client.get_job(name) for name in names)
    # Those that a PipelineJob launched are told of as its tasks.
    custom_jobs = (job for job in client.list_jobs("customJobs", label) if job["labels"].get(KEY_LABEL) != LAUNCHED)
    found = [*islice(chain(pipeline_jobs, custom_jobs), MAX_JOBS)]
    if not found:
        raise ConfigError(
            f"{client.parent} has no job of DAG run {run.run_id!r} of DAG {run.dag_id!r}.",
            "Airflow has made none yet, or made it in another project or region: see --project-id and --region.",
        )
    return sorted(found, key=lambda job: (job.get("createTime", ""), job["name"]))


def _job(client: VertexClient, name: str) -> Job:
    try:
        return client.get_job(name)
    except NotFoundError:
        raise ConfigError(
            f"There is no job {name}.",
            "Look whether it is of another project or region: see --project-id and --region.",
        ) from None


def jobs_since(client: VertexClient, project: str, start: datetime) -> Iterator[Job]:
    """Read the jobs of a Kedro project that were made since a time, whole: its PipelineJobs, then its CustomJobs.

    A CustomJob that a PipelineJob makes for a container of its own is none of them, and one that it launches is.

    :param project: the project's name, in the form of a label.
    :raises VertexApiError: they could not be read.
    """
    wanted = f'labels.kedro-project="{project}" AND create_time>="{start:%Y-%m-%dT%H:%M:%SZ}"'
    for job in [*client.list_jobs("pipelineJobs", wanted, "name")]:
        yield client.get_job(job["name"])
    for job in client.list_jobs("customJobs", wanted):
        if GROUP_LABEL in job.get("labels", {}):  # Vertex AI gives a PipelineJob's labels to all that it makes
            yield job
