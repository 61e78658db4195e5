"""A thousand jobs waited for in one process: this package's trigger, and Google's own with the same load.

Run by ``make bench``; prints a table. Each trigger runs as the triggerer runs it, in one event loop, against an
emulator in a process of its own; some of the jobs end meanwhile. Google's operator polls each job every 300 seconds by
default; here it polls every 30, and to notice an end within 10 seconds it would have to poll three times as often.
``WAITERS`` and ``WAIT_SECONDS`` set the load.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

WAITERS = int(os.environ.get("WAITERS", "1000"))
SECONDS = float(os.environ.get("WAIT_SECONDS", "150"))
ENDING = 40
GOOGLE_POLL = 30
SIDES = {"KedroVertexJobTrigger": "ours", "RunPipelineJobTrigger": "google"}


def main() -> None:
    print(f"{WAITERS} PipelineJobs waited for during {SECONDS:.0f} s, {ENDING} of which end meanwhile")
    print(f"{'trigger':<24}{'calls/min':>10}{'p50 s':>8}{'p95 s':>8}{'noticed':>9}{'KB/waiter':>11}{'% core':>8}")
    for name, side in SIDES.items():
        with tempfile.TemporaryDirectory() as folder:
            found = _measure(Path(folder), side)
        late = sorted(found["late"])
        p50, p95 = (statistics.median(late), late[int(0.95 * (len(late) - 1))]) if late else (float("nan"),) * 2
        noticed = f"{len(late)}/{found['ended']}"
        print(
            f"{name:<24}{found['calls']:>10.0f}{p50:>8.1f}{p95:>8.1f}{noticed:>9}{found['kilobytes']:>11.0f}"
            f"{found['core']:>8.1f}"
        )


def _measure(folder: Path, side: str) -> dict[str, Any]:
    # The jobs end one after another while they are waited for.
    first, last = 45.0, SECONDS * 0.85 + 30
    ends = [first + (last - first) * number / ENDING for number in range(ENDING)]
    images = [f"--image=ends-{number}=noop:{end:.1f}" for number, end in enumerate(ends)]
    argv = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator", "--port", "0", "--data", str(folder)]
    with subprocess.Popen([*argv, *images, "--image=lives=noop:86400"], stdout=subprocess.DEVNULL) as emulator:
        try:
            while not (folder / "url").exists() or not (folder / "url").read_text():
                time.sleep(0.1)
            environment = {**os.environ, "AIRFLOW_HOME": str(folder), "NO_PROXY": "*"}
            url, grpc = ((folder / name).read_text().strip() for name in ("url", "grpc"))
            command = [sys.executable, "-W", "ignore", __file__, side, url, grpc]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            return dict(json.loads(done.stdout.splitlines()[-1]))
        finally:
            emulator.terminate()


# What follows runs in the process that is measured.


def _wait(side: str, url: str, grpc: str) -> None:
    from google.auth.credentials import AnonymousCredentials

    from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
    from tests.unit.jobs import body

    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": url}
    os.environ["AIRFLOW_CONN_LOCAL"] = json.dumps({"conn_type": "google_cloud_platform", "extra": extra})
    client = VertexClient("demo-project", "europe-west1", AnonymousCredentials(), Endpoints(url))

    def create(number: int) -> tuple[str, str]:
        made = body("", {})
        image = f"ends-{number}" if number < ENDING else "lives"
        made["pipelineSpec"]["deploymentSpec"]["executors"]["exec-only"]["container"] = {"image": image}
        job = client.create_pipeline_job(f"bench-{number}", made)
        return job["name"], job["updateTime"]

    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(create, range(WAITERS)))
    make = _ours if side == "ours" else _google(grpc)
    first = make(*jobs[-1])
    asyncio.run(_run([first], 3.0))  # imports and the first connection are not the waiters'
    calls = _count(side)
    before, started, cpu = _resident(), time.monotonic(), time.process_time()
    noticed = asyncio.run(_run([make(*job) for job in jobs], SECONDS, peak := [0.0]))
    minutes = (time.monotonic() - started) / 60
    core = 100 * (time.process_time() - cpu) / (60 * minutes)
    called = calls[0] / minutes
    late, ended = [], 0
    for number in range(ENDING):
        job = client.get_job(jobs[number][0])
        ended += "endTime" in job
        if number in noticed:
            late.append(noticed[number] - datetime.fromisoformat(job["endTime"].replace("Z", "+00:00")).timestamp())
    print(
        json.dumps(
            {
                "calls": called,
                "late": late,
                "ended": ended,
                "kilobytes": (peak[0] - before) / WAITERS,
                "core": core,
            }
        )
    )


async def _run(triggers: list[Any], seconds: float, peak: list[float] | None = None) -> dict[int, float]:
    noticed: dict[int, float] = {}

    async def run(number: int, events: AsyncIterator[Any]) -> None:
        async for _ in events:
            noticed[number] = time.time()

    tasks = [asyncio.create_task(run(number, trigger.run())) for number, trigger in enumerate(triggers)]
    await asyncio.sleep(seconds)
    if peak is not None:
        peak[0] = _resident()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return noticed


def _ours(name: str, updated: str) -> Any:
    from airflow_provider_kedro_vertex.triggers import KedroVertexJobTrigger

    return KedroVertexJobTrigger(
        job=name,
        gcp_conn_id="local",
        impersonation_chain=None,
        poll_interval=10.0,
        outage_timeout=900.0,
        cancel_on_kill=False,
        end_task=False,
        since=updated,
        seen={},
    )


def _google(target: str) -> Any:
    """Google's trigger, whose client is only told where the emulator is."""
    import grpc.aio
    from airflow.providers.google.cloud.hooks.vertex_ai import pipeline_job
    from airflow.providers.google.cloud.triggers.vertex_ai import RunPipelineJobTrigger
    from google.cloud.aiplatform_v1 import PipelineServiceAsyncClient
    from google.cloud.aiplatform_v1.services.pipeline_service.transports import PipelineServiceGrpcAsyncIOTransport

    async def client(self: Any, region: str | None = None) -> PipelineServiceAsyncClient:
        channel = grpc.aio.insecure_channel(target)
        return PipelineServiceAsyncClient(transport=PipelineServiceGrpcAsyncIOTransport(channel=channel))

    pipeline_job.PipelineJobAsyncHook.get_pipeline_service_client = client

    def make(name: str, updated: str) -> Any:
        return RunPipelineJobTrigger(
            conn_id="local",
            project_id="demo-project",
            location="europe-west1",
            job_id=name.rpartition("/")[2],
            poll_interval=GOOGLE_POLL,
        )

    return make


def _count(side: str) -> list[int]:
    """Count the calls from now on."""
    calls = [0]
    if side == "ours":
        from airflow_provider_kedro_vertex.vertex.client import VertexClient

        tried = VertexClient._try

        def count(self: VertexClient, *arguments: Any) -> dict[str, Any]:
            calls[0] += 1
            return tried(self, *arguments)

        VertexClient._try = count  # type: ignore[method-assign]
    else:
        from airflow.providers.google.cloud.hooks.vertex_ai.pipeline_job import PipelineJobAsyncHook

        asked = PipelineJobAsyncHook.get_pipeline_job

        async def count_one(self: Any, *arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            return await asked(self, *arguments, **named)

        PipelineJobAsyncHook.get_pipeline_job = count_one
    return calls


def _resident() -> float:
    """Kilobytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.path.insert(0, str(Path(__file__).parents[2]))
        _wait(*sys.argv[1:])
    else:
        main()
