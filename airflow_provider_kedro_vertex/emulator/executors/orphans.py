"""Finds and ends processes that outlived the emulator that started them.

Each container has the variable :data:`MARK` in its environment, which its children inherit. It is there from the first
instruction on, so nothing that was started is ever missed, which a list of process ids could not promise: the emulator
may be killed after it started a process and before it wrote that down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "VERTEX_EMULATOR_WORK"
"""A container's environment variable with its work folder."""

_PATIENCE = 5.0


def end_orphans(work: Path) -> set[int]:
    """End every process whose :data:`MARK` is below a folder, and wait until it is gone.

    Where there is no ``/proc`` (no Linux), none is found.

    :param work: the folder of all work folders of one emulator, which does not run.
    :return: the ids of the processes.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + _PATIENCE
    # One that is being ended may have started another just before.
    while (found := set(_marked(work))) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        time.sleep(0.01)
    return ended


def _marked(work: Path) -> Iterator[int]:
    start = f"{MARK}={work}{os.sep}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        # A process that is not ours, or has ended meanwhile, cannot be read.
        with suppress(OSError):
            if any(variable.startswith(start) for variable in (entry / "environ").read_bytes().split(b"\0")):
                yield int(entry.name)
