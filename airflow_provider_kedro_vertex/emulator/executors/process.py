"""Runs a container on this machine as a process, in its own copy of the image's folder.

A task sees what a container would show it: a fresh file system of its own, a small environment, no shell. It does not
see limits on CPU and memory, another user, or a network of its own, so this is for code that you trust.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.emulator.executors.base import Outcome, Work, expand, outcome_of_exit, place_for
from airflow_provider_kedro_vertex.emulator.executors.images import Image, copy_folder
from airflow_provider_kedro_vertex.emulator.executors.orphans import MARK
from airflow_provider_kedro_vertex.emulator.executors.pipes import logged_pipes
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.storage.logs import LogWriter, log_path

# Seconds between SIGTERM and SIGKILL. Vertex AI does not tell its own; Kubernetes' default is 30.
GRACE_SECONDS = 10.0
# Linux gives one argument at most 32 pages, also inside a container on Vertex AI (MAX_ARG_STRLEN).
_LONGEST_ARGUMENT = 128 * 1024
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


_NO_COMMAND = Outcome(
    Code.INVALID_ARGUMENT, "The container has no command, and this emulator knows no image's own.", retry=False
)


class ProcessExecutor:
    """Runs a container as a process group of its own.

    :param images: the images that are known, by the name that specs use.
    :param data: where work folders (``work/``) and logs (``logs/``) go.
    :param env: variables that every container gets.
    :param places: one for each container that may run at the same time; further ones wait their turn.
    :param grace: seconds between SIGTERM and SIGKILL when a task is cancelled.
    """

    def __init__(
        self,
        images: Mapping[str, Image],
        data: Path,
        env: Mapping[str, str],
        places: asyncio.Semaphore,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._images = images
        self._data = data
        self._env = env
        self._grace = grace
        self._places = places

    async def run(self, work: Work, started: Callable[[], None]) -> Outcome:
        """Run one container to its end; see :class:`.Executor`."""
        image = self._images.get(work.image)
        if image is None or not work.argv:
            refusal = self._unknown_image(work.image) if image is None else _NO_COMMAND
            with LogWriter(log_path(self._data, work.name)) as log:
                log.note(refusal.message)
            return refusal
        # A container that waits for its place has no open file: thousands may wait.
        async with place_for(work, self._places):
            with LogWriter(log_path(self._data, work.name)) as log:
                outcome = await self._run(work, image, started, log)
                if outcome.code is not None:
                    log.note(outcome.message)
                return outcome

    async def _run(self, work: Work, image: Image, started: Callable[[], None], log: LogWriter) -> Outcome:
        folder = self._data / "work" / work.name
        try:
            try:
                await _in_thread(_prepare, image, folder, self._data)
            except (OSError, shutil.Error) as error:
                return Outcome(Code.INTERNAL, f"The image's folder {image.folder} could not be copied: {error}")
            started()
            return await self._process(work, image, folder, log)
        finally:
            await _in_thread(shutil.rmtree, folder, True)

    async def _process(self, work: Work, image: Image, folder: Path, log: LogWriter) -> Outcome:
        env = environment(image, folder, self._env, work.env)
        async with logged_pipes(log) as (stdout, stderr):
            try:
                process = await asyncio.create_subprocess_exec(
                    *work.argv,
                    cwd=folder / "project",
                    env=env,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                return _not_started(work, error)
            try:
                await process.wait()
            except asyncio.CancelledError:
                log.note(f"Cancelled: sending SIGTERM, and SIGKILL after {self._grace:g} seconds.")
                await asyncio.shield(self._end(process))
                raise
            finally:
                # What the process left running goes with it, as a container would take it along.
                _signal_group(process.pid, signal.SIGKILL)
        return outcome_of_exit(work, process.returncode or 0)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), self._grace)
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()

    def _unknown_image(self, name: str) -> Outcome:
        known = ", ".join(sorted(self._images)) or "none"
        return Outcome(
            Code.NOT_FOUND,
            f'The image "{name}" is not known to this emulator. Known: {known}. Start the emulator with '
            f"--image {name}=FOLDER to run it in a copy of FOLDER, or with --image {name}=container to run the image "
            "itself.",
            retry=False,
        )


def environment(
    image: Image, folder: Path, given: Mapping[str, str], own: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """The variables of a container: a minimal base, those of every container, its own, and a mark."""
    env = {
        "PATH": f"{image.python.parent}:{_SYSTEM_PATH}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",  # as most images set it, so that a log can be followed
        **given,
    }
    for name, value in own:
        env[name] = expand(value, env)
    env[MARK] = str(folder)
    return env


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> None:
    # A thread cannot be stopped half way, so a cancelled task waits for it: nobody removes a folder that is being
    # filled.
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _prepare(image: Image, folder: Path, data: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("home", "tmp"):
        (folder / name).mkdir(parents=True, mode=0o700)
    copy_folder(image.folder, folder / "project", data)


def _not_started(work: Work, error: OSError | ValueError) -> Outcome:
    if isinstance(error, ValueError):
        return Outcome(Code.INVALID_ARGUMENT, f"The command cannot be started: {error}.", retry=False)
    if error.errno == errno.E2BIG:
        sizes = [len(os.fsencode(text)) for text in work.argv]
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        return Outcome(
            Code.INVALID_ARGUMENT,
            f"The command is too long for the kernel: argument {largest} has {sizes[largest]} of {sum(sizes)} bytes in "
            f"all, and one argument may have {_LONGEST_ARGUMENT}. A container on Vertex AI has this limit too; pass "
            "large values in a file.",
            retry=False,
        )
    reason = "it is not in the image's PATH" if error.errno == errno.ENOENT else str(error.strerror)
    return Outcome(Code.INVALID_ARGUMENT, f'The command "{work.argv[0]}" cannot be started: {reason}.', retry=False)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
