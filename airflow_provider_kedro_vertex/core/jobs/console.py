"""The pages of Google Cloud's console that show jobs to a person."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

CONSOLE_URL = "https://console.cloud.google.com"


def job_page(job_name: str, console: str | None = None) -> str:
    """The page of one job.

    :param job_name: ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``.
    :param console: another console, such as the emulator's.
    """
    _, project_id, _, region, collection, job_id = job_name.split("/")
    page = "pipelines/runs" if collection == "pipelineJobs" else "training"
    return f"{_base(console)}/vertex-ai/locations/{region}/{page}/{job_id}?project={project_id}"


def jobs_page(project_id: str, console: str | None = None) -> str:
    """The page that lists a project's PipelineJobs."""
    return f"{_base(console)}/vertex-ai/pipelines/runs?project={project_id}"


def logs_page(project_id: str, numbers: Sequence[str], console: str | None = None) -> str:
    """The page with the log lines of some CustomJobs.

    :param numbers: the last parts of the CustomJobs' names.
    """
    wanted = " OR ".join(f'"{number}"' for number in numbers)
    query = quote(f'resource.type="ml_job"\nresource.labels.job_id=({wanted})', safe="")
    return f"{_base(console)}/logs/query;query={query}?project={project_id}"


def _base(console: str | None) -> str:
    return (console or CONSOLE_URL).rstrip("/")
