"""``kedro vertex schedule``."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import make_folder_of, read_project, report_errors, warn, write

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.core.settings.run_config import Schedule
    from airflow_provider_kedro_vertex.project.dag_file import Entry


@click.command(name="schedule")
@click.option(
    "--pipeline",
    "-p",
    "pipelines",
    multiple=True,
    help="Registered pipeline, also several times; by default each one that schedules: names.",
)
@click.option("--cron-expression", "-c", help="Five fields; or six, with 0 for the seconds.")
@click.option("--timezone", "-t", help="Time zone of the cron expression, such as Europe/Warsaw.")
@click.option("--start-time", help="First moment, ISO 8601; by default today.")
@click.option("--end-time", help="Last moment, ISO 8601.")
@click.option("--max-concurrent-run-count", type=click.IntRange(min=1), help="Runs side by side at most.")
@click.option("--max-run-count", type=click.IntRange(min=1), help="kedro-vertexai's option; Airflow counts no runs.")
@click.option(
    "--allow-queueing",
    is_flag=False,
    flag_value=True,
    type=bool,
    default=False,
    help="kedro-vertexai's option; Airflow always queues.",
)
@click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", help="Runtime parameter, typed as the project's own is."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="DAG file to write or to update; by default dags/<package>.py. The manifest goes beside it.",
)
@click.option("--force", is_flag=True, help="Write over a file that is no such DAG file.")
@options.env
@click.pass_obj
def command(
    metadata: Any,
    pipelines: tuple[str, ...],
    cron_expression: str | None,
    timezone: str | None,
    start_time: str | None,
    end_time: str | None,
    max_concurrent_run_count: int | None,
    max_run_count: int | None,
    allow_queueing: bool,
    params: tuple[str, ...],
    output: Path | None,
    force: bool,
    env: str | None,
) -> None:
    """Write an Airflow DAG file that runs pipelines by a schedule: Airflow's scheduler in place of Vertex AI's.

    What the options leave open comes from schedules: in vertexai.yml. A file that this command wrote is updated: other
    pipelines in it, and what you added, stay.
    """
    from airflow_provider_kedro_vertex.core.project import manifest as manifests
    from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
    from airflow_provider_kedro_vertex.project import dag_file
    from airflow_provider_kedro_vertex.project.cli.parameters import parse_params

    given = {
        "cron_expression": cron_expression,
        "timezone": timezone,
        "start_time": start_time,
        "end_time": end_time,
        "max_concurrent_run_count": max_concurrent_run_count,
    }
    with report_errors():
        manifest = read_project(metadata.project_path, env)
        package = manifest.project.package_name
        target = output or metadata.project_path / "dags" / f"{package}.py"
        if max_run_count is not None:
            warn("--max-run-count is ignored: Airflow counts no runs; give --end-time.")
        if allow_queueing:
            warn("--allow-queueing is ignored: Airflow always queues a run that may not start yet.")
        text = _text(target) if not force else None
        before = {} if text is None else {entry.pipeline: entry for entry in dag_file.entries_of(text, str(target))}
        runtime_params = parse_params(params, known_parameters(manifest))
        for name in _pipelines(manifest, pipelines):
            schedule = _schedule(manifest, name, {key: value for key, value in given.items() if value is not None})
            before[name] = _entry(name, schedule, runtime_params, before.get(name))
        entries = tuple(before[name] for name in sorted(before))
        data = target.with_name(f"{package}.manifest.json")
        content = (
            dag_file.new(manifest.project.name, data.name, entries) if text is None else dag_file.updated(text, entries)
        )
        make_folder_of(target)
        write(data, manifests.dumps(manifest), f"the manifest, {manifest.digest[:19]}")
        write(target, content, ", ".join(f"{entry.pipeline} {entry.schedule} {entry.timezone}" for entry in entries))


def _pipelines(manifest: Manifest, given: tuple[str, ...]) -> list[str]:
    from airflow_provider_kedro_vertex.core.project.selection import pipeline_names
    from airflow_provider_kedro_vertex.core.settings.schedules import scheduled

    for name in given:
        if len(several := pipeline_names(manifest, name)) > 1:
            raise ConfigError(
                f"--pipeline {name} names {len(several)} pipelines, and each DAG runs one.",
                "Give --pipeline for each of them, or register one pipeline that has the nodes of all.",
            )
    if given:
        return [manifest.pipeline(name).name for name in given]
    for name in (named := list(scheduled(manifest.config.schedules))):
        if name not in manifest.pipelines:
            raise ConfigError(f"schedules.{name} names no registered pipeline.", did_you_mean(name, manifest.pipelines))
    return named or [DEFAULT_PIPELINE]


def _schedule(manifest: Manifest, pipeline: str, given: dict[str, Any]) -> Schedule:
    from airflow_provider_kedro_vertex.core.settings.run_config import Schedule
    from airflow_provider_kedro_vertex.core.settings.schedules import DEFAULT_SCHEDULE

    schedules = manifest.config.schedules
    said = schedules.get(pipeline) or schedules.get(DEFAULT_SCHEDULE)
    if said is None and "cron_expression" not in given:
        raise ConfigError(
            f"Pipeline {pipeline!r} has no schedule.",
            f"Give --cron-expression, or set schedules.{pipeline} or schedules.{DEFAULT_SCHEDULE} in vertexai.yml.",
        )
    return Schedule.from_dict({**(said.to_dict() if said else {}), **given}, f"schedules.{pipeline}")


def _entry(pipeline: str, schedule: Schedule, params: dict[str, Any], before: Entry | None) -> Entry:
    from airflow_provider_kedro_vertex.core.settings.schedules import airflow_schedule, moment
    from airflow_provider_kedro_vertex.project.dag_file import Entry

    where = f"schedules.{pipeline}"
    found = airflow_schedule(schedule, where)
    # A start that moved with each update would be another DAG each time.
    start = found.start or (before.start if before else date.today().isoformat())
    moment(start, f"{where}.start_time")
    return Entry(
        pipeline=pipeline,
        schedule=found.cron,
        timezone=found.timezone,
        start=start,
        end=found.end,
        max_active_runs=found.max_active_runs,
        params=params or (before.params if before else {}),
    )


def _text(target: Path) -> str | None:
    try:
        return target.read_bytes().decode("utf-8")  # with its own line ends
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {target}: {error}.") from error
