"""TCP ports on loopback, for servers that bind them seconds later."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from pathlib import Path


class Ports:
    """The ports of one stack. Another one of the same person keeps off its usual ports, also before they are bound."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def take(self, usual: int | None = None) -> int:
        """The usual port when nobody has it, else any free one."""
        if usual and self._lock(usual) and _bindable(usual):
            return usual
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def release(self) -> None:
        """Leave them to others."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _lock(self, port: int) -> bool:
        file = Path(tempfile.gettempdir(), f"kedro-vertex-demo-{os.getuid()}-{port}.lock")
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks.append(lock)
        return True


def _bindable(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        # As servers do, so that connections of the last one, still fading, are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
