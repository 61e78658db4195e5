"""A running Vertex AI emulator, and the client that talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from tests.unit.vertex.jobs import IMAGE


@pytest.fixture(scope="package")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    folder = tmp_path_factory.mktemp("image")
    with VertexEmulator(images={IMAGE: folder}, data=tmp_path_factory.mktemp("vertex")) as running:
        yield running


@pytest.fixture
def client(emulator: VertexEmulator) -> VertexClient:
    return VertexClient("demo-project", "europe-west1", AnonymousCredentials(), api_endpoint=emulator.url, deadline=2.0)
