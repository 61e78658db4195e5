"""``kedro vertex manifest``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import STDOUT_HELP, read_project, report_errors, show, write


@click.command(name="manifest")
@options.output(f"File to write, such as flights.manifest.json; {STDOUT_HELP}")
@options.params
@options.env
@click.pass_obj
def command(metadata: Any, output: Path, params: tuple[str, ...], env: str | None) -> None:
    """Inspect the project and write its manifest, which Airflow reads."""
    with report_errors():
        write_manifest(metadata.project_path, env, output, params)


def write_manifest(project: Path, env: str | None, output: Path, params: tuple[str, ...] = ()) -> None:
    """Inspect a project and write its manifest to a file, or to stdout for ``-``.

    :raises KedroVertexError: the project cannot be inspected, or the file cannot be written.
    """
    from airflow_provider_kedro_vertex.core.checks.settings import check_settings
    from airflow_provider_kedro_vertex.core.project import manifest as manifests
    from airflow_provider_kedro_vertex.core.text import counted

    found = read_project(project, env, params)
    show(check_settings(found, found.config))
    nodes = {node.name for pipeline in found.pipelines.values() for node in pipeline.nodes}
    size = f"{counted(len(found.pipelines), 'pipeline')}, {counted(len(nodes), 'node')}"
    write(output, manifests.dumps(found), f"{size}, {found.digest[:19]}")
