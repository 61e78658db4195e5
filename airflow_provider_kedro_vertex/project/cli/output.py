"""Input and output of the commands: the project's manifest, files, findings, errors without a traceback."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError, ProjectError

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.checks.findings import Finding
    from airflow_provider_kedro_vertex.core.plan.plan import Plan
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest

STDOUT = Path("-")
STDOUT_HELP = "- is stdout, where Kedro may log before (KEDRO_LOGGING_CONFIG)."

_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


def read_project(project: Path, env: str | None, params: Iterable[str] = ()) -> Manifest:
    """Inspect a project; what its configuration is warned of becomes lines on stderr.

    :param params: runtime parameters with which its configuration is read, each ``key=value``.
    :raises KedroVertexError: it cannot be inspected, or a parameter is wrong.
    """
    try:
        from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
        from airflow_provider_kedro_vertex.project.cli.parameters import parse_params
        from airflow_provider_kedro_vertex.project.inspect import inspect_project
        from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning
    except ModuleNotFoundError as error:
        raise ProjectError(f"{error}.", "Install airflow-provider-kedro-vertex[kedro] beside the project.") from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConfigWarning)
        try:
            manifest = inspect_project(project, env)
            if given := parse_params(params, known_parameters(manifest)):
                caught.clear()  # the same is said once more
                manifest = inspect_project(project, env, given)
            return manifest
        finally:
            for item in caught:
                warn(" ".join(str(item.message).split()))


def warn(message: str) -> None:
    """Say a warning on stderr."""
    click.echo(f"Warning: {message}", err=True)


def write(output: Path, text: str, what: str) -> None:
    """Write a file, whole or not at all, or stdout for ``-``, and say so.

    :param what: what the file holds.
    :raises ConfigError: the folder is missing or not writable.
    """
    if output == STDOUT:
        click.echo(text, nl=False)
    else:
        write_file(output, text)
    click.echo(f"Wrote {'stdout' if output == STDOUT else output}: {what}", err=output == STDOUT)


def write_file(target: Path, text: str) -> None:
    """Write a file, whole or not at all.

    :raises ConfigError: the folder is missing or not writable.
    """
    from airflow_provider_kedro_vertex.core.files import write_whole

    try:
        write_whole(target, text)
    except OSError as error:
        raise ConfigError(f"Cannot write {target}: {error.strerror or error}.") from error


def make_folder_of(target: Path) -> None:
    """Make the folder that a file goes into.

    :raises ConfigError: it cannot be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Cannot make the folder {target.parent}: {error.strerror or error}.") from error


def show(findings: Iterable[Finding]) -> None:
    """Say what the checks found on stderr, a line for each, and for many of one kind; colours on a terminal."""
    for line in lines(findings):
        click.echo(line, err=True)


def lines(findings: Iterable[Finding], with_pipelines: bool = False) -> Iterator[str]:
    """Put findings into words, a line for each, and for many of one kind.

    :param with_pipelines: name the pipelines in which each was found.
    """
    from airflow_provider_kedro_vertex.core.checks.findings import some, summarized

    for finding in summarized(findings):
        level = click.style(f"{finding.code} {finding.level}", fg=_COLORS[finding.level], bold=True)
        named = not finding.pipelines or repr(finding.pipelines[0]) in finding.message
        found_in = f"In {some(finding.pipelines)}." if with_pipelines and not named else ""
        yield " ".join(part for part in (f"{level}:", finding.message, finding.fix, found_in) if part)


def catalog_findings(project: Path, env: str | None, manifest: Manifest, deep: bool = False) -> Iterator[Finding]:
    """Check the entries of the catalog of a project that was inspected in this process.

    :param deep: import the classes of the datasets too.
    :raises ConfigError: the catalog cannot be read.
    """
    from airflow_provider_kedro_vertex.project.catalog_check import check_catalog
    from airflow_provider_kedro_vertex.project.inspect import dataset_configs

    return check_catalog(manifest, dataset_configs(project, env, manifest.datasets), deep)


def refuse_errors(
    project: Path, env: str | None, manifest: Manifest, plan: Plan, spec: Mapping[str, Any] | None = None
) -> None:
    """Check a plan that is to become a PipelineJob; warnings and notes become lines on stderr.

    :param spec: the plan, compiled, if it is at hand.
    :raises ConfigError: a check found an error, or the catalog cannot be read.
    """
    from airflow_provider_kedro_vertex.core.checks.check import check
    from airflow_provider_kedro_vertex.core.checks.findings import errors, refuse

    nodes = {node for group in (*plan.groups, *filter(None, [plan.exit_group])) for node in group.nodes}
    in_catalog = (found for found in catalog_findings(project, env, manifest) if nodes.intersection(found.nodes))
    findings = (*check(manifest, plan, spec=spec), *in_catalog)
    show(finding for finding in findings if finding not in errors(findings))
    refuse(findings)


@contextmanager
def report_errors() -> Iterator[None]:
    """Show this package's errors as lines on stderr, without a traceback, and end with exit code 1."""
    try:
        yield
    except KedroVertexError as error:
        raise click.ClickException(str(error)) from error
