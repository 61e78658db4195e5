"""The emulator's own switches: queued faults, and a reset of everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_kedro_vertex.emulator.api.log_entries import LIST_LOG_ENTRIES
from airflow_provider_kedro_vertex.emulator.api.methods import METHODS
from airflow_provider_kedro_vertex.emulator.api.rest import answer, read_body
from airflow_provider_kedro_vertex.emulator.engine.faults import Faults, parse_faults
from airflow_provider_kedro_vertex.emulator.resources.protos import parse_body

METHOD_NAMES = frozenset(method.short_name for method in METHODS) | {LIST_LOG_ENTRIES}
"""The names by which faults know RPCs."""


class Control:
    """The routes.

    :param reset: forgets all jobs, ends their processes and clears the faults.
    """

    def __init__(self, faults: Faults, reset: Callable[[], Awaitable[None]]) -> None:
        self._faults = faults
        self._reset = reset

    def routes(self) -> list[Route]:
        """``/_emulator/faults`` (GET, POST, DELETE) and ``/_emulator/reset`` (POST)."""
        return [
            Route("/_emulator/faults", self.faults, methods=["GET"]),
            Route("/_emulator/faults", self.add_faults, methods=["POST"]),
            Route("/_emulator/faults", self.clear_faults, methods=["DELETE"]),
            Route("/_emulator/reset", self.reset, methods=["POST"]),
        ]

    async def faults(self, request: Request) -> Response:
        """The faults that wait."""
        return answer(self._faults.to_json())

    async def add_faults(self, request: Request) -> Response:
        """Queue faults; answers with all that wait. All of the request's are taken, or none."""
        self._faults.add(parse_faults(parse_body(await read_body(request)), METHOD_NAMES))
        return answer(self._faults.to_json())

    async def clear_faults(self, request: Request) -> Response:
        """Forget all faults."""
        self._faults.clear()
        return answer({})

    async def reset(self, request: Request) -> Response:
        """Be as new; answers when it is done."""
        await self._reset()
        return answer({})
