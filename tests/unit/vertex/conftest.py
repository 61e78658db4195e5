"""The client that talks to the emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from tests.storage import storage_emulator


@pytest.fixture
def client(vertex: VertexEmulator) -> VertexClient:
    endpoints = Endpoints(vertex=vertex.url, logging=vertex.url)
    return VertexClient("demo-project", "europe-west1", AnonymousCredentials(), endpoints, deadline=20.0)


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    with storage_emulator("bucket") as url:
        yield url
