"""The client that talks to the emulator."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gcp_storage_emulator.server import create_server
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient


@pytest.fixture
def client(vertex: VertexEmulator) -> VertexClient:
    endpoints = Endpoints(vertex=vertex.url, logging=vertex.url)
    return VertexClient("demo-project", "europe-west1", AnonymousCredentials(), endpoints, deadline=2.0)


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    """The address of a Cloud Storage emulator with one bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket"):
        yield f"http://127.0.0.1:{port}"
