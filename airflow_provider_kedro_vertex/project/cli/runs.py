"""RUN, the argument of the commands that look at a run, and the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.options import Function

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.api import Job
    from airflow_provider_kedro_vertex.core.jobs.run_reference import AirflowRun, JobReference
    from airflow_provider_kedro_vertex.vertex.client import VertexClient


@dataclass(frozen=True)
class FoundRun:
    """A run on Vertex AI.

    :param jobs: whole, the oldest first; at least one.
    :param console: another console than Google's.
    """

    client: VertexClient
    reference: JobReference | AirflowRun
    jobs: list[Job]
    console: str | None

    @property
    def is_dag_run(self) -> bool:
        """More jobs may still come."""
        from airflow_provider_kedro_vertex.core.jobs.run_reference import AirflowRun

        return isinstance(self.reference, AirflowRun)

    def again(self) -> FoundRun:
        """The same run, as it is now.

        :raises KedroVertexError: its jobs could not be read.
        """
        from airflow_provider_kedro_vertex.vertex.runs import find_jobs

        return replace(self, jobs=find_jobs(self.client, self.reference))


def argument(command: Function) -> Function:
    """RUN, and what it takes to find it; see :func:`find`."""
    decorations: list[Callable[[Function], Function]] = [
        click.argument("run"),
        options.project_id,
        options.region,
        options.api_endpoint,
        options.env,
    ]
    for decorate in reversed(decorations):
        command = decorate(command)
    return command


def find(
    project: Path, run: str, project_id: str | None, region: str | None, api_endpoint: str | None, env: str | None
) -> FoundRun:
    """Find the jobs of a run.

    The project's configuration is read only where neither RUN nor an option says the Google Cloud project and region.

    :param project: the Kedro project's root.
    :raises KedroVertexError: RUN names no run, or it could not be read.
    """
    from airflow_provider_kedro_vertex.core.jobs import run_reference
    from airflow_provider_kedro_vertex.core.jobs.run_reference import JobReference
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
    from airflow_provider_kedro_vertex.project.cli.connection import connect, is_on_this_machine
    from airflow_provider_kedro_vertex.project.cli.output import read_project
    from airflow_provider_kedro_vertex.vertex.runs import find_jobs

    reference = run_reference.parse(run)
    if isinstance(reference, JobReference):
        project_id, region = reference.project_id or project_id, reference.region or region
        if api_endpoint is None and is_on_this_machine(reference.host):  # a page of the emulator
            api_endpoint = reference.host
    place = {"project_id": project_id, "region": region}
    config = RunConfig() if project_id and region else read_project(project, env).config
    client = connect(config.overridden(place), api_endpoint)
    return FoundRun(client, reference, find_jobs(client, reference), api_endpoint)
