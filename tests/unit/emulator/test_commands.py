"""The commands beside ``start``: they find an emulator that serves by its data folder, and steer it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_kedro_vertex.emulator.__main__ import main
from tests.unit.emulator.command import COMMAND, JOBS, Process
from tests.unit.emulator.specs import body, container_spec

FAULTS = '{"faults": [{"method": "GetPipelineJob", "status": "UNAVAILABLE", "count": 2}]}'


@pytest.fixture(params=[(), ("--tls",)], ids=["plain", "tls"])
def emulator(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Process]:
    process = Process(tmp_path / "data", "--noop", "0", "--image", "endless=noop:3600", *request.param)
    yield process
    process.end(signal.SIGKILL)


def create(emulator: Process, job_id: str, image: str) -> None:
    spec = body(container_spec({"a": []}, image=image))
    trust = emulator.data / "ca.pem"
    answer = requests.post(
        f"{emulator.url}{JOBS}",
        params={"pipelineJobId": job_id},
        json=spec,
        verify=str(trust) if trust.exists() else True,
        timeout=120,
    )
    assert answer.status_code == 200, answer.text


def test_status_tells_where_it_serves_and_what_its_jobs_do(
    emulator: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(emulator.data)]
    assert main(["status", *data]) == 0
    assert "pipeline jobs: none\nfaults that wait: 0\n" in capsys.readouterr().out
    create(emulator, "goes-on", "endless")
    create(emulator, "ends", "short")

    deadline = time.monotonic() + 120
    while True:
        assert main(["status", "--json", *data]) == 0
        told = json.loads(capsys.readouterr().out)
        if told["pipelineJobs"] == {"running": 1, "succeeded": 1}:
            break
        assert time.monotonic() < deadline, told
    assert (told["url"], told["data"], told["faults"]) == (emulator.url, str(emulator.data), 0)
    assert told["grpc"] == (emulator.data / "grpc").read_text().strip()
    assert told["images"] == {"endless": "noop:3600:0"}
    assert main(["status", *data]) == 0
    out = capsys.readouterr().out
    assert f"Vertex AI emulator at {emulator.url}, gRPC at {told['grpc']}; data: {emulator.data}\n" in out
    assert "pipeline jobs: 1 running, 1 succeeded\n" in out


def test_faults_are_queued_and_forgotten_and_a_reset_forgets_all(
    emulator: Process, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(emulator.data)]
    file, wrong = tmp_path / "faults.json", tmp_path / "wrong.json"
    file.write_text(FAULTS)
    wrong.write_text('{"faults": [{"method": "Nonsense"}]}')
    create(emulator, "goes-on", "endless")

    assert main(["faults", "--add", str(file), *data]) == 0
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert (fault["method"], fault["count"]) == ("GetPipelineJob", 2)
    assert main(["faults", "--add", str(wrong), *data]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "faults[0]" in err
    assert main(["faults", *data]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == [fault]
    assert main(["faults", "--clear", *data]) == 0
    assert json.loads(capsys.readouterr().out) == {"faults": []}

    assert main(["faults", "--add", str(file), *data]) == 0
    assert main(["reset", *data]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"The emulator at {emulator.url} is as new."
    assert main(["status", *data]) == 0
    assert "pipeline jobs: none\nfaults that wait: 0\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "faults", "reset", "env"])
def test_where_none_serves_one_line_says_so(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--data", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith(f"vertex-emulator {command}: error: no emulator ")
    assert str(tmp_path) in err


def test_one_that_was_killed_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(tmp_path / "data")
    process.end(signal.SIGKILL)
    assert main(["status", "--data", str(process.data)]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert f"{process.url} does not answer" in err
    assert "start it again" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stop"], "invalid choice: 'stop'"),
        (["status", "--port", "1"], "--port"),
        (["faults", "--add", "/no/file"], "/no/file cannot be read"),
        (["faults", "--add", "/dev/null", "--clear"], "/dev/null is no JSON"),
        (["start", "--speed", "0"], "a number above 0"),
        (["--speed", "nan"], "a number above 0"),
    ],
)
def test_what_cannot_be_used_gets_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for command in ("start", "env", "status", "faults", "reset"):
        assert f"\n    {command}" in out


def test_its_first_line_is_json_if_asked_for(tmp_path: Path) -> None:
    command = [*COMMAND, "start", "--json", "--port", "0", "--tls", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            health = requests.get(f"{told['url']}/_emulator/health", verify=told["ca"], timeout=120)
            assert health.json()["pipelineJobs"] == {}
            assert (told["data"], sorted(told)) == (str(tmp_path / "data"), ["ca", "data", "grpc", "url"])
        finally:
            process.terminate()


def test_with_speed_nobody_waits_for_backoffs_and_noops(tmp_path: Path) -> None:
    process = Process(tmp_path, "--speed", "1000000", "--noop", "3600:failed")
    try:
        retry = {"a": {"retryPolicy": {"maxRetryCount": 2, "backoffDuration": "3600s", "backoffFactor": 2}}}
        spec = body(container_spec({"a": []}, task_fields=retry))
        url = f"{process.url}{JOBS}"
        requests.post(url, params={"pipelineJobId": "fails"}, json=spec, timeout=120).raise_for_status()
        deadline = time.monotonic() + 120
        while (job := process.job("fails"))["state"] != "PIPELINE_STATE_FAILED":
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
    finally:
        process.end()
    (_, task) = job["jobDetail"]["taskDetails"]
    assert len(task["executorDetail"]["containerDetail"]["failedMainJobs"]) == 2
