"""The emulator's command line, started by tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from tests.unit.emulator.specs import PARENT, body, container_spec

COMMAND = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator"]
JOBS = f"/v1/{PARENT}/pipelineJobs"


class Process:
    """An emulator started by its command line."""

    def __init__(self, data: Path, *flags: str) -> None:
        (data / "url").unlink(missing_ok=True)
        self.data = data
        self.popen = subprocess.Popen(
            [*COMMAND, "--port", "0", "--data", str(data), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not (data / "url").exists():
            assert self.popen.poll() is None, self.popen.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.url = (data / "url").read_text().strip()

    def job(self, job_id: str) -> Any:
        return requests.get(f"{self.url}{JOBS}/{job_id}", timeout=120).json()

    def create(self, job_id: str, *args: str) -> None:
        data = body(container_spec({"a": []}, args={"a": list(args)}))
        response = requests.post(f"{self.url}{JOBS}", params={"pipelineJobId": job_id}, json=data, timeout=120)
        assert response.status_code == 200, response.text

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        out, err = self.popen.communicate(timeout=60)
        return self.popen.returncode, out, err
