"""Child processes end, whatever they started in turn, and say why when they end too early."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.demo.errors import StackError
from tools.demo.processes import ChildProcess, Processes

FAMILY = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    # A process group of its own, as Airflow gives to a task.
    started = subprocess.Popen([sys.executable, "-c", child], preexec_fn=os.setpgrp, stdout=subprocess.PIPE)
    started.stdout.readline()
    print(started.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path / "logs")
    yield running
    running.stop()


def start(processes: Processes, code: str) -> ChildProcess:
    return processes.start("some part", [sys.executable, "-c", textwrap.dedent(code)], env=dict(os.environ))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.skipif(not Path("/proc").exists(), reason="only Linux's /proc lists a session's processes")
def test_stop_ends_stubborn_processes_and_their_children(processes: Processes) -> None:
    parent = start(processes, FAMILY)
    processes.until(lambda: parent.log.read_text().endswith("\n"), "child", 120)
    child = int(parent.log.read_text())
    assert alive(child)
    processes.stop()
    assert parent.exit_code() == -9
    assert not alive(child)


def test_a_process_that_ends_is_named_with_the_end_of_its_log(processes: Processes) -> None:
    part = start(processes, "print('no such bucket'); raise SystemExit(3)")
    with pytest.raises(StackError, match="some part ended with code 3") as failure:
        processes.until(lambda: False, "answer", 120)
    assert "no such bucket" in str(failure.value)
    assert str(part.log) in str(failure.value)


def test_waiting_has_an_end(processes: Processes) -> None:
    start(processes, "import time; time.sleep(600)")
    with pytest.raises(StackError, match="no answer after 0 s"):
        processes.until(lambda: False, "answer", 0)


def test_a_command_that_fails_says_so(processes: Processes) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('this is wrong')"]
    with pytest.raises(StackError, match=r"(?s)check failed with exit code 1.*this is wrong"):
        processes.run("check", argv, env=dict(os.environ), seconds=120)


def test_a_program_that_is_not_there(processes: Processes) -> None:
    with pytest.raises(StackError, match="check cannot start: there is no /no/such/program"):
        processes.run("check", ["/no/such/program"], env={}, seconds=120)
