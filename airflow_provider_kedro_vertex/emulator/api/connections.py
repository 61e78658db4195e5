"""The open connections: one can be reset under its request's feet, and what is no HTTP is refused as JSON too.

h11 is used also where httptools is installed: it is always there, and it bounds a request's head (64 KiB, uvicorn's
default).
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_kedro_vertex.emulator.resources.errors import no_http

_OPEN: dict[tuple[str, int], asyncio.Transport] = {}


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP protocol, whose connections can be found by the client's address."""

    _peer: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
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

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read as HTTP, and close the connection."""
        error = no_http(msg)
        body = json.dumps(error.body()).encode()
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(f"HTTP/1.1 {error.http_status} Bad Request\r\n{head}".encode() + body)
        self.transport.close()


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
