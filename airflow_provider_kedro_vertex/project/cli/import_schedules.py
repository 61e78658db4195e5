"""``kedro vertex import-schedules``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors, warn, write_file

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.core.settings.run_config import Schedule
    from airflow_provider_kedro_vertex.project.old_schedules import OldSchedule
    from airflow_provider_kedro_vertex.vertex.client import VertexClient


@click.command(name="import-schedules")
@click.option("--pause", is_flag=True, help="Pause the schedules on Vertex AI, so that Airflow's are the only ones.")
@click.option("--delete", is_flag=True, help="Delete them there.")
@options.project_id
@options.api_endpoint
@options.env
@click.pass_obj
def command(
    metadata: Any, pause: bool, delete: bool, project_id: str | None, api_endpoint: str | None, env: str | None
) -> None:
    """Write the schedules that kedro-vertexai made on Vertex AI into vertexai.yml, where the DAG factory finds them.

    What is in the file stays; where its form does not allow it, the YAML to put there is printed. Without --pause or
    --delete the schedules on Vertex AI go on beside the DAGs.
    """
    from airflow_provider_kedro_vertex.project.cli.connection import connect
    from airflow_provider_kedro_vertex.project.old_schedules import chosen, old_schedules

    if pause and delete:
        raise click.UsageError("Give --pause or --delete, not both.")
    with report_errors():
        manifest = read_project(metadata.project_path, env)
        client = connect(manifest.config.overridden({"project_id": project_id}), api_endpoint)
        names = (manifest.project.name, manifest.project.package_name, Path(metadata.project_path).name)
        found = [*old_schedules(client.list_schedules(), names)]
        for schedule in found:
            click.echo(f"{schedule.state} {schedule.title!r}: pipeline {schedule.pipeline!r}, {_words(schedule)}")
        if not found:
            click.echo(f"{client.parent} has no schedules of this project.")
            return
        written = _take_over(metadata.project_path, env, manifest, chosen(found))
        if delete and not written:
            raise ConfigError(
                "Nothing was deleted, since the schedules are not in vertexai.yml yet.",
                "Put them there, and run the command again.",
            )
        _stop(client, found, pause, delete)


def _words(schedule: OldSchedule) -> str:
    return f"{schedule.settings['cron_expression']} {schedule.settings['timezone']}"


def _take_over(project: Path, env: str | None, manifest: Manifest, picked: Mapping[str, OldSchedule]) -> bool:
    """Write the schedules that vertexai.yml lacks; False where a person must do it."""
    from airflow_provider_kedro_vertex.core.settings.run_config import Schedule
    from airflow_provider_kedro_vertex.project.schedules_file import as_yaml, with_schedules
    from airflow_provider_kedro_vertex.project.settings_file import settings_file

    lacking: dict[str, Mapping[str, Any]] = {}
    for pipeline, schedule in sorted(picked.items()):
        for remark in schedule.left_behind:
            warn(f"{schedule.title!r}: {remark}.")
        if pipeline not in manifest.pipelines:
            warn(f"{schedule.title!r} runs pipeline {pipeline!r}, which the project does not register; it is left out.")
            continue
        said = manifest.config.schedules.get(pipeline)
        if said is None:
            lacking[pipeline] = schedule.settings
        elif not _same(said, Schedule.from_dict(schedule.settings, pipeline)):
            warn(f"vertexai.yml has another schedule of pipeline {pipeline!r}, which stays as it is.")
    if not lacking:
        click.echo("vertexai.yml has all of them.")
        return True
    file = settings_file(project, env)
    text = file.read_bytes().decode("utf-8") if file else ""
    changed = with_schedules(text, lacking) if file else None
    if file is None or changed is None:
        click.echo(f"Put this into {file or 'vertexai.yml'}, beside what is there:\n\n{as_yaml(lacking)}", nl=False)
        return False
    write_file(file, changed)
    click.echo(f"Wrote {file.relative_to(project)}: schedules of {', '.join(lacking)}. Look at: git diff")
    return True


def _same(one: Schedule, other: Schedule) -> bool:
    from airflow_provider_kedro_vertex.core.settings.schedules import airflow_schedule

    try:
        return airflow_schedule(one, "") == airflow_schedule(other, "")
    except ConfigError:
        return one == other


def _stop(client: VertexClient, found: list[OldSchedule], pause: bool, delete: bool) -> None:
    going = [schedule for schedule in found if schedule.state == "ACTIVE"]
    if delete:
        for schedule in found:
            client.delete_schedule(schedule.name)
            click.echo(f"Deleted {schedule.title!r} ({schedule.name})")
    elif pause:
        for schedule in going:
            client.pause_schedule(schedule.name)
            click.echo(f"Paused {schedule.title!r} ({schedule.name})")
    elif going:
        warn(f"{len(going)} of them go on beside the DAGs. Pause them with --pause, or delete them with --delete.")
