"""``kedro vertex diff``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import STDOUT, report_errors, write_file

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan.diff import Diff

FORMATS = ("text", "markdown", "json")


@click.command(name="diff")
@click.argument("old", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print.")
@options.output("File to write; - is stdout.", default="-")
def command(old: Path, new: Path, form: str, output: Path) -> None:
    """Tell what changed between two manifests: nodes, containers, machines and prices, schedules, settings.

    Needs no credentials and no network. What the code of a node does is in no manifest.
    """
    from airflow_provider_kedro_vertex.core.plan.diff import diff
    from airflow_provider_kedro_vertex.core.project import manifest as manifests

    with report_errors():
        text = formatted(diff(manifests.read(old), manifests.read(new)), form)
        if output != STDOUT:
            write_file(output, text)
    click.echo(text if output == STDOUT else f"Wrote {output}\n", nl=False)


def formatted(diff: Diff, form: str) -> str:
    """Write a difference in one of :data:`FORMATS`."""
    from airflow_provider_kedro_vertex.core.plan.diff_text import to_markdown, to_text

    if form == "json":
        return json.dumps(dataclasses.asdict(diff), indent=1) + "\n"
    return to_markdown(diff) if form == "markdown" else to_text(diff)
