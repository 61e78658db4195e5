"""The command line, in processes of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.emulator.executors.orphans import MARK, end_orphans
from tests.unit.emulator.command import COMMAND, JOBS, Process


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def start(tmp_path: Path, project: Path) -> Iterator[Any]:
    started: list[Process] = []

    def begin(*flags: str) -> Process:
        process = Process(tmp_path / "data", "--image", f"image={project}", *flags)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.end(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_serves_and_ends_in_order(start: Any, number: signal.Signals, project: Path) -> None:
    process = start("--env", "A=1", "--max-parallel", "1")
    target = (process.data / "grpc").read_text().strip()
    assert requests.get(f"{process.url}/_emulator/health", timeout=120).json()["status"] == "ok"
    code, out, err = process.end(number)
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    for said in (process.url, f"gRPC at {target}", "this machine only", f"image = {project}", str(process.data)):
        assert said in line
    assert not (process.data / "url").exists()
    assert not (process.data / "grpc").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--image", "x"], "NAME=FOLDER"),
        (["--image", "x=/no/such/folder"], "/no/such/folder does not exist"),
        (["--image", "x=/,/no/python"], "/no/python is no executable file"),
        (["--env", "A"], "KEY=VALUE"),
        (["--env", "A B=1"], "KEY=VALUE"),
        (["--port", "99999"], "no port"),
        (["--max-parallel", "0"], "1 or more"),
        (["--noop", "soon"], "SECONDS"),
        (["--image", "a=noop:1:better"], "SECONDS"),
        (["--faults", "/no/file"], "/no/file cannot be read"),
        (["--faults", "/dev/null"], "is no JSON"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_a_flag_that_cannot_be_used_gets_one_line_and_at_once(flags: list[str], said: str, tmp_path: Path) -> None:
    ended = subprocess.run([*COMMAND, *flags], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert said in ended.stderr
    assert os.listdir(tmp_path) == []


def test_with_tls_it_says_whom_to_trust(start: Any) -> None:
    process = start("--tls")
    authority = process.data / "ca.pem"
    assert requests.get(f"{process.url}/_emulator/health", verify=str(authority), timeout=120).status_code == 200
    code, out, err = process.end()
    assert (code, err) == (0, "")
    assert process.url.startswith("https://")
    assert f"trust {authority}" in out


def test_faults_come_from_a_file(start: Any, tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('{"faults": [{"method": "GetPipelineJob", "status": "UNAVAILABLE"}]}')
    process = start("--faults", str(file))
    codes = [requests.get(f"{process.url}{JOBS}/none", timeout=120).status_code for _ in range(2)]
    assert codes == [503, 404]


def test_faults_of_another_form_get_one_line(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('{"faults": [{"method": "Nonsense"}, {}]}')
    ended = subprocess.run([*COMMAND, "--faults", str(file)], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert "faults[0]" in ended.stderr
    assert "faults[1]" in ended.stderr
    assert os.listdir(tmp_path) == ["faults.json"]


@pytest.mark.parametrize("flags", [["--port"], ["--port", "0", "--grpc-port"]])
def test_a_busy_port_gets_one_line(tmp_path: Path, flags: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        flags = [*flags, str(busy.getsockname()[1])]
        (tmp_path / "url").write_text("somebody's own")
        ended = subprocess.run([*COMMAND, *flags], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert "port 0 takes a free one" in ended.stderr
    assert os.listdir(tmp_path) == ["url"]


def test_a_folder_in_use_gets_one_line_and_stays_as_it_is(start: Any) -> None:
    first = start()
    before = {name: (first.data / name).read_text() for name in ("url", "grpc")}
    command = [*COMMAND, "--port", "0", "--data", str(first.data)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert "another emulator uses" in ended.stderr
    assert {name: (first.data / name).read_text() for name in before} == before


def test_after_kill_9_no_job_is_lost_none_runs_twice_and_no_process_stays(start: Any, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    first = start()
    program = f"import os, time; open({str(marker)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
    first.create("long", "-c", program)
    while not marker.exists() or not marker.read_text().endswith("\n"):
        time.sleep(0.02)
    first.end(signal.SIGKILL)
    pid = int(marker.read_text())
    os.kill(pid, 0)  # it has outlived the emulator
    second = start()
    while second.job("long")["state"] == "PIPELINE_STATE_RUNNING":
        time.sleep(0.02)
    job = second.job("long")
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert job["jobDetail"]["taskDetails"][1]["error"]["code"] == 13
    assert "stopped or killed while this container ran" in job["jobDetail"]["taskDetails"][1]["error"]["message"]
    assert marker.read_text().split() == [str(pid)]
    assert end_orphans(tmp_path / "data" / "work") == set()
    assert not (tmp_path / "data" / "work").exists()


def test_only_processes_of_the_same_folder_are_orphans(tmp_path: Path) -> None:
    def started(work: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"], MARK: str(work / "1")})

    mine, other = started(tmp_path / "work"), started(tmp_path / "work-of-another")
    try:
        assert end_orphans(tmp_path / "work") == {mine.pid}
        assert mine.wait(120) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()
