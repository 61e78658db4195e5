"""The image of a fresh project: built by podman of the Dockerfile that ``kedro vertex init`` writes, and run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage
from tests.containers import base_image
from tests.fresh_project import environment, kedro_new, run
from tests.storage import storage_emulator, storage_variables

ROOT = Path(__file__).parents[2]
REASON = base_image.missing() or (
    "" if all(map(base_image.exists, base_image.PYTHON_IMAGES)) else "needs images: make test-containers"
)
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

IMAGE = "europe-west1-docker.pkg.dev/my-project/kedro/shop"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this package."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def podman(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an environment has in which podman builds Dockerfiles as they are."""
    return base_image.configure_builds(tmp_path_factory.mktemp("podman"), wheels)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = kedro_new(tmp_path_factory.mktemp("project"))
    run(project, "kedro", "vertex", "init", "my-project", "europe-west1")
    return project


@pytest.fixture(scope="module")
def image(project: Path, podman: dict[str, str]) -> Iterator[str]:
    (project / "conf/local/credentials.yml").write_text("database: {password: not-in-an-image}\n")
    (project / "conf/base/credentials.yml").write_text("database: {password: not-in-an-image}\n")
    name = "localhost/vertex-emulator-test/shop:fresh"
    run(project, "podman", "build", "--platform", "linux/amd64", "--tag", name, ".", env=environment(**podman))
    yield name
    subprocess.run(["podman", "rmi", "--force", name], check=True, stdout=subprocess.DEVNULL)


def test_each_node_runs_in_the_image_as_a_user_who_is_not_root(
    project: Path, image: str, podman: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in podman.items():
        monkeypatch.setenv(name, value)
    with (
        storage_emulator("my-project-kedro") as storage,
        VertexEmulator({f"{IMAGE}:v1": ContainerImage(image)}, env=storage_variables(storage)) as vertex,
    ):
        said = run(project, "kedro", "vertex", "run-once", "--wait", "--api-endpoint", vertex.url)
        logs = "\n".join(file.read_text() for file in (vertex.data / "logs").iterdir())
    assert "Succeeded." in said
    assert "User kedro with id 1000 in /home/kedro/shop" in logs
    assert f"The sum is {sum(100 + 2 * day for day in range(30))}" in logs


def test_neither_secrets_nor_what_people_need_are_in_the_image(image: str, podman: dict[str, str]) -> None:
    program = "find . -type f; pip list --format=freeze"
    there = run(Path(), "podman", "run", "--rm", image, "sh", "-c", program, env=environment(**podman)).splitlines()
    assert "./conf/base/vertexai.yml" in there
    assert "./conf/local/.gitkeep" in there
    assert [line for line in there if re.search(r"credentials|notebook|jupyterlab|^\./data/|^\./\.git/", line)] == []


def test_a_change_of_the_project_installs_no_package_again(project: Path, image: str, podman: dict[str, str]) -> None:
    (project / "src/shop/pipelines/sums/more.py").write_text("")
    said = run(project, "podman", "build", "--tag", image, ".", env=environment(**podman))
    assert "Using cache" in said
    assert "Installing collected packages" not in said
