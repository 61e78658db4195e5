"""A python_package_spec: the package is found, installed for this container alone, and its module run."""

from __future__ import annotations

import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.unit.emulator.specs import PARENT

WHEEL = "trainer-1.0-py3-none-any.whl"
MODULE = "import os, sys; print('trained', sys.argv[1:], os.environ['RATE'], os.environ['AIP_MODEL_DIR'])"


def write_wheel(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("trainer/__init__.py", "")
        wheel.writestr("trainer/task.py", MODULE)
        info = "trainer-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[str]:
    """What serves one object, as a storage emulator does."""
    wheel = write_wheel(tmp_path / "uploaded" / WHEEL).read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == f"/download/storage/v1/b/staging/o/a%2F{WHEEL}?alt=media"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(wheel if found else b"")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ended(emulator: VertexEmulator, uri: str) -> tuple[str, str]:
    """The state and the log of a job that runs this package."""
    package = {"executorImageUri": "image", "packageUris": [uri], "pythonModule": "trainer.task", "args": ["--n", "3"]}
    package["env"] = [{"name": "RATE", "value": "0.5"}]
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "pythonPackageSpec": package}
    spec = {"workerPoolSpecs": [pool], "baseOutputDirectory": {"outputUriPrefix": "gs://bucket/out"}}
    url = f"{emulator.url}/v1/{PARENT}/customJobs"
    made = requests.post(url, json={"displayName": "job", "jobSpec": spec}, timeout=60)
    assert made.status_code == 200, made.text
    name = made.json()["name"]
    deadline = time.monotonic() + 180
    while (job := requests.get(f"{emulator.url}/v1/{name}", timeout=60).json())["state"] not in (
        "JOB_STATE_SUCCEEDED",
        "JOB_STATE_FAILED",
    ):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job["state"], (emulator.data / "logs" / f"{name.rpartition('/')[2]}.log").read_text()


def test_a_package_is_found_and_its_module_run(tmp_path: Path, storage: str) -> None:
    (tmp_path / "image").mkdir()
    env = {"STORAGE_EMULATOR_HOST": storage}
    with VertexEmulator({"image": tmp_path / "image"}, env=env, data=tmp_path / "data") as emulator:
        write_wheel(tmp_path / "data" / "gcs" / "bucket" / WHEEL)
        for uri in (f"gs://bucket/{WHEEL}", f"gs://staging/a/{WHEEL}"):
            state, log = ended(emulator, uri)
            assert state == "JOB_STATE_SUCCEEDED", log
            assert "trained ['--n', '3'] 0.5 gs://bucket/out/model/" in log
        state, log = ended(emulator, f"gs://staging/b/{WHEEL}")
        assert (state, "cannot be had from" in log, "404" in log) == ("JOB_STATE_FAILED", True, True), log
        (tmp_path / "data" / "gcs" / "bucket" / "broken-1.0-py3-none-any.whl").write_text("no zip")
        state, log = ended(emulator, "gs://bucket/broken-1.0-py3-none-any.whl")
        assert (state, "could not be installed" in log) == ("JOB_STATE_FAILED", True), log


def test_without_a_storage_emulator_the_log_tells_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    with VertexEmulator({"image": tmp_path / "image"}) as emulator:
        state, log = ended(emulator, f"gs://bucket/{WHEEL}")
    assert state == "JOB_STATE_FAILED"
    assert "no STORAGE_EMULATOR_HOST is set" in log
