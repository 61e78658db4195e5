"""The command behind `make demo` and `make up`, as a process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tools.demo.__main__ import EXAMPLES
from tools.demo.processes import Processes
from tools.demo.stack import environment

COMMAND = [sys.executable, "-m", "tools.demo"]


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Children can be interrupted, also where this process cannot: a shell's background job ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.airflow
@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(tmp_path: Path, kind: signal.Signals) -> None:
    processes = Processes(tmp_path / "logs")
    command = [*COMMAND, "--folder", str(tmp_path / "demo")]
    demo = processes.start("demo", command, env=environment(), cwd=EXAMPLES.parent)
    started = []
    try:
        processes.until(lambda: " is up " in demo.log.read_text(), "start of the demo", 120)
        started = psutil.Process(demo.session).children(recursive=True)
        assert len(started) >= 4  # the two emulators, a scheduler, a triggerer, and what these started
        os.kill(demo.session, kind)
        assert processes.wait(demo, 60) == 130
        assert demo.log.read_text().endswith("Stopped.\n")
        assert [process for process in started if alive(process)] == []
    finally:
        processes.stop()
        for process in started:
            if alive(process):
                process.kill()


def test_a_second_demo_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [*COMMAND, "--folder", str(tmp_path)]
        done = subprocess.run(command, cwd=EXAMPLES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"The demo failed: another demo is running in {tmp_path}. End it first."
