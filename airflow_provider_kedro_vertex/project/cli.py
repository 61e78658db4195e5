"""The ``kedro vertex`` commands. Kedro imports this module for every command, so the work is imported inside."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError, ProjectError

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.manifest import Manifest

Function = TypeVar("Function", bound=Callable[..., Any])

_STDOUT = Path("-")
_STDOUT_HELP = "- is stdout, where Kedro may log before (KEDRO_LOGGING_CONFIG)."

env_option = click.option(
    "--env", "-e", envvar="KEDRO_ENV", help="Kedro environment; by default $KEDRO_ENV, else the project's own default."
)


def output_option(text: str) -> Callable[[Function], Function]:
    """The ``--output`` option of a command that writes one file.

    :param text: its help.
    """
    return click.option(
        "--output",
        "-o",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        required=True,
        help=text,
    )


@click.group(name="airflow-provider-kedro-vertex")
def commands() -> None:
    """What this package adds to ``kedro``."""


@commands.group()
def vertex() -> None:
    """Run the project's pipelines on Vertex AI from Airflow."""


@vertex.command()
@output_option(f"File to write, such as flights.manifest.json; {_STDOUT_HELP}")
@env_option
@click.pass_obj
def manifest(metadata: Any, output: Path, env: str | None) -> None:
    """Inspect the project and write its manifest, which Airflow reads."""
    with problems_as_lines():
        write_manifest(metadata.project_path, env, output)


@vertex.command(name="compile")
@click.option("--pipeline", "-p", default="__default__", show_default=True, help="Name of a registered pipeline.")
@output_option(f"File to write, .json or .yaml; {_STDOUT_HELP}")
@env_option
@click.pass_obj
def compile_command(metadata: Any, pipeline: str, output: Path, env: str | None) -> None:
    """Compile a registered pipeline to a Vertex AI PipelineSpec."""
    with problems_as_lines():
        write_spec(metadata.project_path, env, pipeline, output)


def write_manifest(project: Path, env: str | None, output: Path) -> None:
    """Inspect a project and write its manifest to a file, or to stdout for ``-``.

    :raises KedroVertexError: the project cannot be inspected, or the file cannot be written.
    """
    from airflow_provider_kedro_vertex.core import manifest as manifests

    inspected = _inspect(project, env)
    if output == _STDOUT:
        click.echo(manifests.dumps(inspected), nl=False)
    else:
        manifests.write(inspected, output)
    nodes = {node.name for pipeline in inspected.pipelines.values() for node in pipeline.nodes}
    _done(output, f"{len(inspected.pipelines)} pipelines, {len(nodes)} nodes, {inspected.digest[:19]}")


def write_spec(project: Path, env: str | None, pipeline: str, output: Path) -> None:
    """Inspect a project, compile one of its pipelines and write the PipelineSpec, as :func:`write_manifest` does.

    :raises KedroVertexError: the project cannot be inspected or compiled, or the file cannot be written.
    """
    from airflow_provider_kedro_vertex.core.files import write_whole
    from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_spec
    from airflow_provider_kedro_vertex.core.plan import build_plan
    from airflow_provider_kedro_vertex.project.spec_file import SUFFIXES, spec_text

    if output != _STDOUT and output.suffix not in SUFFIXES:
        raise click.BadParameter(f"{output} must end in {', '.join(SUFFIXES)}.", param_hint="--output")
    inspected = _inspect(project, env)
    plan = build_plan(inspected, pipeline)
    text = spec_text(pipeline_spec(plan), output)
    if output == _STDOUT:
        click.echo(text, nl=False)
    else:
        try:
            write_whole(output, text)
        except OSError as error:
            raise ConfigError(f"Cannot write the spec {output}: {error.strerror or error}.") from error
    _done(output, f"pipeline {pipeline!r} with {len(plan.groups)} tasks, from manifest {inspected.digest[:19]}")


def _inspect(project: Path, env: str | None) -> Manifest:
    try:
        from airflow_provider_kedro_vertex.project.inspect import inspect_project
        from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning
    except ModuleNotFoundError as error:
        raise ProjectError(f"{error}. Install airflow-provider-kedro-vertex[kedro] beside the project.") from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConfigWarning)
        try:
            return inspect_project(project, env)
        finally:
            for item in caught:
                click.echo(f"Warning: {' '.join(str(item.message).split())}", err=True)


def _done(output: Path, what: str) -> None:
    click.echo(f"Wrote {'stdout' if output == _STDOUT else output}: {what}", err=output == _STDOUT)


@contextmanager
def problems_as_lines() -> Iterator[None]:
    """Show this package's errors as lines on stderr, without a traceback, and end with exit code 1."""
    try:
        yield
    except KedroVertexError as error:
        raise click.ClickException(str(error)) from error
