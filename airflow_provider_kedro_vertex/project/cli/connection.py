"""Reaching Vertex AI from a laptop or CI: with Google's default credentials, or an emulator's address."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_kedro_vertex.core.errors import ConfigError, PermissionDeniedError

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def connect(config: RunConfig, api_endpoint: str | None, storage: str | None = None) -> VertexClient:
    """Make a client for the configured project and region.

    :param api_endpoint: another Vertex AI; one on this machine over plain http is an emulator and gets no credentials.
    :param storage: another Cloud Storage; the same holds for it.
    :raises ConfigError: the project or region is not known, an address is http:// and not of this machine, or
        google-auth or requests is not installed.
    :raises PermissionDeniedError: there are no default credentials.
    """
    try:
        import google.auth
        from google.auth.credentials import AnonymousCredentials, Credentials
        from google.auth.exceptions import DefaultCredentialsError

        from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient, is_emulator
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}.", "Install google-auth and requests beside the project.") from error
    if not config.region:
        raise ConfigError("No region is set.", "Set it in conf/base/vertexai.yml, or pass --region.")
    given = [address for address in (api_endpoint, storage) if address]
    endpoints = Endpoints(vertex=api_endpoint, storage=storage)
    endpoints.refuse_plain_text()
    if api_endpoint and is_emulator(api_endpoint):
        endpoints = replace(endpoints, logging=api_endpoint)  # it has the logs too
    credentials: Credentials
    if given and all(map(is_emulator, given)):
        credentials, default_project_id = AnonymousCredentials(), None
    else:
        try:
            credentials, default_project_id = google.auth.default(scopes=[_SCOPE])
        except DefaultCredentialsError:
            raise PermissionDeniedError(
                "There are no Google credentials here.", fix="Run: gcloud auth application-default login"
            ) from None
    project_id = config.project_id or default_project_id
    if not project_id:
        raise ConfigError("No project_id is set.", "Set it in conf/base/vertexai.yml, or pass --project-id.")
    return VertexClient(project_id, config.region, credentials, endpoints)


def storage_endpoint() -> str | None:
    """Another Cloud Storage than Google's: the variable that Google's own clients read for an emulator's address."""
    return os.environ.get("STORAGE_EMULATOR_HOST")


def is_on_this_machine(api_endpoint: str | None) -> bool:
    """Tell whether jobs go to an emulator, which runs with this machine's images."""
    from airflow_provider_kedro_vertex.vertex.client import is_emulator

    return api_endpoint is not None and is_emulator(api_endpoint)
