"""``kedro vertex ui``."""

from __future__ import annotations

from typing import Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors


@click.command(name="ui")
@options.project_id
@options.api_endpoint
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@options.env
@click.pass_obj
def command(metadata: Any, project_id: str | None, api_endpoint: str | None, only_print: bool, env: str | None) -> None:
    """Open the page of the project's pipeline runs in a browser."""
    import webbrowser

    from airflow_provider_kedro_vertex.core.jobs.console import jobs_page

    with report_errors():
        project_id = project_id or read_project(metadata.project_path, env).config.project_id
        if not project_id:
            raise ConfigError("No project_id is set.", "Set it in conf/base/vertexai.yml, or pass --project-id.")
    url = jobs_page(project_id, api_endpoint)
    click.echo(url)
    if not only_print and not webbrowser.open(url):
        click.echo("No browser can be opened here; open that address in yours.", err=True)
