"""The Kedro project that the demo runs, as its manifest tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.demo.errors import StackError
from tools.demo.processes import Processes

INSPECT_SECONDS = 120


@dataclass(frozen=True)
class Target:
    """Where the project's configuration sends its jobs."""

    project_id: str
    region: str
    image: str
    bucket: str


@dataclass(frozen=True)
class KedroProject:
    """A Kedro project's folder and the name of its manifest in it."""

    folder: Path
    manifest: str

    def inspect(self, processes: Processes, env: Mapping[str, str]) -> None:
        """Write the manifest with Kedro's own command.

        Raises:
            StackError: The command failed.
        """
        argv = ["kedro", "vertex", "manifest", "-o", self.manifest]
        processes.run("kedro vertex manifest", argv, env=env, seconds=INSPECT_SECONDS, cwd=self.folder)

    def target(self) -> Target:
        """Read the manifest's configuration.

        Raises:
            StackError: It lacks one of the four.
        """
        config = json.loads((self.folder / self.manifest).read_text(encoding="utf-8"))["config"]
        for key in ("project_id", "region", "image", "root"):
            if not config.get(key):
                raise StackError(f"{self.folder}/conf: vertexai.yml has no {key}, which the local stack needs.")
        bucket = config["root"].removeprefix("gs://").partition("/")[0]
        return Target(config["project_id"], config["region"], config["image"], bucket)
