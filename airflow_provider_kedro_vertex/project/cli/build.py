"""``kedro vertex build``."""

from __future__ import annotations

from typing import Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors, warn


@click.command(name="build")
@click.option("--push", is_flag=True, help="Push it to the registry of its name.")
@click.option(
    "--cloud-build",
    is_flag=True,
    help="Let Cloud Build build and push it, of the files that git does not ignore; no docker is needed here.",
)
@options.image
@options.env
@click.pass_obj
def command(metadata: Any, push: bool, cloud_build: bool, image: str | None, env: str | None) -> None:
    """Build the image of run_config.image from the project's Dockerfile, by docker or podman.

    The tag is what vertexai.yml says, in the file that `kedro vertex init` writes the variable KEDRO_CONFIG_COMMIT_ID.
    The last line tells the image's digest.
    """
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
    from airflow_provider_kedro_vertex.project.cli.cloud_build import build_by_cloud_build
    from airflow_provider_kedro_vertex.project.image.build import build_image, check_image, doubt_about_tag

    with report_errors():
        # The settings say where Cloud Build works; docker needs the image's name alone.
        config = RunConfig() if image and not cloud_build else read_project(metadata.project_path, env).config
        name = check_image(metadata.project_path, image or config.image)
        if doubt := doubt_about_tag(metadata.project_path, name):
            warn(doubt)
        if cloud_build:
            built = build_by_cloud_build(metadata.project_path, config, name)
        else:
            built = build_image(metadata.project_path, name, push)
        click.echo(built)
