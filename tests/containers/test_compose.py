"""docker-compose.yaml as it is, brought up by podman-compose: Airflow and Vertex AI answer, and nothing is left."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.containers.conftest import ROOT
from tests.fresh_project import environment, run

UV = shutil.which("uv", path=str(ROOT / ".venv/bin"))
#: A program of its own, with no place among this repository's packages.
COMPOSE = [str(UV), "tool", "run", "--python", sys.executable, "--from", "podman-compose==1.6.0", "podman-compose"]
UP = re.compile(r"Airflow \S+ is up after .* Pages: Airflow (\S+), Vertex AI (\S+)")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that are in the repository, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "checkout" / name)
    return tmp_path / "checkout"


@pytest.fixture
def compose(checkout: Path, podman: dict[str, str]) -> Iterator[list[str]]:
    files = [checkout / "docker-compose.yaml", Path(__file__).with_name("compose.override.yaml")]
    command = [*COMPOSE, "--project-name", "kedro-vertex-test", *(f"--file={file}" for file in files)]
    # Its own registry, and a path without docker, are for builds that push.
    env = {key: value for key, value in podman.items() if key not in ("HTTP_PROXY", "NO_PROXY", "PATH")}
    env["PATH"] = environment()["PATH"]
    try:
        run(checkout, *command, "up", "--detach", "--build", env=env)
        yield command
    finally:
        subprocess.run(
            [*command, "down", "--volumes", "--rmi", "local", "--timeout", "60"], cwd=checkout, env=env, check=True
        )


def test_the_demo_comes_up(compose: list[str], checkout: Path, podman: dict[str, str]) -> None:
    deadline = time.monotonic() + 1800
    while not (up := UP.search(said := _log(podman))):
        assert _state(podman) == "running", said
        assert time.monotonic() < deadline, said
        time.sleep(2)
    airflow, vertex = up.groups()
    health = requests.get(f"{airflow}/api/v2/monitor/health", timeout=60).json()
    assert health["scheduler"]["status"] == "healthy"
    assert requests.get(vertex, timeout=60).status_code == 200
    # What the container built is in its volumes, not in the checkout.
    assert not any((checkout / ".venv").glob("*"))


def _containers(podman: dict[str, str], *arguments: str) -> str:
    name = "kedro-vertex-test_demo_1"
    done = subprocess.run(["podman", *arguments, name], env=podman, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _log(podman: dict[str, str]) -> str:
    return _containers(podman, "logs")


def _state(podman: dict[str, str]) -> str:
    return _containers(podman, "inspect", "--format", "{{.State.Status}}").strip()
