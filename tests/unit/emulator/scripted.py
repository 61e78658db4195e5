"""The parts of an emulator without its server, and an executor whose containers end when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.emulator.api.service import Service
from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import CustomJobs
from airflow_provider_kedro_vertex.emulator.engine.faults import Faults
from airflow_provider_kedro_vertex.emulator.engine.pipeline_jobs import Engine
from airflow_provider_kedro_vertex.emulator.executors.base import Executor, Outcome, Work
from airflow_provider_kedro_vertex.emulator.storage.buckets import Buckets
from airflow_provider_kedro_vertex.emulator.storage.store import Store


class Script:
    """An executor whose containers end when they are told to. A container is known by its first argument."""

    def __init__(self, places: int = 100) -> None:
        self.running: dict[str, asyncio.Future[Outcome]] = {}
        self.works: list[Work] = []
        self.places = asyncio.Semaphore(places)

    async def run(self, work: Work, started: Callable[[], None]) -> Outcome:
        async with self.places:
            started()
            self.works.append(work)
            self.running[work.argv[1]] = ending = asyncio.get_running_loop().create_future()
            try:
                return await ending
            finally:
                del self.running[work.argv[1]]


class Parts:
    """What an emulator is made of, on one data folder."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self.store = Store(folder / "jobs.sqlite")
        buckets = Buckets(folder / "gcs")
        self.custom_jobs = CustomJobs(self.store, executor, Faults(), buckets)
        self.engine = Engine(self.store, self.custom_jobs, buckets, lambda image: False)
        self.service = Service(self.store, self.engine, self.custom_jobs)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a test's scenario, which must come to an end."""

    async def bounded() -> None:
        await asyncio.wait_for(scenario, 120)

    asyncio.run(bounded())
