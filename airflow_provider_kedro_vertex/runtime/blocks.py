"""The file format of stored datasets: a pickled value in compressed blocks, each with a digest.

::

    file   = magic  codec  block*  end
    block  = length (4 bytes, not 0)  compressed bytes  digest
    end    = length 0  digest

All integers are little-endian. A digest is the SHA-256 of everything before it, so it is checked before a block's
bytes are used, and a file that is cut short, damaged or out of order is refused: its bytes never reach the unpickler.

The uncompressed bytes are records: ``kind (1 byte)  length (8 bytes)  payload``. A record holds either a piece of the
pickle stream (protocol 5) or one of its out-of-band buffers, the memory of an array. A buffer's record comes before
the piece that refers to it. So both directions are streams: a value is never held a second time in its pickled form,
and an array is read into the memory that it then keeps. What is held besides the value are a few blocks of 1 MiB.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import cloudpickle
import zstandard

#: The last byte is the version of the format.
MAGIC = b"kvds\x01"
#: zstd's own default: on the tables of ``tests/benchmarks`` as small as bz2, twenty times faster.
LEVEL = 3

_BLOCK = 1 << 20
#: Pickling gives bytes no faster than a few cores compress them.
_WORKERS = min(4, os.cpu_count() or 1)
_LENGTH = struct.Struct("<I")
_RECORD = struct.Struct("<cQ")
_PICKLE, _BUFFER = b"p", b"b"
_ZSTD, _PLAIN = b"z", b"-"


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
        blocks = _BlockWriter(file, level, pool)
        records = _RecordWriter(blocks)
        cloudpickle.Pickler(records, protocol=5, buffer_callback=records.write_buffer).dump(value)
        blocks.end()


def load(file: Readable) -> Any:
    """Read the value that :func:`dump` wrote.

    :raises DamagedError: the bytes are not whole or not right. Nothing of them was unpickled.
    :raises Exception: whatever unpickling raises, for example because a class cannot be imported here.
    """
    blocks = _BlockReader(file)
    records = _RecordReader(blocks)
    value = pickle.Unpickler(records, buffers=records.buffers()).load()  # noqa: S301 - written by this run's nodes
    blocks.end()
    return value


class _BlockWriter:
    """Cuts bytes into blocks, compresses them on all cores, and writes them in order."""

    def __init__(self, file: Writable, level: int | None, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._level = level
        self._pool = pool
        self._block = bytearray()
        self._compressing: deque[Future[bytes]] = deque()
        self._digest = hashlib.sha256()
        self._put(MAGIC + (_PLAIN if level is None else _ZSTD))

    def write(self, data: memoryview) -> None:
        while data:
            room = _BLOCK - len(self._block)
            self._block += data[:room]
            data = data[room:]
            if len(self._block) == _BLOCK:
                self._compress()

    def end(self) -> None:
        if self._block:
            self._compress()
        while self._compressing:
            self._put_block(self._compressing.popleft().result())
        self._put_block(b"")

    def _compress(self) -> None:
        self._compressing.append(self._pool.submit(_compressed, self._block, self._level))
        self._block = bytearray()
        # One for each worker and as many that wait keep the workers busy, and bound the memory.
        if len(self._compressing) > 2 * _WORKERS:
            self._put_block(self._compressing.popleft().result())

    def _put_block(self, block: bytes) -> None:
        self._put(_LENGTH.pack(len(block)) + block)
        self._file.write(self._digest.digest())

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def _compressed(block: bytearray, level: int | None) -> bytes:
    # A compressor of its own: zstandard's are not to be shared between threads.
    return bytes(block) if level is None else zstandard.ZstdCompressor(level=level).compress(block)


class _BlockReader:
    """Gives back the bytes that went into a :class:`_BlockWriter`, each block only after its digest was checked."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._decompressor = zstandard.ZstdDecompressor()
        self._block = memoryview(b"")
        magic, self._codec = self._get(len(MAGIC)), self._get(1)
        if magic != MAGIC or self._codec not in (_ZSTD, _PLAIN):
            raise DamagedError(f"it does not begin as one of format {MAGIC!r}")

    def read_into(self, target: memoryview) -> None:
        while target:
            if not self._block and not self._next():
                raise DamagedError("it ends before its value does")
            size = min(len(target), len(self._block))
            target[:size] = self._block[:size]
            self._block, target = self._block[size:], target[size:]

    def end(self) -> None:
        if self._block or self._next():
            raise DamagedError("it goes on after its value")

    def _next(self) -> bool:
        (length,) = _LENGTH.unpack(self._get(_LENGTH.size))
        if length > 2 * _BLOCK:
            raise DamagedError(f"a block claims {length} bytes")
        block = self._get(length)
        if self._file.read(self._digest.digest_size) != self._digest.digest():
            raise DamagedError("a digest does not match")
        if length and self._codec == _ZSTD:
            block = self._decompressor.decompress(block)
        self._block = memoryview(block)
        return bool(self._block)

    def _get(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise DamagedError("it is cut short")
        self._digest.update(data)
        return data


class _RecordWriter:
    """The file that the pickler writes to; its out-of-band buffers go in between."""

    def __init__(self, blocks: _BlockWriter) -> None:
        self._blocks = blocks

    def write(self, data: Any) -> None:
        self._record(_PICKLE, memoryview(data))

    def write_buffer(self, buffer: pickle.PickleBuffer) -> None:
        self._record(_BUFFER, buffer.raw())

    def _record(self, kind: bytes, payload: memoryview) -> None:
        self._blocks.write(memoryview(_RECORD.pack(kind, payload.nbytes)))
        self._blocks.write(payload.cast("B"))


class _RecordReader:
    """The file that the unpickler reads from; the buffers met on the way wait until it asks for them."""

    def __init__(self, blocks: _BlockReader) -> None:
        self._blocks = blocks
        self._waiting: deque[bytearray] = deque()
        self._left = 0

    def buffers(self) -> Iterator[bytearray]:
        while True:
            yield self._waiting.popleft()

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        size = view.nbytes
        while view:
            while not self._left:
                self._next_record()
            piece = min(len(view), self._left)
            self._blocks.read_into(view[:piece])
            self._left -= piece
            view = view[piece:]
        return size

    def read(self, size: int) -> bytes:
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def readline(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            line += self.read(1)
        return bytes(line)

    def _next_record(self) -> None:
        header = bytearray(_RECORD.size)
        self._blocks.read_into(memoryview(header))
        kind, length = _RECORD.unpack(header)
        if kind == _PICKLE:
            self._left = length
            return
        buffer = bytearray(length)
        self._blocks.read_into(memoryview(buffer))
        self._waiting.append(buffer)
