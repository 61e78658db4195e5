"""Asking a Composer environment for its DAGs folder, and seeing that it can read what is put there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli.connection import (
    find_credentials,
    project_of,
    service_address,
    service_endpoint,
    storage_endpoint,
)
from airflow_provider_kedro_vertex.project.cli.output import warn
from airflow_provider_kedro_vertex.version import __version__

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
    from airflow_provider_kedro_vertex.vertex.composer import ComposerClient, Environment

PACKAGE = "airflow-provider-kedro-vertex"

#: The oldest Airflow that this package runs on.
_AIRFLOW = (2, 10, 5)


def composer_folder(config: RunConfig, name: str, location: str | None, install: bool, dry_run: bool) -> str:
    """Find the DAGs folder of an environment, ``gs://bucket/dags``.

    :param location: of the environment; the configured region by default.
    :param install: install this package there, where it is missing or another version is asked for.
    :param dry_run: install nothing.
    :raises ConfigError: there is no such environment, its Airflow is too old, or this package is not installed there.
    :raises VertexApiError: Composer refuses it or cannot be reached.
    """
    where = location or config.region
    if not where:
        raise ConfigError("No region is set.", "Pass --location, or set region in conf/base/vertexai.yml.")
    client = _client(config, where)
    environment = client.environment(name)
    if environment.state != "RUNNING":
        warn(f"The environment {name} is {environment.state}.")
    if environment.dags is None:
        raise ConfigError(f"The environment {name} has no DAGs folder yet: it is {environment.state}.", "Try later.")
    if environment.airflow and environment.airflow < _AIRFLOW:
        raise ConfigError(
            f"The environment {name} runs {environment.image_version}, and {PACKAGE} needs Airflow "
            f"{'.'.join(map(str, _AIRFLOW))} or newer. Nothing was deployed.",
            "Upgrade its image: gcloud composer environments update "
            f"{name} --location {where} --image-version composer-3-airflow-2",
        )
    click.echo(f"{name}: {environment.image_version}, DAGs in {environment.dags}", err=True)
    _see_to_package(client, environment, name, where, install, dry_run)
    return environment.dags


def _client(config: RunConfig, location: str) -> ComposerClient:
    given = [address for address in (service_endpoint("composer"), storage_endpoint()) if address]
    credentials, default = find_credentials(given)
    from airflow_provider_kedro_vertex.vertex.composer import ComposerClient
    from airflow_provider_kedro_vertex.vertex.rest import RestSession

    address = service_address("composer", credentials)
    return ComposerClient(RestSession(credentials), address, project_of(config, default), location)


def _see_to_package(
    client: ComposerClient, environment: Environment, name: str, location: str, install: bool, dry_run: bool
) -> None:
    # One name of a package is as good as another to pip, and Composer keeps the one that was given.
    key = next((key for key in environment.packages if re.sub(r"[-_.]+", "-", key) == PACKAGE), PACKAGE)
    installed, wanted = environment.packages.get(key), f"=={__version__}"
    pinned = re.fullmatch(r"==\s*([^,;\s]+)", installed.strip()) if installed is not None else None
    if installed is not None and (pinned is None or pinned[1] == __version__):
        return
    told = f"{PACKAGE} is not installed there" if installed is None else f"{PACKAGE}{installed} is installed there"
    command = (
        f"gcloud composer environments update {name} --location {location} --update-pypi-package {PACKAGE}{wanted}"
    )
    if install and not dry_run:
        click.echo(
            f"Installing {PACKAGE}{wanted} in {name}; this takes some minutes, also if you stop waiting.", err=True
        )
        client.install(environment, key, wanted)
        click.echo(f"Installed {PACKAGE}{wanted} in {name}.", err=True)
    elif install:
        click.echo(f"Would install {PACKAGE}{wanted} in {name}.", err=True)
    elif installed is None and not dry_run:
        raise ConfigError(
            f"{told}, so that Airflow could not read the DAG file. Nothing was deployed.",
            f"Pass --install, or run: {command}. If it gets there in another way, deploy to {environment.dags} itself.",
        )
    else:
        warn(f"{told}, and the manifest is written by {__version__}. Pass --install, or run: {command}")
