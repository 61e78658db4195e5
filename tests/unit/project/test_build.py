"""``kedro vertex build``, with a script in docker's place; the tests of containers build by podman."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.project.conftest import MakeProject, Vertex
from tests.unit.project.test_commands import CONFIGURED, VERTEXAI

IMAGE = "r.test:5000/shop"
DIGEST, IMAGE_ID = f"sha256:{'d' * 64}", f"sha256:{'1' * 64}"
#: What docker answers where it must; a line of what it was asked goes to a file.
DOCKER = f"""#!/bin/sh
echo "$PWD: $*" >> "$CALLS"
case "$1 $*" in
  "$FAILS "*) echo "said why" >&2; exit 17 ;;
  *Id*) echo {IMAGE_ID} ;;
  *RepoDigests*) echo "other.test/shop@sha256:0 {IMAGE}@{DIGEST}" ;;
esac
"""


class Docker:
    """A script in docker's place."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._calls = folder, folder / "calls"
        self.name("docker", DOCKER)
        for program in ("git", "sh"):
            (folder / program).symlink_to(str(shutil.which(program)))
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.setenv("CALLS", str(self._calls))
        monkeypatch.setenv("FAILS", "nothing")
        monkeypatch.delenv("KEDRO_CONFIG_COMMIT_ID", raising=False)

    def name(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def calls(self) -> list[str]:
        """What it was asked to build and push, each with the folder."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line for line in lines if ": build" in line or ": push" in line]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    (tmp_path / "bin").mkdir()
    return Docker(tmp_path / "bin", monkeypatch)


def shop(make_project: MakeProject, image: str = f"{IMAGE}:1") -> Path:
    files = {**CONFIGURED, "Dockerfile": "FROM scratch\n"}
    files[VERTEXAI] = files[VERTEXAI].replace("r.test/shop:1", image)
    return make_project(files)


def commit_all(project: Path) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.test")
    for arguments in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "All")):
        subprocess.run(["git", *arguments], cwd=project, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, check=True, capture_output=True, text=True).stdout


def test_it_builds_what_the_settings_name(docker: Docker, make_project: MakeProject, vertex: Vertex) -> None:
    project = shop(make_project)
    done = vertex(project, "build")
    assert (done.exit_code, done.stdout) == (0, f"Built {IMAGE}:1, {IMAGE_ID}\n")
    assert docker.calls() == [f"{project}: build --platform linux/amd64 --tag {IMAGE}:1 ."]
    assert vertex(project, "build", "--image", "other:2").stdout.startswith("Built other:2, ")


def test_it_pushes_and_tells_the_registrys_digest(docker: Docker, make_project: MakeProject, vertex: Vertex) -> None:
    done = vertex(shop(make_project), "build", "--push")
    assert (done.exit_code, done.stdout) == (0, f"Pushed {IMAGE}:1, which is {IMAGE}@{DIGEST}\n")
    assert docker.calls()[-1].endswith(f": push {IMAGE}:1")


def test_the_commit_is_the_tag(docker: Docker, make_project: MakeProject, vertex: Vertex) -> None:
    project = shop(make_project, f"{IMAGE}:${{commit_id|dirty}}")
    # Without a repository there is no commit to name.
    assert vertex(project, "build").stderr == ""
    commit = commit_all(project).strip()
    done = vertex(project, "build")
    assert done.stdout.startswith(f"Built {IMAGE}:dirty,")
    assert "export KEDRO_CONFIG_COMMIT_ID=$(git rev-parse HEAD)" in done.stderr
    done = vertex(project, "build", KEDRO_CONFIG_COMMIT_ID=commit)
    assert (done.stdout.partition(",")[0], done.stderr) == (f"Built {IMAGE}:{commit}", "")
    (project / "new.py").write_text("")
    done = vertex(project, "build", KEDRO_CONFIG_COMMIT_ID=commit[:7])
    assert "the folder has changes that are in no commit" in done.stderr
    assert done.exit_code == 0


def test_what_cannot_be_built_is_refused(docker: Docker, make_project: MakeProject, vertex: Vertex) -> None:
    project = shop(make_project, f"{IMAGE}@{DIGEST}")
    assert "a digest names an image that is there already" in vertex(project, "build").stderr
    (project / "Dockerfile").unlink()
    done = vertex(project, "build", "--image", "shop:1")
    assert (done.exit_code, "has no Dockerfile. kedro vertex init" in done.stderr) == (1, True)
    # Which does write it, and keeps the settings.
    settings = (project / VERTEXAI).read_bytes()
    done = vertex(project, "init", "other-project", "europe-west1")
    assert (done.exit_code, f"Kept {VERTEXAI}, which was there" in done.stdout) == (0, True)
    assert ((project / VERTEXAI).read_bytes(), (project / "Dockerfile").exists()) == (settings, True)
    assert docker.calls() == []


@pytest.mark.parametrize(("fails", "said"), [("build", "was not built: docker build"), ("push", "was not pushed: ")])
def test_a_failure_is_told(fails: str, said: str, docker: Docker, make_project: MakeProject, vertex: Vertex) -> None:
    image = "europe-west1-docker.pkg.dev/p/r/shop:1"
    done = vertex(shop(make_project, image), "build", "--push", FAILS=fails)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{image} {said}" in done.stderr
    assert "ended with 17" in done.stderr
    assert ("gcloud auth configure-docker europe-west1-docker.pkg.dev" in done.stderr) == (fails == "push")


def test_podman_is_taken_where_docker_does_not_work(docker: Docker, make_project: MakeProject, vertex: Vertex) -> None:
    project = shop(make_project)
    done = vertex(project, "build", FAILS="info")
    assert "docker does not work (said why), podman is not installed. Install docker or podman" in done.stderr
    docker.name("podman", 'echo "$PWD: $*" >> "$CALLS"; [ "$1" != push ] || printf ' + DIGEST + ' > "$3"')
    docker.name("podman", f"#!/bin/sh\n{(docker.folder / 'podman').read_text()}\n")
    done = vertex(project, "build", "--push", FAILS="info")
    assert done.stdout == f"Pushed {IMAGE}:1, which is {IMAGE}@{DIGEST}\n"


def test_run_once_asks_before_it_builds(
    docker: Docker, make_project: MakeProject, vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shop(make_project)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        done = vertex(project, "run-once", "--auto-build")
    assert (done.exit_code, docker.calls()) == (1, [])
    assert f"Build and push {IMAGE}:1, in place of any image of this name?" in done.stderr
    # What would be refused is not built.
    done = vertex(project, "run-once", "--auto-build", "--yes", "--nodes", "no_such_node")
    assert (done.exit_code, docker.calls()) == (1, [])
