"""``kedro vertex plan``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import STDOUT, read_project, report_errors, show, write_file

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.settings.filters import Selection


@click.command(name="plan")
@options.pipeline
@options.image
@click.option("--grouping", help="In place of run_config.grouping: none, namespace, tag, memory, pipeline or auto.")
@options.text_or_json
@options.params
@options.output("File to write; - is stdout.", default="-")
@options.slices
@options.env
@click.pass_obj
def command(
    metadata: Any,
    pipeline: str,
    image: str | None,
    grouping: str | None,
    form: str,
    params: tuple[str, ...],
    output: Path,
    selection: Selection | None,
    env: str | None,
) -> None:
    """Show the node groups of a pipeline, or of a slice of it: machines, edges and an estimated price an hour.

    Needs no credentials and no network. With a grouping, what it saves against a container for each node is shown too.
    """
    from airflow_provider_kedro_vertex.core.checks.settings import left_open
    from airflow_provider_kedro_vertex.core.plan.plan import build_plan
    from airflow_provider_kedro_vertex.core.plan.plan_table import plan_table
    from airflow_provider_kedro_vertex.core.text import counted

    with report_errors():
        manifest = read_project(metadata.project_path, env, params)
        config = manifest.config.overridden({"image": image, "grouping": grouping})
        plan, alone = (
            build_plan(manifest, pipeline, each, selection)
            for each in (config, config.overridden({"grouping": "none"}))
        )
        table = plan_table(plan, alone)
        show(left_open(manifest))
        text = json.dumps(table.to_dict(), indent=1) + "\n" if form == "json" else table.to_text()
        if output != STDOUT:
            write_file(output, text)
    click.echo(text if output == STDOUT else f"Wrote {output}: {counted(len(plan.groups), 'node group')}\n", nl=False)
