"""Fixtures for anybody's pytest, found by its name there once this package is installed.

    def test_it_submits(vertex_emulator):
        requests.post(f"{vertex_emulator.url}/v1/projects/p/locations/europe-west1/pipelineJobs", json=...)

By default every container succeeds at once. To run code, say what stands for an image, in a ``conftest.py`` or beside
the test:

    @pytest.fixture
    def vertex_emulator_options():
        return {"images": {"eu.gcr.io/p/flights": "."}}

It is imported at the start of every pytest run of that environment, so what is heavy is imported in the fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.emulator.server import VertexEmulator


@pytest.fixture
def vertex_emulator_options() -> dict[str, Any]:
    """The arguments of :class:`.VertexEmulator`, to be overridden."""
    from airflow_provider_kedro_vertex.emulator.executors.images import Noop

    return {"noop": Noop(0)}


@pytest.fixture
def vertex_emulator(vertex_emulator_options: dict[str, Any]) -> Iterator[VertexEmulator]:
    """A local Vertex AI with nothing in it, for one test; its ``url`` serves REST, its ``grpc_target`` gRPC."""
    from airflow_provider_kedro_vertex.emulator.server import VertexEmulator

    with VertexEmulator(**vertex_emulator_options) as emulator:
        yield emulator
