"""What comes over the wire and is no proper request: too much, too many, too odd."""

from __future__ import annotations

import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1.services.pipeline_service.transports import PipelineServiceGrpcTransport

from tests.unit.emulator.command import Process
from tests.unit.emulator.specs import PARENT

IDLE = 2000


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("emulator") / "data", "--noop", "0")
    yield process
    code, _, err = process.end()
    # Every request of this file is its client's fault, and none is one of the emulator's.
    assert code == 0
    assert "Traceback" not in err


def rest(emulator: Process) -> tuple[str, int]:
    address = urlsplit(emulator.url)
    return str(address.hostname), int(address.port or 0)


def grpc_address(emulator: Process) -> tuple[str, int]:
    host, _, port = (emulator.data / "grpc").read_text().strip().rpartition(":")
    return host, int(port)


def answered(emulator: Process, data: bytes) -> tuple[int, str]:
    """Send bytes, and read the one answer that they get."""
    with socket.create_connection(rest(emulator), timeout=120) as connection:
        connection.sendall(data)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    head, _, text = answer.partition(b"\r\n\r\n")
    error = json.loads(text)["error"]
    assert error["code"] == int(head.split()[1])
    return error["code"], error["status"]


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # the start of TLS
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_googles_shape(emulator: Process, data: bytes) -> None:
    assert answered(emulator, data) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 600_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 600_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
    ],
)
def test_a_head_without_an_end_is_not_read_to_its_end(emulator: Process, data: bytes) -> None:
    with socket.create_connection(rest(emulator), timeout=120) as connection, suppress(ConnectionError):
        connection.sendall(data)
        # The answer may be lost, since the connection is closed before all has been read.
        assert connection.recv(65536)[:12] in (b"HTTP/1.1 400", b"")
        while connection.recv(65536):
            pass
    assert requests.get(f"{emulator.url}/_emulator/health", timeout=120).status_code == 200


@pytest.mark.parametrize(
    "job_id",
    [
        "..",
        ".",
        "../..",
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e",
        "..\\..",
        "a/../b",
        "\0",
    ],
)
def test_names_lead_nowhere(emulator: Process, job_id: str) -> None:
    with grpc.insecure_channel("{}:{}".format(*grpc_address(emulator))) as channel:
        pipelines = aiplatform_v1.PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
        for parent in (f"{PARENT}/pipelineJobs", f"projects/{job_id}/locations/europe-west1/pipelineJobs"):
            with pytest.raises(exceptions.InvalidArgument, match="is not of the form"):
                pipelines.get_pipeline_job(name=f"{parent}/{job_id}")
    for path in (f"/v1/{PARENT}/pipelineJobs/{job_id}", f"/v1/{PARENT}/customJobs/{job_id}", f"/{job_id}"):
        head = f"GET {path.replace(chr(0), '%00')} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        assert answered(emulator, head.encode()) in ((400, "INVALID_ARGUMENT"), (404, "NOT_FOUND"))
    create = {"params": {"pipelineJobId": job_id}, "json": {}, "timeout": 30}
    refused = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", **create)
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    log = requests.get(f"{emulator.url}/_emulator/log", params={"job": f"{PARENT}/customJobs/{job_id}"}, timeout=120)
    assert log.status_code == 400


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE + 500:
        # Only an administrator can raise this limit, and each connection is an open file of the test's own process.
        pytest.skip(f"a process may have no more than {hard} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * IDLE + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_thousands_of_idle_connections_are_survived(emulator: Process) -> None:
    files, idle = open_files(emulator), []
    try:
        # Half of those for REST have begun a request, and go no further.
        for number in range(IDLE):
            idle.append(socket.create_connection(rest(emulator), timeout=120))
            if number % 2:
                idle[-1].sendall(b"POST /v1/x HTTP/1.1\r\nhost: ")
            idle.append(socket.create_connection(grpc_address(emulator), timeout=120))
        assert requests.get(f"{emulator.url}/_emulator/health", timeout=120).status_code == 200
        with grpc.insecure_channel("{}:{}".format(*grpc_address(emulator))) as channel:
            pipelines = aiplatform_v1.PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
            assert list(pipelines.list_pipeline_jobs(parent=PARENT, timeout=120)) == []
        assert open_files(emulator) >= files + IDLE
    finally:
        for connection in idle:
            connection.close()
    deadline = time.monotonic() + 60
    while open_files(emulator) > files + 50:
        assert time.monotonic() < deadline, "connections that were closed are still held"
        time.sleep(0.05)
    assert requests.get(f"{emulator.url}/_emulator/health", timeout=120).status_code == 200


def open_files(emulator: Process) -> int:
    return len(os.listdir(Path(f"/proc/{emulator.popen.pid}/fd")))
