"""Reaching Vertex AI from a laptop or CI: with Google's default credentials, or an emulator's address."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_kedro_vertex.core.errors import ConfigError, PermissionDeniedError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

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
    given = [address for address in (api_endpoint, storage) if address]
    credentials, default_project_id = find_credentials(given)
    from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient, is_emulator

    if not config.region:
        raise ConfigError("No region is set.", "Set it in conf/base/vertexai.yml, or pass --region.")
    endpoints = Endpoints(vertex=api_endpoint, storage=storage)
    if api_endpoint and is_emulator(api_endpoint):
        endpoints = replace(endpoints, logging=api_endpoint)  # it has the logs too
    return VertexClient(project_of(config, default_project_id), config.region, credentials, endpoints)


def find_credentials(addresses: Sequence[str]) -> tuple[Credentials, str | None]:
    """Find Google's default credentials, and the project that they name.

    Where all addresses are emulators of this machine there are none: what goes to them is anonymous.

    :param addresses: other services than Google's own that will be called.
    :raises ConfigError: an address is http:// and not of this machine, or google-auth or requests is not installed.
    :raises PermissionDeniedError: there are no default credentials.
    """
    try:
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError

        from airflow_provider_kedro_vertex.vertex.client import is_emulator, refuse_plain_text
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error}.", "Install google-auth and requests beside the project.") from error
    refuse_plain_text(addresses)
    if addresses and all(map(is_emulator, addresses)):
        return AnonymousCredentials(), None
    try:
        found, project_id = google.auth.default(scopes=[_SCOPE])
    except DefaultCredentialsError:
        fix = "Run: gcloud auth application-default login"
        if others := [address for address in addresses if not is_emulator(address)]:
            fix += f". (An emulator needs none, at http://127.0.0.1:PORT; that is not {', '.join(others)}.)"
        raise PermissionDeniedError("There are no Google credentials here.", fix=fix) from None
    return found, project_id


def project_of(config: RunConfig, default: str | None) -> str:
    """The Google Cloud project: the configured one, else that of the credentials.

    :raises ConfigError: neither names one.
    """
    if project_id := config.project_id or default:
        return project_id
    raise ConfigError("No project_id is set.", "Set it in conf/base/vertexai.yml, or pass --project-id.")


def service_address(service: str, credentials: Credentials) -> str:
    """The address of one of Google's APIs: :func:`service_endpoint`, else the public one.

    :param credentials: those that will be used there; they say in which universe it is.
    """
    universe = getattr(credentials, "universe_domain", "googleapis.com")
    return service_endpoint(service) or f"https://{service}.{universe}"


def service_endpoint(service: str) -> str | None:
    """Another address of one of Google's APIs: the variable that gcloud reads for it.

    :param service: its name there, such as ``composer``.
    """
    return os.environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}")


def storage_endpoint() -> str | None:
    """Another Cloud Storage than Google's: the variable that Google's own clients read for an emulator's address."""
    return os.environ.get("STORAGE_EMULATOR_HOST")


def is_on_this_machine(api_endpoint: str | None) -> bool:
    """Tell whether jobs go to an emulator, which runs with this machine's images."""
    from airflow_provider_kedro_vertex.vertex.client import is_emulator

    return api_endpoint is not None and is_emulator(api_endpoint)
