"""The environment of unmodified Google clients that end up at an emulator, and a storage emulator beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gcp_storage_emulator.server import create_server

from airflow_provider_kedro_vertex.emulator import VertexEmulator


@contextmanager
def google_environment(emulator: VertexEmulator) -> Iterator[dict[str, str]]:
    """The variables of a process whose Google clients reach an emulator with TLS, and a storage emulator."""
    with storage_emulator() as storage:
        yield variables(emulator, storage)


def variables(emulator: VertexEmulator, storage: str) -> dict[str, str]:
    """The same with a storage emulator that is there already, by its address."""
    return {**os.environ, **emulator.client_environment("demo-project", storage)}


@contextmanager
def storage_emulator() -> Iterator[str]:
    """A storage emulator; its address."""
    storage = create_server("127.0.0.1", 0, in_memory=True)
    storage.start()
    try:
        # It does not say which port it took. One that was looked for before could be somebody else's by now, and then
        # it would wait for ever.
        port = storage._api._httpd.server_port
        yield f"http://127.0.0.1:{port}"
    finally:
        storage.stop()
