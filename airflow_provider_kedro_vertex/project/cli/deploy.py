"""``kedro vertex deploy``."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.check import project_findings
from airflow_provider_kedro_vertex.project.cli.composer import composer_folder
from airflow_provider_kedro_vertex.project.cli.diff import FORMATS, formatted
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors, show, warn

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest
    from airflow_provider_kedro_vertex.project.deployment import DagsFolder


@click.command(name="deploy")
@click.argument("target", required=False)
@click.option(
    "--composer", metavar="ENVIRONMENT", help="In place of TARGET: the DAGs folder of a Composer environment."
)
@click.option("--location", help="Where the Composer environment is; by default the region in vertexai.yml.")
@click.option("--install", is_flag=True, help="Install this package in the Composer environment where it is missing.")
@click.option(
    "--pipeline",
    "-p",
    "pipelines",
    multiple=True,
    help="Registered pipeline to check and to make a DAG of, also several times; by default all of them.",
)
@options.image
@click.option("--dry-run", is_flag=True, help="Tell what would change, and write nothing.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to tell it.")
@options.env
@click.pass_obj
def command(
    metadata: Any,
    target: str | None,
    composer: str | None,
    location: str | None,
    install: bool,
    pipelines: tuple[str, ...],
    image: str | None,
    dry_run: bool,
    form: str,
    env: str | None,
) -> None:
    """Check the project, and put its manifest and a DAG file into Airflow's DAGs folder.

    TARGET is the folder, or gs://BUCKET/dags. The DAG file is the project's own dags/<package>.py where it has one,
    else a new one where no DAG file there reads the manifest. Tells what changed against what is there. With
    --composer, Composer's API is asked for the folder, and for what is to be installed there.
    """
    from airflow_provider_kedro_vertex.core.checks.findings import errors, refuse
    from airflow_provider_kedro_vertex.project.deployment import deployment

    if (target is None) == (composer is None):
        raise click.UsageError("Give either TARGET or --composer ENVIRONMENT.")
    if composer is None and (location or install):
        raise click.UsageError("--location and --install go with --composer.")
    with report_errors():
        read = read_project(metadata.project_path, env)
        manifest = dataclasses.replace(read, config=read.config.overridden({"image": image}))
        names = tuple(manifest.pipeline(name).name for name in pipelines)
        findings = project_findings(metadata.project_path, env, manifest, manifest.config, names)
        show(finding for finding in findings if finding not in errors(findings))
        refuse(findings)
        if composer is not None:
            target = composer_folder(manifest.config, composer, location, install, dry_run)
        folder = _folder(str(target), manifest)
        own = metadata.project_path / "dags" / f"{manifest.project.package_name}.py"
        todo = deployment(manifest, folder, own, names)
        for remark in todo.remarks:
            warn(remark)
        click.echo(formatted(todo.diff, form), nl=False)
        for file in todo.files:
            if not dry_run:
                folder.write(file.name, file.text)
            click.echo(f"{'Would write' if dry_run else 'Wrote'} {folder}/{file.name}", err=form != "text")
        if not todo.files:
            click.echo(f"{folder} is up to date.", err=form != "text")


def _folder(target: str, manifest: Manifest) -> DagsFolder:
    from airflow_provider_kedro_vertex.project.cli.connection import connect, storage_endpoint
    from airflow_provider_kedro_vertex.project.deployment import Bucket, LocalFolder

    if "://" not in target:
        return LocalFolder(Path(target))
    if not re.fullmatch(r"gs://[^/]+/[^/].*", target):
        raise ConfigError(f"{target} is no DAGs folder.", "Give a folder, or gs://BUCKET/dags.")
    return Bucket(connect(manifest.config, None, storage=storage_endpoint()), target.rstrip("/"))
