"""``kedro vertex check``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import inspected, show

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.checks.container import Mode
    from airflow_provider_kedro_vertex.core.checks.findings import Finding


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
    env: str | None,
) -> None:
    """Find what would fail on Vertex AI before it costs money.

    Needs no credentials and no network. Exit code 0: nothing wrong; 1: an error (with --strict: or a warning); 2: a
    wrong use of the command. `kedro vertex explain CODE` explains a finding.
    """
    from airflow_provider_kedro_vertex.core.checks.findings import errors

    found = _found(context.obj, pipelines, image, params, mode, env)
    wrong = errors(found, strict)
    if form == "json":
        report = {"ok": not wrong, "strict": strict, "findings": [finding.to_dict() for finding in found]}
        click.echo(json.dumps(report, indent=1))
    else:
        show(found)
        counts = [f"{_count(found, level)} {level}s" for level in ("error", "warning", "note")]
        advice = f" To understand one: kedro vertex explain {found[0].code}" if found else ""
        click.echo(f"{'Failed' if wrong else 'Passed'}: {', '.join(counts)}.{advice}", err=bool(wrong))
    context.exit(1 if wrong else 0)


def _count(findings: tuple[Finding, ...], level: str) -> int:
    return sum(finding.level == level for finding in findings)


def _found(
    metadata: Any,
    pipelines: tuple[str, ...],
    image: str | None,
    params: tuple[str, ...],
    mode: Mode,
    env: str | None,
) -> tuple[Finding, ...]:
    from airflow_provider_kedro_vertex.core.checks.check import check_pipelines
    from airflow_provider_kedro_vertex.core.checks.findings import Finding

    try:
        manifest = inspected(metadata.project_path, env, params)
        config = manifest.config.overridden({"image": image})
    except KedroVertexError as error:
        return tuple(map(Finding.of, error.each()))
    names = pipelines or tuple(name for name, each in manifest.pipelines.items() if each.nodes)
    return check_pipelines(manifest, names, config, mode=mode)
