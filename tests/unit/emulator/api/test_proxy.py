"""The proxy, the credentials and the variables that lead Google's clients to an emulator."""

from __future__ import annotations

import gc
import json
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.api.client_environment import NotServedError
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.command import Process
from tests.unit.emulator.specs import PARENT

HOST = "europe-west1-aiplatform.googleapis.com"
JOBS = f"https://{HOST}/v1/{PARENT}/customJobs"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    images = {"image": tmp_path_factory.mktemp("image"), "noop": Noop(0)}
    with VertexEmulator(images, data=tmp_path_factory.mktemp("data"), tls=True) as emulator:
        yield emulator


def answer(emulator: VertexEmulator, request: bytes) -> bytes:
    host, _, port = emulator.client_environment()["https_proxy"].removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(request)
        return client.recv(1000)


def test_rest_by_googles_names_lands_here(emulator: VertexEmulator) -> None:
    proxies = {"https": emulator.client_environment()["https_proxy"]}
    project = "https://cloudresourcemanager.googleapis.com/v3/projects/p1"
    for url in (JOBS, JOBS.replace("europe-west1-aip", "aip"), project):
        found = requests.get(url, proxies=proxies, verify=str(emulator.ca), timeout=60)
        assert found.status_code == 200, found.text
    assert found.json() == {"name": "projects/1234", "projectId": "p1", "displayName": "p1", "state": "ACTIVE"}
    refused = requests.get(f"https://{HOST}/v3/projects/X", proxies=proxies, verify=str(emulator.ca), timeout=60)
    assert refused.status_code == 400
    token = requests.post("https://oauth2.googleapis.com/token", proxies=proxies, verify=str(emulator.ca), timeout=60)
    assert token.json()["token_type"] == "Bearer"


def test_grpc_by_googles_names_lands_here(emulator: VertexEmulator) -> None:
    found = emulator.client_environment()
    program = f"""
import grpc
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1.services.job_service.transports import JobServiceGrpcTransport
channel = grpc.secure_channel("{HOST}:443", grpc.ssl_channel_credentials())
jobs = aiplatform_v1.JobServiceClient(transport=JobServiceGrpcTransport(channel=channel))
print(len(list(jobs.list_custom_jobs(parent="{PARENT}"))))
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env={**found, "PATH": ""}, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip().isdecimal()) == (0, True), done.stderr


def test_the_emulators_end_closes_the_connections_that_it_leads(tmp_path: Path) -> None:
    opened = []
    with VertexEmulator({"noop": Noop(0)}, data=tmp_path, tls=True) as ending:
        host, _, port = ending.client_environment()["https_proxy"].removeprefix("http://").rpartition(":")
        far = urlsplit(ending.url)
        for target in (f"{HOST}:443", f"{far.hostname}:{far.port}"):
            opened.append(socket.create_connection((host, int(port)), timeout=60))
            opened[-1].sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
            assert opened[-1].recv(100).startswith(b"HTTP/1.1 200 ")
    # A connection or task that its end left open would fail the test as a warning of its own.
    gc.collect()
    for client in opened:
        with client:
            assert client.recv(100) == b""


def test_other_hosts_of_google_are_refused_and_all_others_connected(emulator: VertexEmulator) -> None:
    for name in ("storage.googleapis.com:443", "www.google.com:443", f"{HOST}:80"):
        assert answer(emulator, f"CONNECT {name} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 403 ")
    assert answer(emulator, b"GET http://example.com/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        echoed: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                echoed.append(connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        host, _, proxy = emulator.client_environment()["https_proxy"].removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(proxy)), timeout=60) as client:
            client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            client.sendall(b"hello")
            assert client.recv(100) == b""
        thread.join()
    assert echoed == [b"hello"]
    assert answer(emulator, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 502 ")


INSIDE = """
import os
from google.cloud import aiplatform
aiplatform.init(project="demo-project", location="europe-west1")
pool = {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1, "container_spec": {"image_uri": "noop"}}
job = aiplatform.CustomJob(display_name="from inside", worker_pool_specs=[pool], staging_bucket="gs://bucket")
job.submit(service_account="runner@demo-project.iam.gserviceaccount.com")
print(job.resource_name)
"""


def test_a_container_that_calls_vertex_lands_here(emulator: VertexEmulator) -> None:
    container = {"imageUri": "image", "command": ["python", "-W", "ignore", "-c", INSIDE]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "containerSpec": container}
    job = {"displayName": "outer", "jobSpec": {"workerPoolSpecs": [pool]}}
    url, verify = f"{emulator.url}/v1/{PARENT}/customJobs", str(emulator.ca)
    name = requests.post(url, json=job, verify=verify, timeout=60).json()["name"]
    deadline = time.monotonic() + 180
    while (found := requests.get(f"{emulator.url}/v1/{name}", verify=verify, timeout=60).json())["state"] not in (
        "JOB_STATE_SUCCEEDED",
        "JOB_STATE_FAILED",
    ):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    log = (emulator.data / "logs" / f"{name.rpartition('/')[2]}.log").read_text()
    assert found["state"] == "JOB_STATE_SUCCEEDED", log
    listed = requests.get(url, params={"filter": 'display_name="from inside"'}, verify=verify, timeout=60).json()
    assert listed["customJobs"][0]["name"] in log


def test_without_tls_there_is_nothing_for_googles_clients(tmp_path: Path) -> None:
    with VertexEmulator(noop=Noop(0), data=tmp_path) as emulator, pytest.raises(NotServedError, match="--tls"):
        emulator.client_environment()


def test_the_command_prints_lines_for_a_shell(tmp_path: Path) -> None:
    def printed() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator", "env", "--data", str(tmp_path)]
        command += ["--project", "p1", "--storage", "http://127.0.0.1:9000"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    refused = printed()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "start it with --tls" in refused.stderr
    emulator = Process(tmp_path, "--tls", "--noop", "0")
    try:
        done = printed()
        assert done.returncode == 0, done.stderr
        words = shlex.split(done.stdout)
        assert words[::2] == ["export"] * (len(words) // 2)
        found = dict(word.split("=", 1) for word in words[1::2])
        assert (found["GOOGLE_CLOUD_PROJECT"], found["STORAGE_EMULATOR_HOST"]) == ("p1", "http://127.0.0.1:9000")
        credentials = json.loads(Path(found["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
        assert credentials["token_uri"] == f"{emulator.url}/token"
        # The certificates of everybody else are trusted still.
        context = ssl.create_default_context(cafile=found["REQUESTS_CA_BUNDLE"])
        assert len(context.get_ca_certs()) > 50
        proxies = {"https": found["https_proxy"]}
        answered = requests.get(JOBS, proxies=proxies, verify=found["REQUESTS_CA_BUNDLE"], timeout=60)
        assert answered.status_code == 200
    finally:
        emulator.end(signal.SIGTERM)
    assert printed().returncode == 1
    assert not (tmp_path / "credentials.json").exists()
