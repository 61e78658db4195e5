"""The pipes between a process and its log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow_provider_kedro_vertex.emulator.storage.logs import LogWriter

# Seconds for output that a process left behind in its pipes when it ended.
_DRAIN_SECONDS = 2.0


@asynccontextmanager
async def logged_pipes(log: LogWriter) -> AsyncIterator[tuple[int, int]]:
    """Two pipes that a process may write to; what comes out is logged until all writers have closed them.

    Not asyncio's own pipes: with those, waiting for a process waits for its pipes too, which a child may keep open.
    """
    writers: list[int] = []
    readers: list[asyncio.Task[None]] = []
    transports: list[asyncio.BaseTransport] = []
    try:
        for name in ("stdout", "stderr"):
            read_end, write_end = os.pipe()
            writers.append(write_end)
            stream, transport = await _reader(read_end)
            transports.append(transport)
            readers.append(asyncio.create_task(_copy_output(name, stream, log)))
        yield writers[0], writers[1]
    finally:
        for write_end in writers:
            os.close(write_end)
        if readers:
            await asyncio.wait(readers, timeout=_DRAIN_SECONDS)
        for reader in readers:
            reader.cancel()
        for transport in transports:
            transport.close()


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", 0)
    )
    return stream, transport


async def _copy_output(name: str, stream: asyncio.StreamReader, log: LogWriter) -> None:
    while data := await stream.read(65536):
        log.feed(name, data)
    log.end(name)
