"""The log of one container: what it wrote, line by line, with the time of each.

A file for each container, in the line format of Kubernetes' container runtimes (CRI):
``2026-01-31T06:00:00.123456Z stdout F the text``, where ``P`` in place of ``F`` marks a part of a line that goes on.
Limits: 16 KiB for one line's part, 16 MiB for one log; what comes after is counted and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

LONGEST_PART = 16 * 1024
LARGEST_LOG = 16 * 1024 * 1024


def log_path(data: Path, name: str) -> Path:
    """The log of a container: its CustomJob's number, with the replica if that is not the primary one."""
    return data / "logs" / f"{name}.log"


def other_logs(data: Path) -> dict[str, list[str]]:
    """The replicas that have a log beside the primary one, by their CustomJobs' numbers."""
    found: dict[str, list[str]] = {}
    for path in sorted((data / "logs").glob("*-workerpool*.log")):
        number, _, replica = path.stem.partition("-")
        found.setdefault(number, []).append(replica)
    return found


@dataclass(frozen=True)
class Entry:
    """One line: when (RFC 3339), from ``stdout``, ``stderr`` or the ``emulator`` itself, and what."""

    time: str
    stream: str
    text: str


class LogWriter:
    """Writes one container's log. Each line is in the file before the next is read; use it as a context manager."""

    def __init__(self, path: Path, limit: int = LARGEST_LOG) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._limit = limit
        self._size = path.stat().st_size
        self._dropped = 0
        self._rest: dict[str, bytes] = {}

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in list(self._rest):
            self.end(stream)
        if self._dropped:
            self._put(
                "emulator", "F", f"The log is full ({self._limit} bytes); {self._dropped} more were dropped.".encode()
            )
        self._file.close()

    def feed(self, stream: str, data: bytes) -> None:
        """Take output as it comes; what is no whole line yet is kept back."""
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        for line in lines:
            self._line(stream, line)
        while len(rest) > LONGEST_PART:
            self._keep(stream, "P", rest[:LONGEST_PART])
            rest = rest[LONGEST_PART:]
        self._rest[stream] = rest

    def end(self, stream: str) -> None:
        """The stream is closed: its last line has no newline."""
        rest = self._rest.pop(stream, b"")
        if rest:
            self._line(stream, rest)

    def note(self, text: str) -> None:
        """Write a line of the emulator's own. It has room beyond the limit, since it says what became of the task."""
        for line in text.splitlines():
            self._put("emulator", "F", line.encode())

    def _line(self, stream: str, line: bytes) -> None:
        while len(line) > LONGEST_PART:
            self._keep(stream, "P", line[:LONGEST_PART])
            line = line[LONGEST_PART:]
        self._keep(stream, "F", line.removesuffix(b"\r"))

    def _keep(self, stream: str, tag: str, text: bytes) -> None:
        if self._size >= self._limit:
            self._dropped += len(text) + 1
            return
        self._put(stream, tag, text)

    def _put(self, stream: str, tag: str, text: bytes) -> None:
        line = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ} {stream} {tag} ".encode() + text + b"\n"
        self._file.write(line)
        self._size += len(line)


def read_log(path: Path, offset: int = 0, most: int = 1024 * 1024) -> tuple[list[Entry], int]:
    """Read a log from a byte offset on, whole lines only.

    :param most: bytes to read at once.
    :return: the entries, and the offset to go on from. A log that is not there is empty.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(most)
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return list(_entries(data[:end])), offset + end


def _entries(data: bytes) -> Iterator[Entry]:
    for line in data.decode(errors="replace").split("\n"):
        time, _, rest = line.partition(" ")
        stream, _, rest = rest.partition(" ")
        _, space, text = rest.partition(" ")
        if space:
            yield Entry(time, stream, text)
