"""``kedro vertex tune``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.costs import start_of
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors, write_file

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.api import Job
    from airflow_provider_kedro_vertex.core.jobs.tuning import Run
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.vertex.client import VertexClient


@click.command(name="tune")
@options.pipeline
@click.option("--since", default="30d", show_default=True, help="How far back to look at runs: 12h, 30d.")
@click.option(
    "--margin",
    type=click.FloatRange(0, 10),
    default=0.25,
    show_default=True,
    help="How much more to ask for than was used: 0.25 is a quarter.",
)
@click.option("--yes", is_flag=True, help="Write it into vertexai.yml.")
@options.text_or_json
@options.project_id
@options.region
@options.api_endpoint
@options.env
@click.pass_obj
def command(
    metadata: Any,
    pipeline: str,
    since: str,
    margin: float,
    yes: bool,
    form: str,
    project_id: str | None,
    region: str | None,
    api_endpoint: str | None,
    env: str | None,
) -> None:
    """Tell what each node asks for and what it used in the last runs, and write what it needs into vertexai.yml.

    Each container tells in its log what it used. Without --yes the difference of vertexai.yml is shown, and nothing is
    written. Comments and all else in the file stay; where its form does not allow that, the YAML to put there is
    printed.
    """
    from airflow_provider_kedro_vertex.core.jobs.tuning import advise, changes, to_text
    from airflow_provider_kedro_vertex.core.plan.plan import build_plan
    from airflow_provider_kedro_vertex.core.text import label_value
    from airflow_provider_kedro_vertex.project.cli.connection import connect
    from airflow_provider_kedro_vertex.vertex.runs import jobs_since

    with report_errors():
        start = start_of(since)
        manifest = read_project(metadata.project_path, env)
        plan = build_plan(manifest, pipeline)
        client = connect(manifest.config.overridden({"project_id": project_id, "region": region}), api_endpoint)
        runs = _runs(client, jobs_since(client, label_value(manifest.project.name), start))
        advice = advise(plan, runs, margin)
        resources = changes(advice)
        _refuse_errors(manifest, pipeline, resources)
        if form == "json":
            click.echo(json.dumps({"groups": [each.to_dict() for each in advice]}, indent=1))
        else:
            click.echo(to_text(advice), nl=False)
        if resources:
            _change(metadata.project_path, env, resources, yes, told=form == "text")
        elif form == "text":
            click.echo("There is nothing to change.")


def _runs(client: VertexClient, jobs: Iterable[Job]) -> list[Run]:
    """The containers of some jobs that have ended, with what they told."""
    from airflow_provider_kedro_vertex.core.jobs.run_status import group_statuses
    from airflow_provider_kedro_vertex.core.jobs.tuning import Run
    from airflow_provider_kedro_vertex.core.jobs.usage import MARK, from_lines
    from airflow_provider_kedro_vertex.vertex.job_logs import marked_lines_by_container

    groups = [group for job in jobs for group in group_statuses([job]) if group.seconds is not None]
    tasks = {group.task.number: group.task for group in groups if group.task and group.task.number}
    lines = marked_lines_by_container(client, [*tasks.values()], MARK)
    return [Run(group, from_lines(lines.get(group.task.number or "", ()))) for group in groups if group.task]


def _refuse_errors(manifest: Manifest, pipeline: str, resources: Mapping[str, Mapping[str, str]]) -> None:
    """Check the pipeline with what is to be written.

    :raises ConfigError: a check finds an error.
    """
    from airflow_provider_kedro_vertex.core.checks.check import check
    from airflow_provider_kedro_vertex.core.checks.findings import refuse
    from airflow_provider_kedro_vertex.core.plan.plan import build_plan

    config = manifest.config.overridden({"resources": resources})
    refuse(check(manifest, build_plan(manifest, pipeline, config)))


def _change(
    project: Path, env: str | None, resources: Mapping[str, Mapping[str, str]], write: bool, told: bool
) -> None:
    """Show the difference of vertexai.yml, and write it where that is asked for.

    :raises ConfigError: it cannot be written.
    """
    from airflow_provider_kedro_vertex.project.resources_file import as_yaml, with_resources
    from airflow_provider_kedro_vertex.project.settings_file import settings_file

    file = settings_file(project, env)
    text = file.read_bytes().decode("utf-8") if file else ""
    changed = with_resources(text, resources) if file else None
    if file is None or changed is None:
        raise ConfigError(
            f"Nothing was written: {file or 'vertexai.yml'} has a form that cannot be changed line by line.",
            f"Put this into it:\n\n{as_yaml(resources)}",
        )
    name = str(file.relative_to(project))
    if told:
        lines = difflib.unified_diff(text.splitlines(), changed.splitlines(), name, name, lineterm="")
        click.echo("\n" + "\n".join(lines))
    if write:
        write_file(file, changed)
        click.echo(f"Wrote {name}. Look at: git diff", err=not told)
    elif told:
        click.echo("Nothing is written: --yes writes it.")
