"""What unmodified Google clients need around them to end up at an emulator, told as they are told anything else: in
the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gcp_storage_emulator.server import create_server

from airflow_provider_kedro_vertex.emulator import VertexEmulator

from .google_hosts import pointed_here

REGION = "europe-west1"


@contextmanager
def google_environment(emulator: VertexEmulator) -> Iterator[dict[str, str]]:
    """The variables of a process whose Google clients reach an emulator with TLS by the region's own host name, and
    a storage emulator. Nothing else of Google is there, so it must not be asked: give jobs a service account, and
    buckets that are not there yet (of others the SDK asks Resource Manager who owns them, and does not give up soon).
    """
    storage = create_server("127.0.0.1", 0, in_memory=True)
    storage.start()
    try:
        # It does not say which port it took. One that was looked for before could be somebody else's by now, and then
        # it would wait for ever.
        port = storage._api._httpd.server_port
        with pointed_here({f"{REGION}-aiplatform.googleapis.com:443": emulator.grpc_target}) as proxy:
            yield {
                **os.environ,
                "grpc_proxy": proxy,
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(emulator.ca),
                "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}",
                "NO_GCE_CHECK": "true",  # no metadata server is looked for
            }
    finally:
        storage.stop()
