"""Read a value in the format of :mod:`.format`."""

from __future__ import annotations

import gc
import hashlib
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Protocol

import zstandard

from airflow_provider_kedro_vertex.runtime.store import format as blocks
from airflow_provider_kedro_vertex.runtime.store import transforms as filters
from airflow_provider_kedro_vertex.runtime.store.format import DamagedError

#: One block for each worker and one that waits keep the workers busy, and bound the memory.
_AHEAD = blocks.WORKERS + 1


class Readable(Protocol):
    """A binary file that is read; ``read`` gives fewer bytes than asked for only at the end."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""


def load(file: Readable) -> Any:
    """Read the value that :func:`.writer.dump` wrote.

    :raises DamagedError: the bytes are not whole or not right. Nothing of the wrong ones was unpickled.
    :raises Exception: whatever unpickling raises, for example because a class cannot be imported here.
    """
    with ThreadPoolExecutor(max_workers=blocks.WORKERS, thread_name_prefix="decompress") as pool, _no_collection():
        reader = _Reader(file, pool)
        value = pickle.Unpickler(reader, buffers=reader.buffers()).load()  # noqa: S301 - written by this run's nodes
        reader.end()
        return value


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let no garbage be looked for meanwhile: unpickling makes many objects, and no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Decompressor(threading.local):
    """zstd's state, and memory for what is decompressed but not yet where it belongs: of each thread its own."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()
        self._scratch = memoryview(b"")

    def into(self, content: bytes, target: memoryview) -> None:
        """Decompress to where the bytes belong."""
        if self._zstd.stream_reader(content).readinto(target) != len(target):
            raise DamagedError("a block has fewer bytes than its buffers")

    def decompress(self, content: bytes) -> memoryview:
        """Decompress into memory that the thread's next call uses again."""
        size = zstandard.frame_content_size(content)
        if not 0 <= size <= blocks.LARGEST:
            raise DamagedError(f"a block claims {size} bytes")
        if len(self._scratch) < size:
            self._scratch = memoryview(bytearray(size))
        self.into(content, self._scratch[:size])
        return self._scratch[:size]


class _Reader:
    """The file that the unpickler reads from; buffers met on the way wait until it asks for them."""

    def __init__(self, file: Readable, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._number = 0
        self._ended = False
        self._decompressor = _Decompressor()
        self._reading: deque[tuple[bytes, Callable[[], memoryview]]] = deque()
        self._waiting: dict[int, memoryview] = {}
        self._filling = memoryview(b"")
        self._pickle = memoryview(b"")
        if self._get(len(blocks.MAGIC)) != blocks.MAGIC:
            raise DamagedError(f"it does not begin as one of format {blocks.MAGIC!r}")
        self._id = self._get(blocks.ID)

    def buffers(self) -> Iterator[memoryview]:
        """Give the buffers, in the order in which the pickle refers to them."""
        for ordinal in count():
            if ordinal not in self._waiting:
                raise DamagedError("a buffer is missing")
            yield self._waiting.pop(ordinal)

    def readinto(self, target: Any) -> int:
        """Give the next bytes of the pickle."""
        view = memoryview(target).cast("B")
        size = view.nbytes
        while view:
            while not self._pickle:
                self._next()
            piece = min(len(view), len(self._pickle))
            view[:piece] = self._pickle[:piece]
            self._pickle, view = self._pickle[piece:], view[piece:]
        return size

    def read(self, size: int) -> bytes:
        """Give the next bytes of the pickle."""
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def readline(self) -> bytes:
        """Give the next line of the pickle, which protocol 5 hardly ever has."""
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self.read(1)
        return bytes(line)

    def end(self) -> None:
        """Check that there is no more."""
        if self._pickle or self._waiting:
            raise DamagedError("it goes on after its value")
        if not self._ended or self._reading:
            self._read_ahead()
        if [kind for kind, _ in self._reading] != [blocks.END]:
            raise DamagedError("it goes on after its value")
        self._reading.popleft()[1]()

    def _next(self) -> None:
        self._read_ahead()
        kind, reading = self._reading.popleft()
        data = reading()
        if kind == blocks.END:
            raise DamagedError("it ends before its value does")
        if kind == blocks.PICKLE:
            self._pickle = data

    def _read_ahead(self) -> None:
        while not self._ended and len(self._reading) < _AHEAD:
            head = self._get(blocks.HEADER.size)
            header = blocks.Header(*blocks.HEADER.unpack(head))
            if header.begun > blocks.COUNT:
                raise DamagedError(f"a block claims {header.begun} buffers")
            table = self._get(blocks.BUFFER.size * header.begun)
            if self._get(blocks.DIGEST) != blocks.seal(self._id, self._number, head + table):
                self._reading.append((header.kind, _refuse))
                self._ended = True
                return
            self._number += 1
            self._ended = header.kind == blocks.END
            content = self._get(header.stored)
            target = self._target(header, list(blocks.BUFFER.iter_unpack(table)))
            work = partial(_read, header, content, target, self._decompressor)
            # What will soon be done is done when it is due.
            self._reading.append((header.kind, work if header.size < blocks.SMALL else self._pool.submit(work).result))

    def _target(self, header: blocks.Header, begun: list[tuple[int, int]]) -> memoryview:
        """Where a block's bytes go: into memory that its buffers share, or into a large buffer."""
        if header.kind != blocks.BUFFERS:
            return memoryview(bytearray(header.size))
        if begun:
            *begins, end = blocks.places([length for _, length in begun], header.alignment)
            memory = _memory(max(end, header.size))
            for (ordinal, length), begin in zip(begun, begins, strict=True):
                self._waiting[ordinal] = memory[begin : begin + length]
            self._filling = memory
        target, self._filling = self._filling[: header.size], self._filling[header.size :]
        if len(target) < header.size:
            raise DamagedError("a block has more bytes than its buffers")
        return target

    def _get(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise DamagedError("it is cut short")
        return data


def _memory(size: int) -> memoryview:
    """Memory for arrays, which NumPy, unlike Python, does not fill with zeros first."""
    try:
        import numpy as np
    except ImportError:  # arrays of another package
        return memoryview(bytearray(size))
    return np.empty(size, "u1").data


def _refuse() -> memoryview:
    raise DamagedError("a seal does not match")


def _read(header: blocks.Header, content: bytes, target: memoryview, decompressor: _Decompressor) -> memoryview:
    if hashlib.sha256(content).digest() != header.digest:
        raise DamagedError("a digest does not match")
    if header.codec == blocks.AS_IT_IS:
        target[:] = content
    elif header.form == filters.PLAIN:
        decompressor.into(content, target)
    else:
        filters.undone(header.form, header.parameter, decompressor.decompress(content), target)
    return target
