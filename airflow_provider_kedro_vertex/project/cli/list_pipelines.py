"""``kedro vertex list-pipelines``."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors

_FIELDS = "name,state,createTime,labels"


@click.command(name="list-pipelines")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--all", "everyones", is_flag=True, help="Also jobs that are not of this Kedro project.")
@options.text_or_json
@options.project_id
@options.region
@options.api_endpoint
@options.env
@click.pass_obj
def command(
    metadata: Any,
    limit: int,
    everyones: bool,
    form: str,
    project_id: str | None,
    region: str | None,
    api_endpoint: str | None,
    env: str | None,
) -> None:
    """List the project's pipeline jobs on Vertex AI, the newest first."""
    from airflow_provider_kedro_vertex.core.jobs.console import job_page
    from airflow_provider_kedro_vertex.core.jobs.states import short
    from airflow_provider_kedro_vertex.core.text import label_value
    from airflow_provider_kedro_vertex.project.cli.connection import connect

    with report_errors():
        manifest = read_project(metadata.project_path, env)
        client = connect(manifest.config.overridden({"project_id": project_id, "region": region}), api_endpoint)
        wanted = "" if everyones else f"labels.kedro-project={label_value(manifest.project.name)}"
        jobs = list(islice(client.list_jobs("pipelineJobs", wanted, _FIELDS, min(limit, 100)), limit))
    rows = [
        {
            "created": job.get("createTime", "")[:19],
            "state": short(job.get("state", "")),
            "pipeline": job.get("labels", {}).get("kedro-pipeline", ""),
            "id": job["name"].rpartition("/")[2],
            "url": job_page(job["name"], api_endpoint),
        }
        for job in jobs
    ]
    if form == "json":
        click.echo(json.dumps(rows, indent=1))
    elif not rows:
        click.echo(f"No pipeline jobs of {manifest.project.name!r} in {client.parent}.")
    else:
        columns = ("created", "state", "pipeline", "id")
        widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
        for row in [{name: name.upper() for name in columns}, *rows]:
            click.echo("  ".join(row[name].ljust(widths[name]) for name in columns).rstrip())
