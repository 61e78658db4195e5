"""``kedro vertex compile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import (
    STDOUT,
    STDOUT_HELP,
    read_project,
    refuse_errors,
    report_errors,
    warn,
    write,
)

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan.plan import Plan
    from airflow_provider_kedro_vertex.core.settings.filters import Selection


@click.command(name="compile")
@options.pipeline
@options.image
@options.output(f"File to write, .json or .yaml; {STDOUT_HELP}", default="pipeline.yaml")
@options.params
@click.option("--params", "types", metavar="NAME:TYPE,...", help="kedro-vertexai's option. Not needed: see below.")
@options.slices
@options.env
@click.pass_obj
def command(
    metadata: Any,
    pipeline: str,
    image: str | None,
    output: Path,
    params: tuple[str, ...],
    types: str | None,
    selection: Selection | None,
    env: str | None,
) -> None:
    """Compile a registered pipeline, or a slice of it, to a Vertex AI PipelineSpec.

    The same checks as `kedro vertex check` run first; an error among their findings ends the command.

    Every parameter of the project can be set anew for each run, with any JSON value, so that none needs to be declared
    (--params).
    """
    from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
    from airflow_provider_kedro_vertex.core.text import counted
    from airflow_provider_kedro_vertex.project.spec_file import SUFFIXES, spec_text

    if output != STDOUT and output.suffix not in SUFFIXES:
        raise click.BadParameter(f"{output} must end in {', '.join(SUFFIXES)}.", param_hint="--output")
    with report_errors():
        if types:
            _answer(types)
        plan, digest = checked_plan(metadata.project_path, env, pipeline, image, selection, params)
        text = spec_text(pipeline_spec(plan), output)
        write(
            output, text, f"pipeline {pipeline!r} with {counted(len(plan.groups), 'task')}, from manifest {digest[:19]}"
        )


def checked_plan(
    project: Path,
    env: str | None,
    pipeline: str,
    image: str | None,
    selection: Selection | None,
    params: tuple[str, ...] = (),
) -> tuple[Plan, str]:
    """Inspect, plan and check a pipeline; warnings and notes become lines on stderr.

    :param image: in place of the configured one.
    :param params: runtime parameters with which the configuration is read.
    :return: the plan, and the manifest's digest.
    :raises KedroVertexError: it cannot be inspected or planned, or a check found an error.
    """
    from airflow_provider_kedro_vertex.core.plan.plan import build_plan

    manifest = read_project(project, env, params)
    plan = build_plan(manifest, pipeline, manifest.config.overridden({"image": image}), selection)
    refuse_errors(project, env, manifest, plan)
    return plan, manifest.digest


def _answer(types: str) -> None:
    for item in types.split(","):
        name, separator, kind = item.strip().partition(":")
        if not (name and separator and kind):
            raise click.BadParameter(f"{item!r} must be NAME:TYPE.", param_hint="--params")
    warn("--params is ignored: every parameter of the project can be set for each run, without being declared.")
