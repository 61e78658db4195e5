"""``kedro vertex build``."""

from __future__ import annotations

from typing import Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors, warn


@click.command(name="build")
@click.option("--push", is_flag=True, help="Push it to the registry of its name.")
@options.image
@options.env
@click.pass_obj
def command(metadata: Any, push: bool, image: str | None, env: str | None) -> None:
    """Build the image of run_config.image from the project's Dockerfile, by docker or podman.

    The tag is what vertexai.yml says, in the file that `kedro vertex init` writes the variable KEDRO_CONFIG_COMMIT_ID.
    The last line tells the image's digest.
    """
    from airflow_provider_kedro_vertex.project.image.build import build_image, check_image, doubt_about_tag

    with report_errors():
        name = check_image(metadata.project_path, image or read_project(metadata.project_path, env).config.image)
        if doubt := doubt_about_tag(metadata.project_path, name):
            warn(doubt)
        click.echo(build_image(metadata.project_path, name, push))
