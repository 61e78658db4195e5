"""RUN, as a person gives it to a command: a job's id, name or page, or a DAG run of Airflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.identity import JOB_ID_LENGTH

#: What RUN may be, for help and messages.
FORMS = (
    "the id or the resource name of a job, the link to its page, DAG_ID/RUN_ID of an Airflow run, or the link to that"
)
#: No id, name or address of a run is longer.
_LENGTH = 2000
_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/(pipelineJobs|customJobs)/([^/]+)")
#: The console's pages: ``pipelines/runs/ID`` for a PipelineJob, in older links ``runs/ID``, and ``training/ID``.
_PAGE = re.compile(r".*/locations/([^/]+)/(?:(?:pipelines/)?(runs)|training)/([^/]+).*")
_AIRFLOW_3_PAGE = re.compile(r".*/dags/([^/]+)/runs/([^/]+).*")
_AIRFLOW_2_PAGE = re.compile(r".*/dags/([^/]+)/.*")
_PIPELINE_JOB = re.compile(rf"[a-z][-a-z0-9]{{0,{JOB_ID_LENGTH - 1}}}")
_DAG_ID = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class JobReference:
    """One job.

    :param project_id: None where RUN does not say.
    :param region: None where RUN does not say.
    :param host: the ``scheme://host`` of the page that RUN is; None if it is none.
    """

    collection: Literal["pipelineJobs", "customJobs"]
    job_id: str
    project_id: str | None = None
    region: str | None = None
    host: str | None = None


@dataclass(frozen=True)
class AirflowRun:
    """All jobs of one DAG run."""

    dag_id: str
    run_id: str


def parse(text: str) -> JobReference | AirflowRun:
    """Read RUN.

    :raises ConfigError: it is none of :data:`FORMS`.
    """
    text = text.strip()
    found = None
    if len(text) <= _LENGTH and text.isprintable():
        found = _of_page(text) if text.startswith(("http://", "https://")) else _of_name(text)
    if found is None:
        raise ConfigError(f"{text[:200]!r} names no run.", f"Give {FORMS}.")
    return found


def _of_name(text: str) -> JobReference | AirflowRun | None:
    if name := _NAME.fullmatch(text):
        return JobReference("pipelineJobs" if name[3] == "pipelineJobs" else "customJobs", name[4], name[1], name[2])
    dag_id, separator, run_id = text.partition("/")
    if separator:
        return AirflowRun(dag_id, run_id) if _DAG_ID.fullmatch(dag_id) and run_id else None
    if text.isascii() and text.isdecimal():
        return JobReference("customJobs", text)
    return JobReference("pipelineJobs", text) if _PIPELINE_JOB.fullmatch(text) else None


def _of_page(address: str) -> JobReference | AirflowRun | None:
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query)
    except ValueError:
        return None
    if page := _PAGE.fullmatch(parts.path):
        project_id = query.get("project", [None])[0]
        collection: Literal["pipelineJobs", "customJobs"] = "pipelineJobs" if page[2] else "customJobs"
        return JobReference(collection, page[3], project_id, page[1], f"{parts.scheme}://{parts.netloc}")
    if page := _AIRFLOW_3_PAGE.fullmatch(parts.path):
        return AirflowRun(unquote(page[1]), unquote(page[2]))
    if (page := _AIRFLOW_2_PAGE.fullmatch(parts.path)) and "dag_run_id" in query:
        return AirflowRun(unquote(page[1]), query["dag_run_id"][0])
    return None
