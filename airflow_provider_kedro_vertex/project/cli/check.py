"""``kedro vertex check``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import (
    STDOUT,
    catalog_findings,
    lines,
    read_project,
    report_errors,
    write_file,
)

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.checks.container import Mode
    from airflow_provider_kedro_vertex.core.checks.findings import Finding
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig


@click.command(name="check")
@click.option("--pipeline", "-p", "pipelines", multiple=True, help="Registered pipeline; all of them by default.")
@options.image
@options.params
@click.option(
    "--mode",
    type=click.Choice(["pipeline_job", "custom_job"]),
    default="pipeline_job",
    show_default=True,
    help="How it will run: one PipelineJob, or a CustomJob for each node group.",
)
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)
@options.output("File to write the report to; - is the terminal.", default="-")
@click.option(
    "--deep", is_flag=True, help="Import the classes of the datasets, and hold the catalog's arguments against theirs."
)
@options.env
@click.pass_context
def command(
    context: click.Context,
    pipelines: tuple[str, ...],
    image: str | None,
    params: tuple[str, ...],
    mode: Mode,
    strict: bool,
    form: str,
    output: Path,
    deep: bool,
    env: str | None,
) -> None:
    """Find what would fail on Vertex AI before it costs money.

    Needs no credentials and no network. Exit code 0: nothing wrong; 1: an error (with --strict: or a warning); 2: a
    wrong use of the command. `kedro vertex explain CODE` explains a finding.
    """
    from airflow_provider_kedro_vertex.core.checks.findings import errors

    found = _found(context.obj, pipelines, image, params, mode, deep, env)
    wrong = errors(found, strict)
    told = [*lines(found, with_pipelines=len(pipelines) != 1)]
    report = {"ok": not wrong, "strict": strict, "findings": [finding.to_dict() for finding in found]}
    if output != STDOUT:
        with report_errors():
            text = (
                json.dumps(report, indent=1) if form == "json" else "\n".join([*map(click.unstyle, told), _sum(found)])
            )
            write_file(output, f"{text}\n")
    elif form == "json":
        click.echo(json.dumps(report, indent=1))
    if output != STDOUT or form == "text":
        for line in told:
            click.echo(line, err=True)
        click.echo(f"{'Failed' if wrong else 'Passed'}: {_sum(found)}", err=bool(wrong))
    context.exit(1 if wrong else 0)


def _sum(found: tuple[Finding, ...]) -> str:
    from airflow_provider_kedro_vertex.core.text import counted

    levels = [finding.level for finding in found]
    counts = [counted(levels.count(level), level) for level in ("error", "warning", "note")]
    advice = f" To understand one: kedro vertex explain {found[0].code}" if found else ""
    return f"{', '.join(counts)}.{advice}"


def _found(
    metadata: Any,
    pipelines: tuple[str, ...],
    image: str | None,
    params: tuple[str, ...],
    mode: Mode,
    deep: bool,
    env: str | None,
) -> tuple[Finding, ...]:
    from airflow_provider_kedro_vertex.core.checks.findings import Finding

    try:
        manifest = read_project(metadata.project_path, env, params)
        config = manifest.config.overridden({"image": image})
        return project_findings(metadata.project_path, env, manifest, config, pipelines, mode, deep)
    except KedroVertexError as error:
        return tuple(map(Finding.of, error.each()))


def project_findings(
    project: Path,
    env: str | None,
    manifest: Manifest,
    config: RunConfig,
    pipelines: tuple[str, ...] = (),
    mode: Mode = "pipeline_job",
    deep: bool = False,
) -> tuple[Finding, ...]:
    """Check a project that was inspected in this process, or some of its pipelines.

    :raises KedroVertexError: its catalog cannot be read, or there is no such pipeline.
    """
    from airflow_provider_kedro_vertex.core.checks.check import check_pipelines, check_project
    from airflow_provider_kedro_vertex.core.project.selection import pipeline_names

    in_catalog = [*catalog_findings(project, env, manifest, deep)]
    if pipelines:
        asked = {name for given in pipelines for name in pipeline_names(manifest, given)}
        in_catalog = [finding for finding in in_catalog if asked.intersection(finding.pipelines)]
        return (*check_pipelines(manifest, pipelines, config, mode=mode), *in_catalog)
    return (*check_project(manifest, config, mode), *in_catalog, *_left_out())


def _left_out() -> Iterator[Finding]:
    from airflow_provider_kedro_vertex.core.checks.findings import Finding
    from airflow_provider_kedro_vertex.project.inspect import pipelines_without_nodes

    for pipeline in pipelines_without_nodes():
        message = f"Pipeline {pipeline!r} has no nodes, so it is left out."
        yield Finding("KV021", "note", message, "Give it some, or do not register it.", pipelines=(pipeline,))
