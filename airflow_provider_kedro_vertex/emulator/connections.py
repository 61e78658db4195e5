"""The open connections, so that one can be reset under its request's feet."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_OPEN: dict[tuple[str, int], asyncio.Transport] = {}


class TrackedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, whose connections can be found by the client's address."""

    _peer: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client has connected."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self._peer = (str(peer[0]), int(peer[1]))
            _OPEN[self._peer] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        if self._peer is not None:
            _OPEN.pop(self._peer, None)
        super().connection_lost(exc)


class NoAnswer(Response):
    """Instead of an answer, the client's connection is reset (with RST, so that it is no orderly end)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection that the request came by."""
        client: Any = scope["client"]
        transport = _OPEN.get((client[0], client[1]))
        if transport is None:
            return
        plain = transport.get_extra_info("socket")
        # Linger for 0 seconds: the kernel sends RST and drops what was not sent.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass
