"""Processes that outlived the emulator that started them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def start_mark(pid: int) -> str:
    """When a process started, as the kernel counts it; empty if that cannot be told (no Linux, no process).

    A process id is used again sooner or later; with this mark it names one process for good.
    """
    with suppress(OSError, IndexError):
        # The name in parentheses may hold anything. Field 22 of proc(5) is the start time.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return ""


def end_orphan(pid: int, mark: str) -> bool:
    """End the process group of a process, if it still is the one that has this mark.

    :return: whether it was ended.
    """
    if not mark or start_mark(pid) != mark:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
        return True
    return False
