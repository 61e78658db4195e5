"""Containers that do nothing, and a load of them, over real HTTP."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.emulator.resources.protos import PipelineTaskDetail, from_json
from tests.unit.emulator.command import JOBS
from tests.unit.emulator.specs import PARENT, body, container_spec


def finished(emulator: VertexEmulator, job_id: str) -> Any:
    deadline = time.monotonic() + 60
    while True:
        job = requests.get(f"{emulator.url}{JOBS}/{job_id}", timeout=120).json()
        if job["state"].removeprefix("PIPELINE_STATE_") in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def create(emulator: VertexEmulator, job_id: str, image: str, tasks: int = 1) -> None:
    spec = container_spec({f"t{index}": [] for index in range(tasks)}, image=image)
    response = requests.post(f"{emulator.url}{JOBS}", params={"pipelineJobId": job_id}, json=body(spec), timeout=120)
    assert response.status_code == 200, response.text


def test_each_image_ends_as_told_and_after_its_time() -> None:
    images = {"good": Noop(0), "bad": Noop(0, 3), "slow": Noop(0.3), "endless": Noop(3600)}
    with VertexEmulator(images, max_parallel=1) as emulator:
        for image in images:
            create(emulator, image, image)
        jobs = {image: finished(emulator, image) for image in ("good", "bad", "slow")}
        requests.post(f"{emulator.url}{JOBS}/endless:cancel", timeout=120).raise_for_status()
        assert finished(emulator, "endless")["state"] == "PIPELINE_STATE_CANCELLED"
        assert requests.get(f"{emulator.url}/_emulator/health", timeout=120).json()["images"]["bad"] == "noop:0:3"
    assert {image: job["state"].removeprefix("PIPELINE_STATE_") for image, job in jobs.items()} == {
        "good": "SUCCEEDED",
        "bad": "FAILED",
        "slow": "SUCCEEDED",
    }
    assert "non-zero status of 3" in jobs["bad"]["jobDetail"]["taskDetails"][1]["error"]["message"]
    slow = PipelineTaskDetail()
    from_json(slow, jobs["slow"]["jobDetail"]["taskDetails"][1], "task")
    assert slow.end_time.ToNanoseconds() - slow.start_time.ToNanoseconds() >= 0.3e9


def test_all_run_at_once_whatever_their_image() -> None:
    with VertexEmulator(noop=Noop(3600), max_parallel=1) as emulator:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda index: create(emulator, f"job-{index}", f"image-{index}", tasks=10), range(20)))
        running = {"filter": 'state="JOB_STATE_RUNNING"', "pageSize": 100}
        found: list[str] = []
        deadline = time.monotonic() + 60
        while len(found) < 200:
            assert time.monotonic() < deadline
            found, params = [], dict(running)
            while True:
                page = requests.get(f"{emulator.url}/v1/{PARENT}/customJobs", params=params, timeout=120).json()
                found += [job["name"] for job in page.get("customJobs", [])]
                if "nextPageToken" not in page:
                    break
                params["pageToken"] = page["nextPageToken"]
        assert len(set(found)) == 200
        assert not list((emulator.data / "logs").iterdir())
