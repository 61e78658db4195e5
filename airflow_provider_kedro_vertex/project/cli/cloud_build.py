"""Building a project's image by Cloud Build, of an archive of its files below ``root``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli.connection import (
    connect,
    find_credentials,
    project_of,
    service_endpoint,
    storage_endpoint,
)

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
    from airflow_provider_kedro_vertex.project.image.build import BuiltImage
    from airflow_provider_kedro_vertex.vertex.cloud_build import CloudBuildClient

_FOLDER = "kedro-vertex-source"


def build_by_cloud_build(project: Path, config: RunConfig, image: str) -> BuiltImage:
    """Build and push the image of a project, and wait for it.

    The files that git does not ignore are sent, and stay in Cloud Storage; `.dockerignore` holds there too.

    :raises ConfigError: no region or root is set, the project is in no git repository, or the build fails.
    :raises VertexApiError: Cloud Storage or Cloud Build refuses it or cannot be reached.
    """
    from airflow_provider_kedro_vertex.project.image.archive import source_archive
    from airflow_provider_kedro_vertex.project.image.build import BuiltImage

    if not config.root:
        raise ConfigError("run_config.root is not set: the place for the source.", "Set it in conf/base/vertexai.yml.")
    data = source_archive(project)
    storage = connect(config, None, storage=storage_endpoint())
    url = f"{config.root.rstrip('/')}/{_FOLDER}/{hashlib.sha256(data).hexdigest()}.tar.gz"
    storage.write_object(url, data)
    client = _client(config)
    build = client.start(url, image)
    click.echo(f"Started {build['name']} of {url}. See {build.get('logUrl', 'its log')}", err=True)
    return BuiltImage(image, client.wait(build), pushed=True)


def _client(config: RunConfig) -> CloudBuildClient:
    given = [address for address in (service_endpoint("cloudbuild"), storage_endpoint()) if address]
    credentials, default = find_credentials(given)
    from airflow_provider_kedro_vertex.vertex.cloud_build import CloudBuildClient
    from airflow_provider_kedro_vertex.vertex.rest import RestSession

    endpoint = service_endpoint("cloudbuild") or f"https://cloudbuild.{credentials.universe_domain}"
    return CloudBuildClient(RestSession(credentials), endpoint, project_of(config, default), config.region or "global")
