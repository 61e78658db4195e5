"""``kedro vertex upload-pipeline``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.compile import checked_plan
from airflow_provider_kedro_vertex.project.cli.output import report_errors

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan.plan import Plan
    from airflow_provider_kedro_vertex.core.settings.filters import Selection


@click.command(name="upload-pipeline")
@click.argument("target", metavar="TARGET")
@options.pipeline
@options.image
@click.option("--tag", "-t", "version_tags", multiple=True, help="Tag of the version in Artifact Registry.")
@options.slices
@options.env
@click.pass_obj
def command(
    metadata: Any,
    target: str,
    pipeline: str,
    image: str | None,
    version_tags: tuple[str, ...],
    selection: Selection | None,
    env: str | None,
) -> None:
    """Compile a pipeline and upload it as a new version.

    TARGET is a KFP repository of Artifact Registry, https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY, or a file in Cloud
    Storage, gs://BUCKET/NAME.yaml (or .json).
    """
    from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
    from airflow_provider_kedro_vertex.core.text import counted
    from airflow_provider_kedro_vertex.project.spec_file import SUFFIXES, spec_text

    to_storage = target.startswith("gs://")
    file = Path(target.removeprefix("gs://")) if to_storage else Path("pipeline.yaml")
    if not to_storage and not target.startswith(("https://", "http://")):
        raise click.BadParameter(f"{target} must begin with https:// or gs://.", param_hint="TARGET")
    if to_storage and (file.suffix not in SUFFIXES or len(file.parts) < 2):
        raise click.BadParameter(f"{target} must be gs://BUCKET/NAME.yaml (or .json).", param_hint="TARGET")
    if to_storage and version_tags:
        raise click.BadParameter("only versions in Artifact Registry have tags.", param_hint="--tag")
    with report_errors():
        plan, digest = checked_plan(metadata.project_path, env, pipeline, image, selection)
        text = spec_text(pipeline_spec(plan), file)
        where = _to_storage(plan, target, text) if to_storage else _to_registry(target, text, version_tags)
        size = counted(len(plan.groups), "task")
        click.echo(f"Uploaded {where}: pipeline {pipeline!r} with {size}, from manifest {digest[:19]}")


def _to_storage(plan: Plan, target: str, text: str) -> str:
    from airflow_provider_kedro_vertex.project.cli.connection import connect, storage_endpoint

    connect(plan.config, None, storage=storage_endpoint()).write_object(target, text.encode())
    return target


def _to_registry(target: str, text: str, tags: tuple[str, ...]) -> str:
    try:
        import requests
        from google.auth.exceptions import GoogleAuthError
        from kfp.registry import RegistryClient
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}.", "Install airflow-provider-kedro-vertex[kfp] beside the project.") from error
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            package, version = RegistryClient(host=target).upload_pipeline(str(file), tags=list(tags) or None)
        except (requests.RequestException, GoogleAuthError, ValueError) as error:
            said = " ".join(str(error).split())
            raise ConfigError(
                f"{target} did not take the pipeline: {said} Check the address and your rights."
            ) from error
    return f"{target.rstrip('/')}/{package}/{version}"
