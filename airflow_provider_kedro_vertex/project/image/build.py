"""One image of a project: what must be there before it is built, and its name afterwards."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.image.commit import COMMIT_VARIABLE, has_changes, head_commit
from airflow_provider_kedro_vertex.project.image.docker import find_docker

DOCKERFILE = "Dockerfile"


@dataclass(frozen=True)
class BuiltImage:
    """An image that was built.

    :param name: with its tag, as jobs name it.
    :param digest: ``sha256:..``: of the registry for an image that was pushed, else the image's own id.
    :param pushed: whether the registry has it.
    """

    name: str
    digest: str
    pushed: bool

    def __str__(self) -> str:
        if not self.pushed:
            return f"Built {self.name}, {self.digest}"
        return f"Pushed {self.name}" + (f", which is {_repository(self.name)}@{self.digest}" if self.digest else "")


def build_image(project: Path, image: str | None, push: bool) -> BuiltImage:
    """Build the image of a project by docker or podman.

    :param image: ``run_config.image``.
    :param push: push it too.
    :raises ConfigError: there is no image name or no ``Dockerfile``, neither program works, or one of them fails.
    """
    name = check_image(project, image)
    docker = find_docker("No image can be built here")
    built = docker.build(project, name)
    return BuiltImage(name, docker.push(name) if push else built, push)


def check_image(project: Path, image: str | None) -> str:
    """Check that an image can be built.

    :return: its name.
    :raises ConfigError: there is no image name, a name that no build can have, or no ``Dockerfile``.
    """
    if not image:
        raise ConfigError("run_config.image is not set.", "Set it in conf/base/vertexai.yml, or pass --image.")
    if "@" in image:
        raise ConfigError(
            f"run_config.image is {image}: a digest names an image that is there already.",
            "Give it a tag in place of the digest, or pass --image.",
        )
    if not (project / DOCKERFILE).is_file():
        raise ConfigError(f"{project} has no {DOCKERFILE}.", "kedro vertex init writes one where there is none.")
    return image


def doubt_about_tag(project: Path, image: str) -> str:
    """What makes a tag name something else than the commit that is checked out; empty if it may be right.

    :param image: the name with its tag.
    """
    commit = head_commit(project)
    if commit is None:
        return ""
    if COMMIT_VARIABLE not in os.environ and _reads_commit(project):
        return (
            f"{COMMIT_VARIABLE} is not set, so that the tag of {image} names no commit. For this and the commands "
            f"that follow: export {COMMIT_VARIABLE}=$(git rev-parse HEAD)"
        )
    tag = image.rpartition(":")[2]
    if len(tag) >= 7 and commit.startswith(tag) and has_changes(project):
        return f"{image} is tagged by a commit, and the folder has changes that are in no commit."
    return ""


def _reads_commit(project: Path) -> bool:
    files = project.glob("conf/*/vertexai.y*ml")
    return any(re.search("commit_id", file.read_text(encoding="utf-8"), re.IGNORECASE) for file in files)


def _repository(name: str) -> str:
    return re.sub(r":[^:/]*$", "", name)
