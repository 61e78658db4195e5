"""``python -m airflow_provider_kedro_vertex.project manifest``: what Airflow runs with a project's own Python.

As ``kedro vertex manifest``, for any project folder, and without Kedro's command line and its plugins. The environment
is what ``--env`` says and nothing else, so that equal arguments give equal manifests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.manifest import write_manifest


@click.group()
def main() -> None:
    """Inspect a Kedro project."""


@main.command()
@click.option("--project", type=click.Path(path_type=Path), required=True, help="The Kedro project's folder.")
@click.option("--env", help="Kedro environment; the project's own default one if not given.")
@options.output("File to write; - is stdout.")
def manifest(project: Path, env: str | None, output: Path) -> None:
    """Inspect a Kedro project and write its manifest."""
    # Kedro configures logging when it is imported, by default to stdout and to files that the project names.
    os.environ["KEDRO_LOGGING_CONFIG"] = str(Path(__file__).with_name("logging.yml"))
    project = project.absolute()
    if str(output) != "-":
        output = output.absolute()
    if project.is_dir():
        os.chdir(project)  # as in the container, where the project is the working directory
    try:
        write_manifest(project, env, output)
    except KedroVertexError as error:
        click.echo(" ".join(str(error).split()), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m airflow_provider_kedro_vertex.project")
