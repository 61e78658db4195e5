"""``kedro vertex plan``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import STDOUT, read_project, report_errors, show, write_file

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.run_price import RunPrice
    from airflow_provider_kedro_vertex.core.plan.plan_table import PlanTable
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.core.settings.filters import Selection
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig


@click.command(name="plan")
@options.pipeline
@options.image
@click.option("--grouping", help="In place of run_config.grouping: none, namespace, tag, memory, pipeline or auto.")
@options.text_or_json
@options.params
@options.output("File to write; - is stdout.", default="-")
@options.slices
@click.option("--since", help="Price a run too, by how long its containers took in the runs since then: 30d.")
@options.project_id
@options.region
@options.api_endpoint
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
    since: str | None,
    project_id: str | None,
    region: str | None,
    api_endpoint: str | None,
    env: str | None,
) -> None:
    """Show the node groups of a pipeline, or of a slice of it: machines, edges and an estimated price an hour.

    Needs no credentials and no network, but for --since, which asks Vertex AI. With a grouping, what it saves against a
    container for each node is shown too.
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
        place = config.overridden({"project_id": project_id, "region": region})
        price = _price(table, manifest, place, api_endpoint, since) if since else None
        told = {**table.to_dict(), **({"run": price.to_dict()} if price else {})}
        in_words = table.to_text() + (price.to_text() if price else "")
        text = json.dumps(told, indent=1) + "\n" if form == "json" else in_words
        if output != STDOUT:
            write_file(output, text)
    click.echo(text if output == STDOUT else f"Wrote {output}: {counted(len(plan.groups), 'node group')}\n", nl=False)


def _price(table: PlanTable, manifest: Manifest, config: RunConfig, api_endpoint: str | None, since: str) -> RunPrice:
    """Price a run by the project's last ones.

    :raises KedroVertexError: they could not be read, or ``since`` is no time.
    """
    from airflow_provider_kedro_vertex.core.jobs.run_price import run_price
    from airflow_provider_kedro_vertex.core.text import label_value
    from airflow_provider_kedro_vertex.project.cli.connection import connect
    from airflow_provider_kedro_vertex.project.cli.costs import start_of
    from airflow_provider_kedro_vertex.vertex.runs import jobs_since

    start = start_of(since)
    return run_price(table, jobs_since(connect(config, api_endpoint), label_value(manifest.project.name), start))
