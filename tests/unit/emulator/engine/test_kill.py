"""``kill -9`` at any moment, again and again, while jobs come in: what was promised before is kept after.

Each container writes a line when it starts and when it ends, so that what really ran is known from elsewhere than the
emulator. ``EMULATOR_KILLS`` sets how often it is killed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from tests.unit.emulator.command import JOBS, Process
from tests.unit.emulator.specs import body, container_spec

KILLS = int(os.environ.get("EMULATOR_KILLS", "2"))
WRITERS = 3
# $HOME is in the work folder, which is named by the container's number.
CONTAINER = '''number=$(basename $(dirname $HOME)); echo start $number >> "$1"; sleep 0.$2; echo end $number >> "$1"'''
RETRY = {"retryPolicy": {"maxRetryCount": 50, "backoffDuration": "0s"}}
FINAL = ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED")


def job(folder: Path, job_id: str, retried: bool) -> dict[str, Any]:
    """Three tasks: two side by side, and one after them."""
    tasks: dict[str, list[str]] = {"a": [], "b": [], "c": ["a", "b"]}
    args = {name: ["-c", CONTAINER, "sh", str(folder / f"{job_id}-{name}"), f"0{ord(name) % 7}"] for name in tasks}
    fields: dict[str, dict[str, Any]] = {name: RETRY if retried else {} for name in tasks}
    return body(container_spec(tasks, command=["sh"], args=args, task_fields=fields))


class Client:
    """Creates jobs for as long as it is let, whatever becomes of the emulator, and remembers which were promised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.promised: list[str] = []
        self.stopped = False

    def write(self, writer: int) -> None:
        number = 0
        while not self.stopped:
            job_id = f"job-{writer}-{number}{'-retried' if number % 3 else ''}"
            data = job(self.folder, job_id, retried=bool(number % 3))
            try:
                status = requests.post(
                    f"{self.url}{JOBS}", params={"pipelineJobId": job_id}, json=data, timeout=120
                ).status_code
            except requests.RequestException:
                time.sleep(0.02)
                continue
            # A try whose answer was lost may have made the job.
            assert status in (200, 409)
            self.promised.append(job_id)
            number += 1
            time.sleep(0.03)


def test_no_job_is_lost_and_none_runs_twice(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "ran").mkdir()
    flags = ("--image", f"image={tmp_path / 'project'}", "--max-parallel", "6")
    moments = random.Random(7)
    client = Client(tmp_path / "ran")
    emulator = Process(tmp_path / "data", *flags)
    try:
        with ThreadPoolExecutor(WRITERS) as pool:
            client.url = emulator.url
            writers = [pool.submit(client.write, writer) for writer in range(WRITERS)]
            try:
                for _ in range(KILLS):
                    time.sleep(moments.uniform(0.05, 1.2))
                    until_one_runs(emulator)
                    emulator.end(signal.SIGKILL)
                    emulator = Process(tmp_path / "data", *flags)
                    client.url = emulator.url
            finally:
                client.stopped = True
        for writer in writers:
            writer.result()
        jobs = {job_id: ended(emulator, job_id) for job_id in client.promised}
        numbers = custom_jobs(emulator)
    finally:
        emulator.end()
    assert len(jobs) == len(client.promised) > 0
    interrupted = sum(check(tmp_path / "ran", job_id, found, numbers) for job_id, found in jobs.items())
    print(f"{len(jobs)} jobs, {KILLS} kills, {interrupted} interrupted containers")
    # Containers that ran when the emulator was killed: at least one, or nothing was shown.
    assert interrupted > 0


def until_one_runs(emulator: Process) -> None:
    """On a slow machine a kill may come before the first container, and show nothing."""
    deadline = time.monotonic() + 60
    running = {"filter": 'state="JOB_STATE_RUNNING"', "pageSize": 1}
    url = f"{emulator.url}{JOBS.replace('pipelineJobs', 'customJobs')}"
    while not requests.get(url, params=running, timeout=120).json():
        assert time.monotonic() < deadline


def ended(emulator: Process, job_id: str) -> Any:
    deadline = time.monotonic() + 120
    while (found := emulator.job(job_id)).get("state") not in FINAL:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def custom_jobs(emulator: Process) -> dict[str, Any]:
    found, token = {}, ""
    while True:
        url = f"{emulator.url}{JOBS.replace('pipelineJobs', 'customJobs')}"
        page = requests.get(url, params={"pageToken": token}, timeout=120).json()
        found |= {one["name"]: one for one in page.get("customJobs", [])}
        token = page.get("nextPageToken", "")
        if not token:
            return found


def check(folder: Path, job_id: str, found: Any, numbers: dict[str, Any]) -> int:
    """Compare what the emulator tells of a job with what its containers wrote. Returns how many were interrupted."""
    retried, interrupted = job_id.endswith("-retried"), 0
    for task in found["jobDetail"]["taskDetails"][1:]:
        container = task.get("executorDetail", {}).get("containerDetail", {})
        tries = [*container.get("failedMainJobs", []), container.get("mainJob", "")]
        states = [numbers[name]["state"] for name in tries if name]
        file = folder / f"{job_id}-{task['taskName']}"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        starts = [line.split()[1] for line in lines if line.startswith("start")]
        # No try ran twice, in the order of the tries, and none went on when the next one had started.
        known = [name.rpartition("/")[2] for name in tries if name]
        assert max(Counter(starts).values(), default=0) <= 1
        assert starts == [number for number in known if number in starts]
        for index, line in enumerate(lines):
            if line.startswith("end"):
                assert lines[index - 1] == line.replace("end", "start"), lines
        for name, state in zip([name for name in tries if name], states, strict=True):
            number = name.rpartition("/")[2]
            if state == "JOB_STATE_SUCCEEDED":
                assert f"end {number}" in lines
            else:
                interrupted += 1
                assert (state, numbers[name]["error"]["code"]) == ("JOB_STATE_FAILED", 13)
                assert "killed while this container ran" in numbers[name]["error"]["message"]
        if task["state"] == "SUCCEEDED":
            assert states == ["JOB_STATE_FAILED"] * (len(states) - 1) + ["JOB_STATE_SUCCEEDED"]
        else:
            assert not retried
            assert task["state"] in ("FAILED", "NOT_TRIGGERED")
    assert found["state"] == "PIPELINE_STATE_SUCCEEDED" or not retried
    return interrupted
