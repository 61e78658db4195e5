"""``kedro vertex run-once``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, refuse_errors, report_errors, warn

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.settings.filters import Selection


@click.command(name="run-once")
@options.pipeline
@options.image
@options.params
@click.option(
    "--wait", "--wait-for-completion", "wait", is_flag=True, help="Show the nodes' states until the job ends."
)
@click.option(
    "--timeout-seconds", type=click.IntRange(min=1), help="With --wait: stop waiting after so long; the job goes on."
)
@options.slices
@options.project_id
@options.region
@options.api_endpoint
@options.env
@click.option("--auto-build", is_flag=True, help="Build the image first, and push it unless the job is an emulator's.")
@click.option("--yes", is_flag=True, help="With --auto-build: do not ask.")
@click.pass_context
def command(
    context: click.Context,
    pipeline: str,
    image: str | None,
    params: tuple[str, ...],
    wait: bool,
    timeout_seconds: int | None,
    selection: Selection | None,
    project_id: str | None,
    region: str | None,
    api_endpoint: str | None,
    env: str | None,
    auto_build: bool,
    yes: bool,
) -> None:
    """Run a registered pipeline, or a slice of it, once on Vertex AI, without Airflow.

    The same checks as `kedro vertex check` run first. Parameters above 100 KiB are stored below root, where the nodes
    read them. With --wait the exit code tells how the job ended: 0 succeeded,
    1 failed, 3 cancelled, 4 still running after --timeout-seconds.
    """
    from airflow_provider_kedro_vertex.core.jobs.console import job_page
    from airflow_provider_kedro_vertex.core.jobs.parameters import is_long, to_json
    from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
    from airflow_provider_kedro_vertex.core.plan.plan import build_plan
    from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
    from airflow_provider_kedro_vertex.core.text import counted
    from airflow_provider_kedro_vertex.project.cli.connection import connect, is_on_this_machine, storage_endpoint
    from airflow_provider_kedro_vertex.project.cli.parameters import parse_params
    from airflow_provider_kedro_vertex.project.cli.submission import submit
    from airflow_provider_kedro_vertex.project.cli.watching import watch

    with report_errors():
        manifest = read_project(context.obj.project_path, env, params)
        config = manifest.config.overridden({"image": image, "project_id": project_id, "region": region})
        plan = build_plan(manifest, pipeline, config, selection)
        runtime_params = to_json(parse_params(params, known_parameters(manifest)))
        spec = pipeline_spec(plan)
        refuse_errors(context.obj.project_path, env, manifest, plan, spec)
        if auto_build:
            _build(context.obj.project_path, config.image, is_on_this_machine(api_endpoint), yes)
        client = connect(config, api_endpoint, storage=storage_endpoint() if is_long(runtime_params) else None)
        job = submit(client, plan, spec, runtime_params)
        page = job_page(job["name"], api_endpoint)
        size = counted(len(plan.groups), "task")
        click.echo(f"Submitted {job['name']}: pipeline {pipeline!r} with {size}.\nSee {page}")
        if wait:
            context.exit(watch(client, job, plan, page, timeout_seconds))


def _build(project: Path, image: str | None, local: bool, yes: bool) -> None:
    """Build the image of a job, and push it, once the caller has agreed.

    :param local: the job is an emulator's, which takes the image from this machine.
    """
    from airflow_provider_kedro_vertex.project.image.build import build_image, check_image, doubt_about_tag

    name = check_image(project, image)
    if doubt := doubt_about_tag(project, name):
        warn(doubt)
    what = "Build" if local else "Build and push"
    if not yes:
        click.confirm(f"{what} {name}, in place of any image of this name?", default=True, abort=True, err=True)
    click.echo(build_image(project, name, push=not local))
