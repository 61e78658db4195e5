"""The storage emulator: buckets in memory, for as long as it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tools.demo.processes import Processes
from tools.demo.rest import answers, get_json

USUAL_PORT = 9023


class StorageEmulator:
    """gcp-storage-emulator (PyPI) with one bucket, on loopback."""

    def __init__(self, bucket: str, *, processes: Processes, env: Mapping[str, str]) -> None:
        port = processes.ports.take(USUAL_PORT)
        self.bucket = bucket
        self.url = f"http://127.0.0.1:{port}"
        argv = ["gcp-storage-emulator", "start", "--host", "127.0.0.1", "--port", str(port)]
        processes.start("storage emulator", [*argv, "--in-memory", "--default-bucket", bucket], env=env)

    def ready(self) -> bool:
        """Ask whether it answers."""
        return answers(self.url)

    def client_settings(self) -> dict[str, str]:
        """The environment variables that lead gcsfs here."""
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            # Else gcsfs looks for Google's credentials first.
            "FSSPEC_GS_TOKEN": "anon",
            # Else gcsfs 2026 asks each bucket for its kind, over an API that the emulator lacks.
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }

    def read_json(self, name: str) -> Any:
        """One object's content, as JSON."""
        return get_json(f"{self.url}/storage/v1/b/{self.bucket}/o/{quote(name, safe='')}?alt=media")
