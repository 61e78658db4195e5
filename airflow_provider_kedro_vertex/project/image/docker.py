"""Building, pushing and running an image by docker or podman, which have the same command line."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_kedro_vertex.core.errors import ConfigError

_PROGRAMS = ("docker", "podman")
#: Vertex AI's machines are of this kind, whatever the machine that builds.
_PLATFORM = "linux/amd64"
_STDERR = 2


@dataclass(frozen=True)
class Docker:
    """A program that builds and runs images. What it says while it builds goes to stderr.

    :param program: the path of docker or podman.
    """

    program: str

    def build(self, folder: Path, image: str) -> str:
        """Build the ``Dockerfile`` of a folder.

        :param image: the name that the image gets.
        :return: the image's id, ``sha256:..``.
        :raises ConfigError: the build fails.
        """
        self._run("build", "--platform", _PLATFORM, "--tag", image, ".", folder=folder, failed=f"{image} was not built")
        said = self._read("image", "inspect", "--format", "{{.Id}}", image)
        return f"sha256:{said.removeprefix('sha256:')}"

    def push(self, image: str) -> str:
        """Push an image to the registry of its name.

        :return: the digest by which the registry knows it, ``sha256:..``.
        :raises ConfigError: the registry cannot be reached or refuses it.
        """
        host = image.partition("/")[0]
        failed = f"{image} was not pushed"
        advice = f"If it refused you: gcloud auth configure-docker {host}" if host.endswith("-docker.pkg.dev") else ""
        if Path(self.program).name == "podman":  # it compresses while it pushes: the digest is not known before
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "digest"
                self._run("push", "--digestfile", str(file), image, failed=failed, advice=advice)
                return file.read_text(encoding="ascii").strip()
        self._run("push", image, failed=failed, advice=advice)
        said = self._read("image", "inspect", "--format", '{{join .RepoDigests " "}}', image)
        name = re.sub(r":[^:/]*$", "", image)
        return next((each.partition("@")[2] for each in said.split() if each.partition("@")[0] == name), "")

    def run(
        self,
        image: str,
        command: Sequence[str],
        env: Mapping[str, str],
        mounts: Mapping[Path, str],
        *,
        on_this_network: bool,
        terminal: bool,
    ) -> int:
        """Run an image to its end, as its own user and in its own folder, and keep nothing of the container.

        :param command: takes the place of the image's entrypoint and command.
        :param env: variables beside the image's own.
        :param mounts: files of this machine, which the container may read, to where it finds them.
        :param on_this_network: whether it reaches what serves the loopback of this machine.
        :param terminal: whether a person may type into it.
        :return: its exit code; 125 where the program could not run it.
        """
        options = ["--rm", "--entrypoint", command[0]]
        options += ["--interactive", "--tty"] if terminal else []
        options += ["--network", "host"] if on_this_network else []
        for name, value in env.items():
            options += ["--env", f"{name}={value}"]
        for file, place in mounts.items():
            options += ["--volume", f"{file}:{place}:ro"]
        stdin = None if terminal else subprocess.DEVNULL
        return subprocess.run([self.program, "run", *options, image, *command[1:]], stdin=stdin, check=False).returncode

    def _run(self, *arguments: str, failed: str, advice: str = "", folder: Path | None = None) -> None:
        done = subprocess.run(
            [self.program, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=_STDERR, check=False
        )
        if done.returncode != 0:
            what = f"{Path(self.program).name} {arguments[0]}"
            raise ConfigError(f"{failed}: {what} ended with {done.returncode}, and said why above.", advice)

    def _read(self, *arguments: str) -> str:
        return subprocess.run([self.program, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def find_docker(lacking: str) -> Docker:
    """Find docker or podman, the first that works.

    :param lacking: what cannot be done without one, for the message.
    :raises ConfigError: neither is installed and works.
    """
    failures = []
    for name in _PROGRAMS:
        program = shutil.which(name)
        if program is None:
            failures.append(f"{name} is not installed")
            continue
        done = subprocess.run([program, "info"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return Docker(program)
        said = (done.stderr or done.stdout).strip().splitlines()
        failures.append(f"{name} does not work ({said[-1] if said else done.returncode})")
    raise ConfigError(f"{lacking}: {', '.join(failures)}.", "Install docker or podman, and start it.")
