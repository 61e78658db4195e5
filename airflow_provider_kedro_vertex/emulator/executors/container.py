"""Runs a container of the image itself, by docker or podman.

The buckets' folder is mounted at ``/gcs``. The network is this machine's, so that a container reaches what serves
loopback here. The image's own user, working folder and variables are left as they are. An image that is not there is
pulled, as docker and podman do.

A container that is over its memory limit is killed and ends with 137. Nothing is left of a container when it has
ended; what a killed emulator left running is known by a label, and ended by :func:`end_leftovers`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.emulator.executors.base import (
    Executor,
    Outcome,
    Work,
    expand,
    outcome_of_exit,
    place_for,
)
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage, ImageError
from airflow_provider_kedro_vertex.emulator.executors.orphans import MARK
from airflow_provider_kedro_vertex.emulator.executors.pipes import logged_pipes
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.storage.buckets import MOUNT
from airflow_provider_kedro_vertex.emulator.storage.logs import LogWriter, log_path

RUNTIMES = ("docker", "podman")
"""The programs that can run containers, the first that works first."""

_LABEL = "vertex-emulator.data"
# The file in the data folder that says which program has run containers for it.
_USED = "containers"
# The start of the time at which a container that never started has started.
_NEVER = "0001-01-01"
_SIGKILLED = 137


@dataclass(frozen=True)
class Runtime:
    """A program that runs containers: docker, or podman, which has the same command line."""

    program: str

    async def call(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end, also if the caller is cancelled meanwhile.

        :return: its exit code, and what it printed.
        """
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace").strip()


def find_runtime() -> Runtime:
    """Find docker or podman.

    :raises ImageError: if neither is there and works.
    """
    failures = []
    for name in RUNTIMES:
        program = shutil.which(name)
        if program is None:
            failures.append(f"{name} is not installed")
            continue
        done = subprocess.run([program, "info"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return Runtime(program)
        said = (done.stderr or done.stdout).strip().splitlines()
        failures.append(f"{name} does not work ({said[-1] if said else done.returncode})")
    raise ImageError(f"containers need docker or podman: {', '.join(failures)}")


def end_leftovers(data: Path) -> int:
    """Remove the containers that an emulator which was killed has left.

    :param data: its data folder.
    :return: how many they were.
    :raises ImageError: if they cannot be looked for.
    """
    used = data / _USED
    if not used.exists():
        return 0
    program = used.read_text(encoding="utf-8").strip()
    try:
        listed = _run(program, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={_LABEL}={data}").split()
        if listed:
            _run(program, "rm", "--force", "--volumes", *listed)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise ImageError(f"the containers of the last emulator cannot be looked for by {program}: {reason}") from None
    used.unlink()
    return len(listed)


def _run(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


class ContainerExecutor:
    """Runs the containers of container images, and leaves those of all others to another executor.

    :param images: the images that are known, by the name that specs use.
    :param unknown: whether an image that is not known is run by its own name.
    :param data: the data folder: logs go to ``logs/``, and ``gcs/`` is mounted.
    :param env: variables that every container gets.
    :param places: one for each container that may run at the same time.
    :param grace: seconds between SIGTERM and SIGKILL when a task is cancelled.
    """

    def __init__(
        self,
        runtime: Runtime,
        images: Mapping[str, object],
        unknown: bool,
        data: Path,
        env: Mapping[str, str],
        places: asyncio.Semaphore,
        grace: float,
        others: Executor,
    ) -> None:
        self._runtime = runtime
        self._images = images
        self._unknown = unknown
        self._data = data
        self._env = env
        self._places = places
        self._grace = grace
        self._others = others

    async def run(self, work: Work, started: Callable[[], None]) -> Outcome:
        """Run one container to its end; see :class:`.Executor`."""
        image = image_of(work.image, self._images, self._unknown)
        if image is None:
            return await self._others.run(work, started)
        async with place_for(work, self._places):
            with LogWriter(log_path(self._data, work.name)) as log:
                outcome = await self._run(work, image, started, log)
                if outcome.code is not None:
                    log.note(outcome.message)
                return outcome

    async def _run(self, work: Work, image: ContainerImage, started: Callable[[], None], log: LogWriter) -> Outcome:
        if work.limits.accelerator:
            what = f"The accelerator {work.limits.accelerator} of a container"
            return Outcome(Code.UNIMPLEMENTED, f"{what} is not implemented by this emulator.", retry=False)
        folder = self._data / "work" / work.name
        await asyncio.to_thread(self._prepare, folder)
        name = f"vertex-emulator-{work.name}"
        arguments = self._arguments(name, work, image)
        try:
            async with logged_pipes(log) as (stdout, stderr):
                # The mark is for :func:`.end_orphans`: without this process no container comes up any more.
                process = await asyncio.create_subprocess_exec(
                    self._runtime.program,
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                    # podman leaves a file where it stands when a container is over its memory.
                    cwd=folder,
                    env={**os.environ, MARK: str(folder)},
                )
                started()
                try:
                    await process.wait()
                except asyncio.CancelledError:
                    log.note(f"Cancelled: sending SIGTERM, and SIGKILL after {self._grace:g} seconds.")
                    await _to_the_end(self._stop(name, process))
                    raise
            return await self._outcome(name, work)
        except (OSError, ValueError) as error:
            return Outcome(Code.INVALID_ARGUMENT, f"The container cannot be started: {error}.", retry=False)
        finally:
            await _to_the_end(self._runtime.call("rm", "--force", "--volumes", name))
            shutil.rmtree(folder, ignore_errors=True)

    def _prepare(self, folder: Path) -> None:
        """Say which program runs containers, and let every user of an image write below ``/gcs``."""
        folder.mkdir(parents=True, exist_ok=True)
        (self._data / _USED).write_text(f"{self._runtime.program}\n", encoding="utf-8")
        gcs = self._data / "gcs"
        gcs.mkdir(exist_ok=True)
        for path, _, _ in os.walk(gcs):
            if stat.S_IMODE(os.stat(path).st_mode) != 0o777:
                os.chmod(path, 0o777)  # noqa: S103 - the data folder around it is its owner's alone

    def _arguments(self, name: str, work: Work, image: ContainerImage) -> list[str]:
        env = dict(self._env)
        for variable, value in work.env:
            env[variable] = expand(value, env)
        gcs = self._data / "gcs"
        # The second mount is for kfp's workspace, whose path is filled in before the image is known.
        arguments = ["run", "--name", name, "--label", f"{_LABEL}={self._data}", "--network", "host"]
        arguments += ["--volume", f"{gcs}:{MOUNT.folder}", "--volume", f"{gcs}:{gcs}"]
        for file in (self._data / "roots.pem", self._data / "credentials.json"):
            # The variables for Google's clients name them.
            if file.exists():
                arguments += ["--volume", f"{file}:{file}:ro"]
        for variable, value in env.items():
            arguments += ["--env", f"{variable}={value}"]
        if work.limits.cpus:
            arguments += ["--cpus", f"{work.limits.cpus:g}"]
        if work.limits.memory:
            # Without swap, as on Vertex AI.
            arguments += ["--memory", f"{work.limits.memory}b", "--memory-swap", f"{work.limits.memory}b"]
        if work.command:
            arguments += ["--entrypoint", work.command[0]]
        return [*arguments, image.reference, *work.command[1:], *work.args]

    async def _stop(self, name: str, process: asyncio.subprocess.Process) -> None:
        # `stop` finds nothing if the container is not there yet; without the process it cannot come any more.
        code, _ = await self._runtime.call("stop", "--time", f"{max(round(self._grace), 0)}", name)
        if code != 0 and process.returncode is None:
            process.kill()
        await process.wait()

    async def _outcome(self, name: str, work: Work) -> Outcome:
        form = "{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.StartedAt}}"
        code, text = await self._runtime.call("inspect", "--format", form, name)
        exit_code, killed, started, *_ = text.split() if code == 0 else ("", "", _NEVER)
        if started.startswith(_NEVER):
            what = (
                f"The container of image {work.image} ({work.replica}) could not be started by {self._runtime.program}"
            )
            return Outcome(Code.INVALID_ARGUMENT, f"{what}; its log says why.", retry=False)
        # Not every runtime tells why it killed; nobody else here sends a SIGKILL to a container that is not cancelled.
        if killed == "true" or (int(exit_code) == _SIGKILLED and work.limits.memory):
            return Outcome(
                Code.INVALID_ARGUMENT,
                f"The replica {work.replica} ran out-of-memory and exited with a non-zero status of {exit_code}. Its "
                f"memory limit is {work.limits.memory} bytes.",
            )
        return outcome_of_exit(work, int(exit_code))


def image_of(name: str, images: Mapping[str, object], unknown: bool) -> ContainerImage | None:
    """The container image that a name stands for; None if something else does."""
    image = images.get(name)
    if image is None and unknown:
        return ContainerImage(name)
    return image if isinstance(image, ContainerImage) else None


async def _to_the_end(work: Coroutine[Any, Any, Any]) -> None:
    """Wait for work to its end, also if this task is cancelled again meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                break
