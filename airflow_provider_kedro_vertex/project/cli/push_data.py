"""``kedro vertex push-data``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.text import counted
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors, warn

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.project.inputs.changes import Change
    from airflow_provider_kedro_vertex.project.inputs.datasets import Input
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Seconds between two lines about one large file.
_PAUSE = 5.0
INTERRUPTED = 130


@click.command(name="push-data")
@click.option(
    "--pipeline",
    "-p",
    "pipelines",
    multiple=True,
    help="Registered pipeline whose inputs are meant, also several times; by default all of them.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be uploaded, and upload nothing.")
@options.params
@options.env
@click.pass_context
def command(
    context: click.Context,
    pipelines: tuple[str, ...],
    dry_run: bool,
    params: tuple[str, ...],
    env: str | None,
) -> None:
    """Upload the pipelines' inputs to where they lie on Vertex AI: below run_config.data_root.

    These are the files and folders of the catalog that nodes take and no node of the project makes. Only what is not
    there yet, or is another there, is uploaded; nothing is deleted. A call that was interrupted goes on when it is
    called again. Exit code 1: an input is neither here nor there, or a file of it cannot be read.
    """
    with report_errors():
        project: Path = context.obj.project_path
        manifest = read_project(project, env, params)
        inputs = _inputs(project, manifest, pipelines, params)
        if not inputs:
            click.echo("No input of these pipelines lies below data_root.")
            return
        complete = _push(manifest, project, inputs, dry_run)
    context.exit(0 if complete else 1)


def _inputs(
    project: Path, manifest: Manifest, pipelines: tuple[str, ...], params: tuple[str, ...]
) -> tuple[Input, ...]:
    from airflow_provider_kedro_vertex.configuration.data_root import resolved
    from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
    from airflow_provider_kedro_vertex.core.project.selection import pipeline_names
    from airflow_provider_kedro_vertex.project.cli.parameters import parse_params
    from airflow_provider_kedro_vertex.project.inputs.datasets import inputs_below, taken_names
    from airflow_provider_kedro_vertex.project.inspect import configs_at_home

    config = manifest.config
    if not config.data_root:
        raise ConfigError(
            "No data_root is set: the Cloud Storage place of the catalog's data.",
            "Set run_config.data_root to gs://bucket/prefix in conf/base/vertexai.yml.",
        )
    root = resolved(config.data_root)
    if root != config.data_root:
        warn(f"data_root is {config.data_root}: these inputs go to {root}, and other runs look for theirs elsewhere.")
    names = [name for given in pipelines for name in pipeline_names(manifest, given)] or [*manifest.pipelines]
    taken = taken_names(manifest, names)
    given = parse_params(params, known_parameters(manifest))
    configs = configs_at_home(project, manifest.env, taken, given)
    return inputs_below(root, taken, configs, config.local_datasets)


def _push(manifest: Manifest, project: Path, inputs: tuple[Input, ...], dry_run: bool) -> bool:
    """Upload what changed.

    :return: whether all inputs are there now, or would be.
    """
    from airflow_provider_kedro_vertex.project.cli.connection import connect, storage_endpoint
    from airflow_provider_kedro_vertex.project.inputs.changes import compare

    client = connect(manifest.config, None, storage=storage_endpoint())
    uploaded = size = same = 0
    complete = True
    try:
        for given in inputs:
            state = compare(client, project, given)
            for remark in state.remarks:
                complete = False
                warn(f"{given} has a file that is left out: {remark}")
            if not state.files:
                if state.is_there:
                    click.echo(f"{given} is not here ({given.path}), and is at {given.url} already.")
                else:
                    complete = False
                    warn(f"{given} is missing: there is no {given.path}, and nothing at {given.url}.")
            same += state.files - len(state.changes)
            for change in state.changes:
                _upload(client, project, change, dry_run)
                uploaded, size = uploaded + 1, size + change.size
    except KeyboardInterrupt:
        click.echo(f"\nInterrupted after {counted(uploaded, 'file')}. The same command uploads the rest.", err=True)
        sys.exit(INTERRUPTED)
    done = f"{'Would upload' if dry_run else 'Uploaded'} {counted(uploaded, 'file')} ({_size(size)})"
    click.echo(f"{done}; {same} there already.")
    return complete


def _upload(client: VertexClient, project: Path, change: Change, dry_run: bool) -> None:
    path, url = change.file.path, change.file.url
    if dry_run:
        click.echo(f"Would upload {path} ({_size(change.size)}) to {url}")
        return
    told = time.monotonic()

    def progress(arrived: int) -> None:
        nonlocal told
        if arrived < change.size and time.monotonic() - told > _PAUSE:
            told = time.monotonic()
            click.echo(f"  {path}: {_size(arrived)} of {_size(change.size)}")

    try:
        client.upload(url, project / path, progress)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}.", "What was told before it, is uploaded."
        ) from error
    click.echo(f"Uploaded {path} ({_size(change.size)}) to {url}")


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return ""
