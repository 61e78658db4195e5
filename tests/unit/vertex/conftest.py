"""The client that talks to the emulator."""

from __future__ import annotations

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.vertex.client import VertexClient


@pytest.fixture
def client(vertex: VertexEmulator) -> VertexClient:
    return VertexClient("demo-project", "europe-west1", AnonymousCredentials(), api_endpoint=vertex.url, deadline=2.0)
