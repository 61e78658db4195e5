"""What builds need: podman, in which Dockerfiles are built as they are, and a registry to push to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers import base_image
from tests.containers.registry import Registry, registry
from tests.fresh_project import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def base_images() -> None:
    """Skip where images cannot be built."""
    if reason := base_image.missing():
        pytest.skip(reason)
    if not all(map(base_image.exists, base_image.PYTHON_IMAGES)):
        pytest.skip("needs images: make test-containers")


@pytest.fixture(scope="session")
def wheels(base_images: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this package."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def artifact_registry() -> Iterator[Registry]:
    with registry() as running:
        yield running


@pytest.fixture(scope="session")
def podman(
    wheels: Path, artifact_registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment in which commands have podman, and Artifact Registry is one of this machine."""
    host = f"127.0.0.1:{artifact_registry.server_port}"
    folder = tmp_path_factory.mktemp("podman")
    base_image.remove_images()
    yield environment(**base_image.configure_builds(folder, wheels, host), PATH=path_without_docker(folder))
    base_image.remove_images()


def path_without_docker(folder: Path) -> str:
    """Where a client of docker is installed beside podman, its daemon may run, and is not what is tested."""
    (folder / "bin").mkdir()
    for program in ("bash", "cat", "git", "podman", "sh"):
        (folder / "bin" / program).symlink_to(str(shutil.which(program)))
    (folder / "bin" / "gcloud").write_text("#!/bin/sh\n")
    (folder / "bin" / "gcloud").chmod(0o755)
    return os.pathsep.join((str(Path(sys.executable).parent), str(folder / "bin")))
