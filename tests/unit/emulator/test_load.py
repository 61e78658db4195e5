"""Memory under load, as a share of the thousand jobs that tests/benchmarks/bench_emulator.py measures in full."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from tests.unit.emulator.command import JOBS, Process
from tests.unit.emulator.specs import body, container_spec

PIPELINE_JOBS, TASKS = 150, 10
WANTED_JOBS, WANTED_MEGABYTES = 1000, 400


def megabytes(emulator: Process) -> float:
    status = Path(f"/proc/{emulator.popen.pid}/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_a_thousand_running_jobs_would_fit(tmp_path: Path) -> None:
    emulator = Process(tmp_path / "data", "--noop", "3600")
    try:
        idle = megabytes(emulator)
        data = json.dumps(body(container_spec({f"task-{number}": [] for number in range(TASKS)})))
        with requests.Session() as session:
            for _ in range(PIPELINE_JOBS):
                session.post(f"{emulator.url}{JOBS}", data=data, timeout=60).raise_for_status()
            custom_jobs = f"{emulator.url}{JOBS.replace('pipelineJobs', 'customJobs')}"
            others = {"filter": 'NOT state="JOB_STATE_RUNNING"', "pageSize": 1}
            while session.get(custom_jobs, params=others, timeout=60).json():
                pass
        each = (megabytes(emulator) - idle) / PIPELINE_JOBS
        assert idle + each * WANTED_JOBS < WANTED_MEGABYTES, f"{idle:.0f} MB, and {each * 1000:.0f} kB for each job"
    finally:
        emulator.end()
