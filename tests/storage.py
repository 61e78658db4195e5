"""A Cloud Storage for tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from gcp_storage_emulator.server import create_server

# Once a Kedro project was opened in the tests' process, Kedro's handlers would print its requests among a command's
# lines.
logging.getLogger("gcp_storage_emulator").propagate = False


@contextmanager
def storage_emulator(bucket: str) -> Iterator[str]:
    """The address of a Cloud Storage emulator with one bucket.

    It chooses its port itself: between finding a free one and binding it another test may take it, and the emulator
    would wait for ever.
    """
    with create_server("127.0.0.1", 0, in_memory=True, default_bucket=bucket) as server:
        yield f"http://127.0.0.1:{server._api._httpd.server_port}"


def storage_variables(url: str) -> dict[str, str]:
    """What a container's environment has, so that gcsfs in it reaches the emulator at this address."""
    return {
        "STORAGE_EMULATOR_HOST": url,
        "FSSPEC_GS_TOKEN": "anon",
        # Else gcsfs 2026 asks the bucket for its kind, over an API that the emulator lacks.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
