"""The image of a fresh project: built of the Dockerfile that ``kedro vertex init`` writes, pushed, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage
from tests.containers import base_image
from tests.containers.registry import Registry, digest_of, registry
from tests.fresh_project import environment, kedro_new, run
from tests.storage import storage_emulator, storage_variables

ROOT = Path(__file__).parents[2]
REASON = base_image.missing() or (
    "" if all(map(base_image.exists, base_image.PYTHON_IMAGES)) else "needs images: make test-containers"
)
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

REPOSITORY = f"{base_image.REGISTRY}/my-project/kedro/shop"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this package."""
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def artifact_registry() -> Iterator[Registry]:
    with registry() as running:
        yield running


@pytest.fixture(scope="module")
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
    for program in ("git", "podman", "sh"):
        (folder / "bin" / program).symlink_to(str(shutil.which(program)))
    return os.pathsep.join((str(Path(sys.executable).parent), str(folder / "bin")))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = kedro_new(tmp_path_factory.mktemp("project"))
    run(project, "kedro", "vertex", "init", "my-project", "europe-west1")
    return project


@pytest.fixture(scope="module")
def commit(project: Path) -> str:
    """The project is in a repository, as it is."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.test")
    for arguments in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "--message", "All of it")):
        run(project, "git", *arguments)
    (project / "conf/local/credentials.yml").write_text("database: {password: not-in-an-image}\n")
    (project / "conf/base/credentials.yml").write_text("database: {password: not-in-an-image}\n")
    return run(project, "git", "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def pushed(project: Path, commit: str, podman: dict[str, str]) -> str:
    """What ``kedro vertex build --push`` says."""
    return run(project, "kedro", "vertex", "build", "--push", env={**podman, "KEDRO_CONFIG_COMMIT_ID": commit})


@pytest.fixture(scope="module")
def image(pushed: str, commit: str) -> str:
    return f"{REPOSITORY}:{commit}"


def test_the_image_is_tagged_by_the_commit_and_its_digest_is_told(
    pushed: str, image: str, commit: str, artifact_registry: Registry, podman: dict[str, str]
) -> None:
    _, manifest = artifact_registry.manifests["my-project/kedro/shop", commit]
    assert pushed.splitlines()[-1] == f"Pushed {image}, which is {REPOSITORY}@{digest_of(manifest)}"
    by_digest = f"{REPOSITORY}@{digest_of(manifest)}"
    run(Path(), "podman", "pull", "--quiet", by_digest, env=podman)


def test_each_node_runs_in_the_image_as_a_user_who_is_not_root(
    project: Path, image: str, commit: str, podman: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in podman.items():
        monkeypatch.setenv(name, value)
    with (
        storage_emulator("my-project-kedro") as storage,
        VertexEmulator({image: ContainerImage(image)}, env=storage_variables(storage)) as vertex,
    ):
        env = {**podman, "KEDRO_CONFIG_COMMIT_ID": commit}
        said = run(project, "kedro", "vertex", "run-once", "--wait", "--api-endpoint", vertex.url, env=env)
        logs = "\n".join(file.read_text() for file in (vertex.data / "logs").iterdir())
    assert "Succeeded." in said
    assert "User kedro with id 1000 in /home/kedro/shop" in logs
    assert f"The sum is {sum(100 + 2 * day for day in range(30))}" in logs


def test_run_once_builds_for_an_emulator_without_a_push(
    project: Path,
    image: str,
    podman: dict[str, str],
    artifact_registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in podman.items():
        monkeypatch.setenv(name, value)
    pushed = dict(artifact_registry.manifests)
    name = f"{REPOSITORY}:auto"
    (project / "src/shop/pipelines/sums/more.py").write_text("")
    with (
        storage_emulator("my-project-kedro") as storage,
        VertexEmulator({name: ContainerImage(name)}, env=storage_variables(storage)) as vertex,
    ):
        command = ("kedro", "vertex", "run-once", "--auto-build", "--yes", "--wait", "--image", name)
        said = run(project, *command, "--api-endpoint", vertex.url, env=podman)
    assert f"Built {name}, sha256:" in said
    assert "Succeeded." in said
    assert artifact_registry.manifests == pushed
    layers = run(Path(), "podman", "image", "inspect", "--format", "{{json .RootFS.Layers}}", name, image, env=podman)
    new, old = map(json.loads, layers.splitlines())
    # A change of the project installs no package again.
    assert [layer for layer in new if layer not in old] == new[-1:]


def test_neither_secrets_nor_what_people_need_are_in_the_image(image: str, podman: dict[str, str]) -> None:
    program = "find . -type f; pip list --format=freeze"
    there = run(Path(), "podman", "run", "--rm", image, "sh", "-c", program, env=podman).splitlines()
    assert "./conf/base/vertexai.yml" in there
    assert "./conf/local/.gitkeep" in there
    assert [line for line in there if re.search(r"credentials|notebook|jupyterlab|^\./data/|^\./\.git/", line)] == []
