"""A proxy that leads clients which ask for Google's host names here.

A client that speaks HTTPS or gRPC asks its proxy for ``CONNECT europe-west1-aiplatform.googleapis.com:443`` and speaks
TLS through it, so it still checks the certificate of the name that it asked for. What it offers in its first message
tells gRPC, which speaks HTTP/2 only, from REST. Hosts of Google that are not served here are refused, so that nothing
lands in the real cloud by accident; all others are connected as they are asked for.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

# The API itself by its global and regional names, Resource Manager, which the SDK asks for a project's number, Cloud
# Logging, and where credentials are exchanged for tokens.
_SERVED = re.compile(
    r"(?:(?:[a-z0-9-]+-)?aiplatform|cloudresourcemanager|logging|oauth2)\.googleapis\.com:443", re.IGNORECASE
)
_GOOGLE = re.compile(r".*\.?(?:googleapis|google)\.com:[0-9]+", re.IGNORECASE)
_LONGEST_HEAD = 16 * 1024
# The TLS record of a client's first message, and the name by which it offers HTTP/2 in there (RFC 7301).
_HANDSHAKE, _HTTP_2 = 0x16, b"\x02h2"
_CHUNK = 64 * 1024

Address = tuple[str, int]


class Proxy:
    """The proxy of one emulator.

    :param host: the address of this proxy and of what it leads to.
    :param rest_port: where REST is served, with TLS.
    """

    def __init__(self, host: str, rest_port: int) -> None:
        self._host = host
        self._rest_port = rest_port
        self.grpc_port = 0
        """Where gRPC is served, with TLS; known later than the rest."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Serve on a free port.

        :return: the address, as in ``http://127.0.0.1:3128``.
        """
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        name, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{f'[{name}]' if ':' in name else name}:{port}"

    async def close(self) -> None:
        """Take no more connections, and end those that are open."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not left to asyncio, which would not tell whose connections are still open at the end.
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._lead(reader, writer)
        finally:
            writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, *_ = head.decode("latin-1").split(" ", 2)
            if method != "CONNECT" or len(head) > _LONGEST_HEAD:
                await _answer(writer, "405 Method Not Allowed")
            elif _SERVED.fullmatch(target):
                await _answer(writer, "200 OK")
                first = await reader.read(_CHUNK)
                is_grpc = first[:1] == bytes([_HANDSHAKE]) and _HTTP_2 in first
                await _tunnel(reader, writer, (self._host, self.grpc_port if is_grpc else self._rest_port), first)
            elif _GOOGLE.fullmatch(target):
                await _answer(writer, "403 Forbidden")
            else:
                host, _, port = target.rpartition(":")
                await _tunnel(reader, writer, (host.strip("[]"), int(port)), b"", greet=True)


async def _answer(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
    await writer.drain()


async def _tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Address, first: bytes, greet: bool = False
) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(*target)
    except OSError:
        if greet:
            await _answer(writer, "502 Bad Gateway")
        return
    try:
        if greet:
            await _answer(writer, "200 OK")
        far_writer.write(first)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
