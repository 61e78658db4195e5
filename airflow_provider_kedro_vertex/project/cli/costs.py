"""``kedro vertex costs``."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.cost import ContainerCost, Sum

BY = ("pipeline", "node", "day")


@click.command(name="costs")
@click.option("--since", default="30d", show_default=True, help="How far back: 12h, 30d.")
@click.option("--by", type=click.Choice(BY), default="pipeline", show_default=True, help="What to sum up by.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="How to print.",
)
@options.project_id
@options.region
@options.api_endpoint
@options.env
@click.pass_obj
def command(
    metadata: Any,
    since: str,
    by: str,
    form: str,
    project_id: str | None,
    region: str | None,
    api_endpoint: str | None,
    env: str | None,
) -> None:
    """Tell what the project's jobs have cost at list prices: an estimate of their containers' hours, and no bill.

    Jobs that run count with the containers that have ended.
    """
    from airflow_provider_kedro_vertex.core.jobs.cost import PRICES, sums, total
    from airflow_provider_kedro_vertex.core.text import label_value
    from airflow_provider_kedro_vertex.project.cli.connection import connect
    from airflow_provider_kedro_vertex.vertex.runs import jobs_since

    with report_errors():
        start = start_of(since)
        manifest = read_project(metadata.project_path, env)
        client = connect(manifest.config.overridden({"project_id": project_id, "region": region}), api_endpoint)
        costs = _costs(jobs_since(client, label_value(manifest.project.name), start))
    rows = sums(costs, by)
    if form == "json":
        click.echo(json.dumps({by: [*map(dataclasses.asdict, rows)], "prices": PRICES}, indent=1))
    elif form == "csv":
        click.echo(_to_csv(rows, by), nl=False)
    else:
        click.echo(_to_text([*rows, total(costs)], by), nl=False)


def _costs(jobs: Any) -> list[ContainerCost]:
    from airflow_provider_kedro_vertex.core.jobs.cost import container_costs

    return [cost for job in jobs for cost in container_costs(job)]


def start_of(since: str) -> datetime:
    """Read --since, how far back to look.

    :raises ConfigError: it is no time.
    """
    from airflow_provider_kedro_vertex.core.settings.quantities import seconds

    try:
        return datetime.now(timezone.utc) - timedelta(seconds=seconds(since))
    except (ConfigError, OverflowError):
        raise ConfigError(f"--since must be a time such as 12h or 30d, not {since[:50]!r}.") from None


def _to_csv(rows: list[Sum], by: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([by, "jobs", "containers", "seconds", "dollars", "unpriced"])
    writer.writerows([row.key, row.jobs, row.containers, row.seconds, row.dollars, row.unpriced] for row in rows)
    return text.getvalue()


def _to_text(rows: list[Sum], by: str) -> str:
    from airflow_provider_kedro_vertex.core.jobs.cost import PRICES

    cells = [(by.upper(), "JOBS", "HOURS", "DOLLARS")]
    cells += [(row.key, str(row.jobs), f"{row.seconds / 3600:.2f}", f"{row.dollars:.2f}") for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(row[at].rjust(widths[at]) for at in range(1, 4))]) for row in cells]
    if unpriced := rows[-1].unpriced:
        lines.append(f"{unpriced} containers have a machine without a known price, and count nothing.")
    return "\n".join([*lines, f"{PRICES}."]) + "\n"
