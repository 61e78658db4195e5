"""The fixture, in a pytest of somebody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import sys
import pytest, requests

HEAVY = {"google.protobuf", "grpc", "starlette", "uvicorn", "airflow", "kedro"}
PARENT = "projects/demo-project/locations/europe-west1"

def test_nothing_heavy_is_imported_before_it_is_used():
    assert not HEAVY & set(sys.modules)

def test_it_serves(vertex_emulator):
    pool = {"machineSpec": {"machineType": "n2-standard-4"}, "replicaCount": 1,
            "containerSpec": {"imageUri": "any", "command": ["python"]}}
    job = {"displayName": "a job", "jobSpec": {"workerPoolSpecs": [pool]}}
    made = requests.post(f"{vertex_emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=120).json()
    while (state := requests.get(f"{vertex_emulator.url}/v1/{made['name']}", timeout=120).json()["state"]) in (
        "JOB_STATE_PENDING", "JOB_STATE_RUNNING"
    ):
        pass
    assert state == "JOB_STATE_SUCCEEDED"

def test_it_is_new_for_each_test(vertex_emulator):
    assert requests.get(f"{vertex_emulator.url}/v1/{PARENT}/customJobs", timeout=120).json() == {}

class TestOfMine:
    @pytest.fixture
    def vertex_emulator_options(self, tmp_path):
        return {"images": {"mine": tmp_path}, "tls": True}

    def test_it_takes_options(self, vertex_emulator):
        answer = requests.get(f"{vertex_emulator.url}/_emulator/health", verify=str(vertex_emulator.ca), timeout=120)
        assert list(answer.json()["images"]) == ["mine"]
"""


def test_the_fixture_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_mine.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 passed" in ended.stdout
