"""Containers that do nothing: they run for a set time and end as told. For load, and for tests of what comes after.

They take no place among ``max_parallel``, no process, no folder and no log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from airflow_provider_kedro_vertex.emulator.executors.base import Executor, Outcome, Work, outcome_of_exit
from airflow_provider_kedro_vertex.emulator.executors.images import Noop, StandIn


class NoopExecutor:
    """Runs the containers of noop images, and leaves those of all others to another executor.

    :param images: the images that are known.
    :param unknown: what stands for every other image; None leaves them to ``others``, which refuses them.
    :param speed: by how much faster than the clock their seconds pass.
    """

    def __init__(
        self, images: Mapping[str, StandIn], unknown: Noop | None, others: Executor, speed: float = 1.0
    ) -> None:
        self._images = images
        self._unknown = unknown
        self._others = others
        self._speed = speed

    async def run(self, work: Work, started: Callable[[], None]) -> Outcome:
        """Run one container to its end; see :class:`.Executor`."""
        image = self._images.get(work.image, self._unknown)
        if not isinstance(image, Noop):
            return await self._others.run(work, started)
        started()
        await asyncio.sleep(image.seconds / self._speed)
        return outcome_of_exit(work, image.exit_status)
