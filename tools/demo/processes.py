"""Child processes with an end: each in a session of its own, with its output in a log file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tools.demo.errors import StackError
from tools.demo.ports import Ports

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0
TAIL_LINES = 20


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text, indented, for an error message."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-lines:])


class ChildProcess:
    """A process started in a new session, so that all it starts in turn can be found and ended.

    Raises:
        StackError: The program is not there.
    """

    def __init__(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path | None) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    argv,
                    env=dict(env),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise StackError(f"{name} cannot start: there is no {error.filename}. Run make again.") from error

    @property
    def session(self) -> int:
        """The session's id, which is the first process's id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The first process's exit code; None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """Where the log is and how it ends, for an error message."""
        return f"The end of {self.log}:\n{tail(self.log.read_text(errors='replace'))}"


class Processes:
    """The processes of one stack, each with a log file in the same folder, and the ports that they serve on."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs = logs
        self.ports = Ports()
        self._running: list[ChildProcess] = []

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> ChildProcess:
        """Start a process that runs until `stop`; its log is named for it."""
        log = self.logs / f"{name.replace(' ', '-').lower()}.log"
        process = ChildProcess(name, argv, env=env, log=log, cwd=cwd)
        self._running.append(process)
        return process

    def run(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], seconds: float, cwd: Path | None = None
    ) -> None:
        """Run a command to its end.

        Raises:
            StackError: It ended with another exit code than 0, or is still running after the seconds.
        """
        command = self.start(name, argv, env=env, cwd=cwd)
        code = self.wait(command, seconds)
        if code:
            raise StackError(f"{name} failed with exit code {code}. {command.log_tail()}")

    def wait(self, command: ChildProcess, seconds: float, *, watch: Callable[[], None] = lambda: None) -> int:
        """Wait for a command to end by itself, calling `watch` meanwhile; its exit code.

        Raises:
            StackError: It is still running after the seconds, or another process has ended.
        """
        self._running.remove(command)
        try:
            self.until(lambda: command.exit_code() is not None, f"end of {command.name}", seconds, watch=watch)
        except StackError as error:
            raise StackError(f"{error}\n{command.log_tail()}") from None
        finally:
            stop([command])
        return command.exit_code() or 0

    def until(
        self,
        ready: Callable[[], bool],
        what: str,
        seconds: float,
        *,
        watch: Callable[[], None] = lambda: None,
        interval: float = POLL_SECONDS,
    ) -> None:
        """Poll `ready` until it says so, calling `watch` in between; the interval is for polls that cost something.

        Raises:
            StackError: A process has ended, or the seconds are over.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            for process in self._running:
                if process.exit_code() is not None:
                    raise StackError(f"{process.name} ended with code {process.exit_code()}. {process.log_tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"no {what} after {seconds:.0f} s. The logs are in {self.logs}.")
            watch()
            time.sleep(interval)

    def stop(self) -> None:
        """End all of them, and leave their ports to others."""
        stop(self._running)
        self._running.clear()
        self.ports.release()


def stop(processes: Iterable[ChildProcess]) -> None:
    """End the processes and all that they started: TERM to their groups, then KILL to who is left in their sessions.

    Airflow runs each task in a process group of its own, which its session still holds. Another interrupt does not
    cut this short.
    """
    processes = list(processes)
    sessions = {process.session for process in processes}

    def gone() -> bool:
        return all(process.exit_code() is not None for process in processes) and not _members(sessions)

    with _uninterrupted():
        for process in processes:
            # The id of a process that has been waited for may be another's by now.
            if process.exit_code() is None:
                os.killpg(process.session, signal.SIGTERM)
        _poll(gone, GRACE_SECONDS)
        for pid in _members(sessions) | {p.session for p in processes if p.exit_code() is None}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _poll(gone, GRACE_SECONDS)


def _poll(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 2)


def _members(sessions: set[int]) -> set[int]:
    """The ids of the living processes of these sessions, from Linux's /proc; empty where there is none."""
    members = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (name) state ppid pgrp session ...", where the name may hold spaces and brackets.
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if int(session) in sessions and state != "Z":
                members.add(int(stat.parent.name))
    return members


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(kind, signal.SIG_IGN) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
