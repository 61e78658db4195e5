"""An executor whose containers end when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airflow_provider_kedro_vertex.emulator.executors import Outcome, Work


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
