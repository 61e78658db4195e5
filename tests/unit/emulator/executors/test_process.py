from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.executors.base import Outcome, Work
from airflow_provider_kedro_vertex.emulator.executors.images import read_image
from airflow_provider_kedro_vertex.emulator.executors.orphans import MARK, end_orphans
from airflow_provider_kedro_vertex.emulator.executors.process import ProcessExecutor, expand
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.storage.logs import log_path, read_log

PROGRAM = """
import os, pathlib, sys, json
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "files": sorted(os.listdir("."))}))
pathlib.Path("written").write_text("here")
pathlib.Path(os.environ["HOME"], "at_home").write_text("here")
print("to stderr", file=sys.stderr)
sys.exit(int(os.environ.get("CODE", "0")))
"""


class Runner:
    """Runs containers in one executor and keeps what happened."""

    def __init__(self, folder: Path, max_parallel: int = 2, **options: Any) -> None:
        self.data = folder / "data"
        (self.data / "logs").mkdir(parents=True)
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "program.py").write_text(PROGRAM)
        settings = {"env": {}, "grace": 5.0, "places": asyncio.Semaphore(max_parallel), **options}
        self.executor = ProcessExecutor({"image": read_image(self.project)}, self.data, **settings)
        self.starts: list[str] = []

    async def run(
        self, *argv: str, number: str = "1", image: str = "image", env: tuple[tuple[str, str], ...] = ()
    ) -> Outcome:
        return await self.executor.run(Work(number, image, argv, env=env), lambda: self.starts.append(number))

    def log(self, number: str = "1") -> list[tuple[str, str]]:
        return [(entry.stream, entry.text) for entry in read_log(log_path(self.data, number))[0]]

    async def logged(self, text: str, number: str = "1") -> None:
        while not any(text in line for _, line in self.log(number)):
            await asyncio.sleep(0.01)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work, seconds)

    return asyncio.run(bounded())


def until_ended(pid: int) -> None:
    """Wait until a process, which was sent a signal and would run for ten minutes, has ended."""
    deadline = time.monotonic() + 60
    with suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X"):
            assert time.monotonic() < deadline, f"process {pid} goes on"
            time.sleep(0.01)


def test_a_command_runs_in_a_copy_with_a_small_environment(runner: Runner) -> None:
    import json

    text = "a \"b\" $HOME `x` \n \u00e9 {{$.x}} 'q'"
    outcome = within(60, runner.run("python", "program.py", text, env=(("ONE", "1"), ("TWO", "$(ONE)$(NONE)$$(ONE)"))))
    assert outcome == Outcome()
    shown = json.loads(runner.log()[0][1])
    assert shown["argv"] == [text]
    assert shown["files"] == ["program.py"]
    assert shown["env"].pop("PATH").split(":")[0] == str(Path(sys.executable).parent)
    assert shown["env"].pop("HOME").startswith(str(runner.data))
    assert shown["env"].pop("TMPDIR").startswith(str(runner.data))
    assert shown["env"].pop(MARK).startswith(str(runner.data))
    shown["env"].pop("LC_CTYPE", None)
    assert shown["env"] == {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "ONE": "1", "TWO": "1$(NONE)$(ONE)"}
    assert ("stderr", "to stderr") in runner.log()


def test_nothing_is_left_and_the_next_task_starts_afresh(runner: Runner) -> None:
    assert within(60, runner.run("python", "program.py")) == Outcome()
    assert sorted(os.listdir(runner.project)) == ["program.py"]
    assert os.listdir(runner.data / "work") == []
    assert (
        within(60, runner.run("python", "-c", "import os; assert os.listdir() == ['program.py']", number="2"))
        == Outcome()
    )


def test_variables_of_every_container(tmp_path: Path) -> None:
    runner = Runner(tmp_path, env={"STORAGE_EMULATOR_HOST": "http://x", "CODE": "0"})
    check = (
        "import os; assert os.environ['STORAGE_EMULATOR_HOST'] == 'http://x'; raise SystemExit(int(os.environ['CODE']))"
    )
    assert within(60, runner.run("python", "-c", check)) == Outcome()
    assert within(60, runner.run("python", "-c", check, env=(("CODE", "7"),))).message.endswith("non-zero status of 7.")


def test_an_exit_code_is_told(runner: Runner) -> None:
    outcome = within(60, runner.run("python", "program.py", env=(("CODE", "3"),)))
    assert (outcome.code, outcome.retry) == (Code.INVALID_ARGUMENT, True)
    assert outcome.message == "The container of image image (workerpool0-0) exited with a non-zero status of 3."
    assert runner.log()[-1] == ("emulator", outcome.message)


def test_a_signal_is_told(runner: Runner) -> None:
    outcome = within(60, runner.run("python", "-c", "import os; os.kill(os.getpid(), 9)"))
    assert "ended by signal 9 (SIGKILL)" in outcome.message
    assert "out of memory" in outcome.message


def test_an_unknown_image_says_what_to_do(runner: Runner) -> None:
    outcome = within(60, runner.run("x", image="eu.gcr.io/p/other:1"))
    assert (outcome.code, outcome.retry) == (Code.NOT_FOUND, False)
    for part in ('"eu.gcr.io/p/other:1"', "Known: image.", "--image eu.gcr.io/p/other:1=FOLDER"):
        assert part in outcome.message
    assert runner.log() == [("emulator", outcome.message)]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "no command"),
        (("no-such-command",), '"no-such-command" cannot be started: it is not in the image\'s PATH'),
        (("./program.py",), "Permission denied"),
        (("python", "a\0b"), "null byte"),
        (("python", "-c", "pass", "x" * 200_000), "argument 3 has 200000 of 200012 bytes"),
    ],
)
def test_a_command_that_cannot_start_fails_the_task_alone(runner: Runner, argv: tuple[str, ...], said: str) -> None:
    outcome = within(60, runner.run(*argv))
    assert (outcome.code, outcome.retry) == (Code.INVALID_ARGUMENT, False)
    assert said in outcome.message
    assert within(60, runner.run("python", "-c", "pass", number="2")) == Outcome()


def test_a_folder_that_vanished_is_told(runner: Runner) -> None:
    (runner.project / "program.py").unlink()
    runner.project.rmdir()
    outcome = within(60, runner.run("python", "-c", "pass"))
    assert outcome.code == Code.INTERNAL
    assert str(runner.project) in outcome.message


async def cancelled(runner: Runner, *argv: str) -> None:
    running = asyncio.create_task(runner.run(*argv))
    await runner.logged("ready")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


CHILD = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}]); print('child', child.pid);"
)
WAIT = "import time; print('ready', flush=True); time.sleep(600)"


def test_cancelling_ends_the_whole_process_group(runner: Runner) -> None:
    within(60, cancelled(runner, "python", "-c", CHILD.format(child=WAIT) + "child.wait()"))
    child = next(int(text.split()[1]) for _, text in runner.log() if text.startswith("child"))
    until_ended(child)
    assert end_orphans(runner.data / "work") == set()
    assert os.listdir(runner.data / "work") == []
    assert "SIGTERM" in runner.log()[-1][1]


def test_cancelling_lets_the_process_clean_up(runner: Runner) -> None:
    program = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('cleaned', flush=True), sys.exit(0)));"
        + WAIT
    )
    within(60, cancelled(runner, "python", "-c", program))
    assert ("stdout", "cleaned") in runner.log()


def test_who_does_not_hear_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    runner = Runner(tmp_path, grace=0.2)
    program = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);{WAIT}"
    within(60, cancelled(runner, "python", "-c", program))
    assert end_orphans(runner.data / "work") == set()


def test_what_a_task_left_running_ends_with_it(runner: Runner) -> None:
    assert within(60, runner.run("python", "-c", CHILD.format(child="import time; time.sleep(600)"))) == Outcome()
    child = next(int(text.split()[1]) for _, text in runner.log() if text.startswith("child"))
    until_ended(child)


def test_only_so_many_run_at_a_time(tmp_path: Path) -> None:
    runner = Runner(tmp_path, max_parallel=2)
    go = tmp_path / "go"
    program = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    running: set[str] = set()
    most = 0

    async def one(number: str) -> Outcome:
        def started() -> None:
            nonlocal most
            running.add(number)
            most = max(most, len(running))

        outcome = await runner.executor.run(Work(number, "image", ("python", "-c", program)), started)
        running.discard(number)
        return outcome

    async def several() -> list[Outcome]:
        tasks = [asyncio.create_task(one(str(n))) for n in range(6)]
        while len(running) < 2:
            await asyncio.sleep(0.01)
        go.touch()
        return list(await asyncio.gather(*tasks))

    assert within(60, several()) == [Outcome()] * 6
    assert most == 2


def test_a_waiting_task_holds_no_file_open(tmp_path: Path) -> None:
    runner = Runner(tmp_path, max_parallel=1)

    def open_files() -> set[tuple[str, str]]:
        """Each descriptor of this process and what it stands for; one that a garbage collection closes adds nothing."""
        paths = [Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
        return {(path.name, os.readlink(path)) for path in paths if path.is_symlink()}

    async def many() -> set[tuple[str, str]]:
        first = asyncio.create_task(runner.run("python", "-c", "print('up'); import time; time.sleep(60)"))
        await runner.logged("up")
        before = open_files()
        waiting = [asyncio.create_task(runner.run("python", "-c", "", number=str(n))) for n in range(2, 52)]
        await asyncio.sleep(0)
        opened = open_files() - before
        for task in (*waiting, first):
            task.cancel()
        await asyncio.wait([*waiting, first])
        return opened

    assert within(60, many()) == set()


def test_a_waiting_task_can_be_cancelled(tmp_path: Path) -> None:
    runner = Runner(tmp_path, max_parallel=1)

    async def scenario() -> None:
        first = asyncio.create_task(runner.run("python", "-c", WAIT))
        await runner.logged("ready")
        second = asyncio.create_task(runner.run("python", "-c", WAIT, number="2"))
        await asyncio.sleep(0)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    within(60, scenario())
    assert runner.starts == ["1"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("a$(A)b", "a1b"),
        ("$(A)$(B)", "1$(A)"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_variables_are_filled_as_vertex_does(text: str, filled: str) -> None:
    assert expand(text, {"A": "1", "B": "$(A)"}) == filled


@pytest.fixture(autouse=True)
def _nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    runner = request.node.funcargs.get("runner")
    if runner is not None:
        assert end_orphans(runner.data / "work") == set()
