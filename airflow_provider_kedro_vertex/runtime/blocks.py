"""The file format of stored datasets: a pickled value in compressed blocks, each with a digest.

::

    file   = magic  id (16 random bytes)  block*  end
    block  = header  (ordinal, length) * begun  content  digest
    header = kind  codec  form  parameter  row  begun  size of the bytes  size of the content
    end    = a block of kind "e" without content

All integers are little-endian. A digest is the SHA-256 of the file's id, the block's place in the file, and the block;
it is checked before the block is used. So a file that is cut short, damaged, out of order or put together from two
is refused: its bytes never reach the unpickler.

A block of kind "p" holds a piece of the pickle (protocol 5), one of kind "b" the memory of arrays, the pickle's
out-of-band buffers: the ordinals and lengths of the buffers that begin in it, and their bytes, in one of the forms of
:mod:`.filters`. Buffers whose items are alike share blocks; ``row`` tells which block goes on with which. A buffer
comes before the piece of the pickle that refers to it. So both directions are streams: a value is never held a second
time in its pickled form, and an array is read into the memory that it then keeps. What is held besides the value are a
few blocks of 1 MiB. Blocks are made and read on all processors.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, Protocol

import cloudpickle
import zstandard

from airflow_provider_kedro_vertex.runtime import filters

#: The last byte is the version of the format.
MAGIC = b"kvds\x02"
#: Higher ones make tables and models a few percent smaller and take twice the time (tests/benchmarks/bench_store.py).
LEVEL = 1

_BLOCK = 1 << 20
#: A buffer of this size shares no block with others, which may be unlike it.
_LARGE = 64 << 10
#: The most buffers that begin in one block.
_COUNT = 1 << 16
#: Pickling gives bytes no faster than a few cores compress them.
_WORKERS = min(4, os.cpu_count() or 1)
#: One block for each worker and one that waits keep the workers busy, and bound the memory.
_AHEAD = _WORKERS + 1
_ID = 16
_HEADER = struct.Struct("<ccBIIIII")
_BUFFER = struct.Struct("<QQ")
_NUMBER = struct.Struct("<Q")
_DIGEST = hashlib.sha256().digest_size
_PICKLE, _BUFFERS, _END = b"p", b"b", b"e"
_ZSTD, _AS_IT_IS = b"z", b"-"


class DamagedError(Exception):
    """The bytes are not what :func:`dump` wrote: cut short, damaged, or of another format."""


class Writable(Protocol):
    """A binary file that is written."""

    def write(self, data: bytes, /) -> Any:
        """Take all of the bytes."""


class Readable(Protocol):
    """A binary file that is read; ``read`` gives fewer bytes than asked for only at the end."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""


def dump(value: Any, file: Writable, level: int | None = LEVEL) -> None:
    """Write a value.

    :param level: zstd's compression level; None writes the bytes as they are.
    :raises Exception: whatever pickling the value raises; the file then ends in the middle.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="compress") as pool:
        writer = _Writer(file, level, pool)
        cloudpickle.Pickler(writer, protocol=5, buffer_callback=writer.write_buffer).dump(value)
        writer.end()


def load(file: Readable) -> Any:
    """Read the value that :func:`dump` wrote.

    :raises DamagedError: the bytes are not whole or not right. Nothing of the wrong ones was unpickled.
    :raises Exception: whatever unpickling raises, for example because a class cannot be imported here.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="decompress") as pool:
        reader = _Reader(file, pool)
        value = pickle.Unpickler(reader, buffers=reader.buffers()).load()  # noqa: S301 - written by this run's nodes
        reader.end()
        return value


class _Header(NamedTuple):
    kind: bytes
    codec: bytes
    form: int
    parameter: int
    row: int
    begun: int
    size: int
    stored: int


@dataclass(frozen=True)
class _Block:
    """A block before it is compressed: pieces of memory that follow each other, and what is known of them.

    :param row: how many bytes of an array belong together.
    :param buffers: the ordinals and lengths of the buffers that begin in the block.
    """

    kind: bytes
    pieces: tuple[Any, ...] = ()
    row: int = 1
    buffers: tuple[tuple[int, int], ...] = ()


class _Compression(threading.local):
    """zstd's state, which threads must not share; making it anew for each block would cost as much as the block."""

    def __init__(self, level: int) -> None:
        self.compressor = zstandard.ZstdCompressor(level=level)
        self.decompressor = zstandard.ZstdDecompressor()
        self.sampler = zstandard.ZstdCompressor(level=1)


class _Writer:
    """The file that the pickler writes to: cuts its stream and the arrays' memory into blocks, compressed in threads.

    The arrays' memory is not copied before it is compressed.
    """

    def __init__(self, file: Writable, level: int | None, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._id = os.urandom(_ID)
        self._compression = None if level is None else _Compression(level)
        self._number = 0
        self._making: deque[Future[tuple[Any, ...]]] = deque()
        self._pickle = _Pending(_PICKLE, 1)
        self._buffers: dict[int, _Pending] = {}
        self._buffer_count = 0
        file.write(MAGIC + self._id)

    def write(self, data: Any) -> None:
        """Take a piece of the pickle."""
        view = memoryview(data).cast("B")
        while view:
            view = self._pickle.take(view)
            if self._pickle.room == 0:
                self._flush_pickle()

    def write_buffer(self, buffer: pickle.PickleBuffer) -> None:
        """Take the memory of an array."""
        row = _row(memoryview(buffer))
        pending = self._buffers.setdefault(row, _Pending(_BUFFERS, row))
        view = buffer.raw()
        large = view.nbytes >= _LARGE
        if large:
            self._flush(pending)
        pending.buffers.append((self._buffer_count, view.nbytes))
        self._buffer_count += 1
        while view:
            view = pending.take(view)
            if pending.room == 0:
                self._flush(pending)
        if large or len(pending.buffers) == _COUNT:
            self._flush(pending)

    def end(self) -> None:
        """Write what is left, and the end."""
        self._flush_pickle()
        self._add(_Block(_END))
        while self._making:
            self._write_oldest()

    def _flush_pickle(self) -> None:
        for pending in self._buffers.values():  # a buffer comes before the piece that refers to it
            self._flush(pending)
        self._flush(self._pickle)

    def _flush(self, pending: _Pending) -> None:
        if pending.pieces or pending.buffers:
            self._add(pending.block())

    def _add(self, block: _Block) -> None:
        seal = hashlib.sha256(self._id + _NUMBER.pack(self._number))
        self._number += 1
        self._making.append(self._pool.submit(_made, block, self._compression, seal))
        if len(self._making) > _AHEAD:
            self._write_oldest()

    def _write_oldest(self) -> None:
        for part in self._making.popleft().result():
            self._file.write(part)


class _Pending:
    """What the next block of a kind will hold."""

    def __init__(self, kind: bytes, row: int) -> None:
        self._kind = kind
        self._row = row
        self._begin()

    def _begin(self) -> None:
        self.pieces: list[Any] = []
        self.buffers: list[tuple[int, int]] = []
        self.room = _BLOCK // self._row * self._row or _BLOCK

    def take(self, view: Any) -> Any:
        """Take as much as there is room for.

        :return: the rest.
        """
        size = min(self.room, len(view))
        self.pieces.append(view[:size])
        self.room -= size
        return view[size:]

    def block(self) -> _Block:
        """Hand it over and begin anew."""
        block = _Block(self._kind, tuple(self.pieces), self._row, tuple(self.buffers))
        self._begin()
        return block


def _row(array: memoryview) -> int:
    """How many bytes of an array belong together: a row's of a table that lies row by row, else an item's."""
    row = array.itemsize
    if array.ndim == 2 and array.shape is not None and array.c_contiguous:
        row *= array.shape[1]
    return row if 0 < row <= filters.LONGEST_ROW else max(1, min(array.itemsize, filters.LONGEST_ROW))


def _made(block: _Block, compression: _Compression | None, seal: Any) -> tuple[Any, ...]:
    data = block.pieces[0] if len(block.pieces) == 1 else memoryview(b"".join(block.pieces))
    form, parameter, content, codec = filters.PLAIN, 0, data, _AS_IT_IS
    if compression is not None:
        if block.kind == _BUFFERS:
            sampler = compression.sampler
            form, parameter, content = filters.chosen(data, block.row, lambda sample: len(sampler.compress(sample)))
        content, codec = compression.compressor.compress(content), _ZSTD
    header = _Header(block.kind, codec, form, parameter, block.row, len(block.buffers), len(data), len(content))
    head = _HEADER.pack(*header) + b"".join(_BUFFER.pack(*buffer) for buffer in block.buffers)
    seal.update(head)
    seal.update(content)
    return head, content, seal.digest()


class _Reader:
    """The file that the unpickler reads from; buffers met on the way wait until it asks for them."""

    def __init__(self, file: Readable, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._number = 0
        self._ended = False
        self._compression = _Compression(LEVEL)
        self._reading: deque[tuple[_Header, bytes, Future[Any]]] = deque()
        self._waiting: dict[int, bytearray] = {}
        self._filling: defaultdict[int, deque[memoryview]] = defaultdict(deque)
        self._pickle = memoryview(b"")
        if self._get(len(MAGIC)) != MAGIC:
            raise DamagedError(f"it does not begin as one of format {MAGIC!r}")
        self._id = self._get(_ID)

    def buffers(self) -> Iterator[bytearray]:
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
        if [header.kind for header, _, _ in self._reading] != [_END]:
            raise DamagedError("it goes on after its value")
        self._reading.popleft()[2].result()

    def _next(self) -> None:
        self._read_ahead()
        header, table, reading = self._reading.popleft()
        data = reading.result()
        if header.kind == _END:
            raise DamagedError("it ends before its value does")
        if header.kind == _PICKLE:
            self._pickle = memoryview(data)
            return
        filling = self._filling[header.row]
        for ordinal, length in _BUFFER.iter_unpack(table):
            self._waiting[ordinal] = bytearray(length)
            filling.append(memoryview(self._waiting[ordinal]))
        left = memoryview(data)
        while left:
            if not filling:
                raise DamagedError("a block has more bytes than its buffers")
            target = filling.popleft()
            size = min(len(target), len(left))
            target[:size] = left[:size]
            left = left[size:]
            if size < len(target):
                filling.appendleft(target[size:])

    def _read_ahead(self) -> None:
        while not self._ended and len(self._reading) < _AHEAD:
            head = self._get(_HEADER.size)
            header = _Header(*_HEADER.unpack(head))
            if header.size > 2 * _BLOCK or header.stored > 4 * _BLOCK or header.begun > _COUNT:
                raise DamagedError(f"a block claims {header.stored} bytes")
            table = self._get(_BUFFER.size * header.begun)
            content = self._get(header.stored)
            digest = self._get(_DIGEST)
            seal = hashlib.sha256(self._id + _NUMBER.pack(self._number))
            seal.update(head + table)
            reading = self._pool.submit(_read, header, content, seal, digest, self._compression)
            self._reading.append((header, table, reading))
            self._number += 1
            self._ended = header.kind == _END

    def _get(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise DamagedError("it is cut short")
        return data


def _read(header: _Header, content: bytes, seal: Any, digest: bytes, compression: _Compression) -> Any:
    seal.update(content)
    if seal.digest() != digest:
        raise DamagedError("a digest does not match")
    data: Any = content if header.codec == _AS_IT_IS else compression.decompressor.decompress(content)
    return filters.undone(header.form, header.parameter, memoryview(data), header.size)
