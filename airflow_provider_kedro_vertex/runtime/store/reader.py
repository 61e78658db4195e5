"""Reads a value in the format of :mod:`.file_format`."""

from __future__ import annotations

import gc
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, NoReturn, Protocol

import zstandard

from airflow_provider_kedro_vertex.runtime.store import file_format, transforms
from airflow_provider_kedro_vertex.runtime.store.file_format import CorruptFileError
from airflow_provider_kedro_vertex.runtime.store.transforms import Kind, Transform

#: One block for each worker and one that waits keep the workers busy, and bound the memory.
_MAX_PENDING = file_format.WORKERS + 1


class Readable(Protocol):
    """A binary file that is read; ``read`` gives fewer bytes than asked for only at the end."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""


def read_value(file: Readable) -> Any:
    """Read the value that :func:`.writer.write_value` wrote.

    :raises CorruptFileError: the bytes are not whole or not right. Nothing of the wrong ones was unpickled.
    :raises Exception: whatever unpickling raises, for example because a class cannot be imported here.
    """
    with ThreadPoolExecutor(max_workers=file_format.WORKERS, thread_name_prefix="decompress") as pool, _no_collection():
        pickled = _PickledValue(_BlockReader(file, pool))
        unpickler = pickle.Unpickler(pickled, buffers=pickled.buffers())  # noqa: S301 - written by this run's nodes
        value = unpickler.load()
        pickled.end()
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

    def decompress_into(self, content: bytes, target: memoryview) -> None:
        """Decompress to where the bytes belong."""
        if self._zstd.stream_reader(content).readinto(target) != len(target):
            raise CorruptFileError("a block has fewer bytes than its buffers")

    def decompress(self, content: bytes) -> memoryview:
        """Decompress into memory that the thread's next call uses again."""
        size = zstandard.frame_content_size(content)
        if not 0 <= size <= file_format.MAX_TRANSFORMED_SIZE:
            raise CorruptFileError(f"a block claims to have {size} bytes, more than the format allows")
        if len(self._scratch) < size:
            self._scratch = memoryview(bytearray(size))
        self.decompress_into(content, self._scratch[:size])
        return self._scratch[:size]


class _BlockReader:
    """Reads blocks ahead of whoever wants them, and decompresses them in threads.

    Buffers that it meets on the way are in ``buffers``, by their ordinals.
    """

    def __init__(self, file: Readable, pool: ThreadPoolExecutor) -> None:
        self.buffers: dict[int, memoryview] = {}
        self._file = file
        self._pool = pool
        self._block_number = 0
        self._ended = False
        self._decompressor = _Decompressor()
        self._pending: deque[tuple[bytes, Callable[[], memoryview]]] = deque()
        self._unfilled = memoryview(b"")
        magic = self._read_exactly(len(file_format.MAGIC))
        if magic != file_format.MAGIC:
            raise CorruptFileError(
                f"it begins with {magic!r} and not with {file_format.MAGIC!r}: it is no stored dataset, or one of "
                "another version of the format"
            )
        self._file_id = self._read_exactly(file_format.FILE_ID_SIZE)

    def next_block(self) -> tuple[bytes, memoryview]:
        """Give the next block's kind and bytes."""
        self._read_ahead()
        if not self._pending:
            raise CorruptFileError("the file ends before its value does")
        kind, decode = self._pending.popleft()
        return kind, decode()

    def _read_ahead(self) -> None:
        while not self._ended and len(self._pending) < _MAX_PENDING:
            fields = self._read_exactly(file_format.HEADER.size)
            header = file_format.Header(*file_format.HEADER.unpack(fields))
            if header.buffer_count > file_format.MAX_BUFFERS:
                raise CorruptFileError(f"block {self._block_number} claims to have {header.buffer_count} buffers")
            table = self._read_exactly(file_format.BUFFER_ENTRY.size * header.buffer_count)
            expected = file_format.header_checksum(self._file_id, self._block_number, fields + table)
            if self._read_exactly(file_format.CHECKSUM_SIZE) != expected:
                # What comes before is right, and is given first.
                self._pending.append((header.kind, partial(_wrong_header, self._block_number)))
                self._ended = True
                return
            self._ended = header.kind == file_format.END
            content = self._read_exactly(header.content_size)
            target = self._target(header, list(file_format.BUFFER_ENTRY.iter_unpack(table)))
            decode = partial(_decode, self._block_number, header, content, target, self._decompressor)
            self._block_number += 1
            # What will soon be done is done when it is due.
            small = header.size < file_format.SMALL_BLOCK
            self._pending.append((header.kind, decode if small else self._pool.submit(decode).result))

    def _target(self, header: file_format.Header, entries: list[tuple[int, int]]) -> memoryview:
        """Find where a block's bytes go: into memory that its buffers share, or into a large buffer."""
        if header.kind != file_format.BUFFERS:
            return memoryview(bytearray(header.size))
        if entries:
            *offsets, end = file_format.buffer_offsets([length for _, length in entries], header.alignment)
            memory = _uninitialized(max(end, header.size))
            for (ordinal, length), offset in zip(entries, offsets, strict=True):
                self.buffers[ordinal] = memory[offset : offset + length]
            self._unfilled = memory
        target, self._unfilled = self._unfilled[: header.size], self._unfilled[header.size :]
        if len(target) < header.size:
            raise CorruptFileError(f"block {self._block_number} has more bytes than its buffers")
        return target

    def _read_exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise CorruptFileError(f"it is cut short in block {self._block_number}")
        return data


class _PickledValue:
    """The file that the unpickler reads from; buffers met on the way wait until it asks for them."""

    def __init__(self, blocks: _BlockReader) -> None:
        self._blocks = blocks
        self._pickle = memoryview(b"")

    def buffers(self) -> Iterator[memoryview]:
        """Give the buffers, in the order in which the pickle refers to them."""
        for ordinal in count():
            if ordinal not in self._blocks.buffers:
                raise CorruptFileError("a buffer is missing")
            yield self._blocks.buffers.pop(ordinal)

    def readinto(self, target: Any) -> int:
        """Give the next bytes of the pickle."""
        view = memoryview(target).cast("B")
        size = view.nbytes
        while view:
            while not self._pickle:
                self._next_piece()
            length = min(len(view), len(self._pickle))
            view[:length] = self._pickle[:length]
            self._pickle, view = self._pickle[length:], view[length:]
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
        if self._pickle or self._blocks.buffers or self._blocks.next_block()[0] != file_format.END:
            raise CorruptFileError("the file goes on after its value")

    def _next_piece(self) -> None:
        kind, data = self._blocks.next_block()
        if kind == file_format.END:
            raise CorruptFileError("the file ends before its value does")
        if kind == file_format.PICKLE:
            self._pickle = data


def _uninitialized(size: int) -> memoryview:
    """Give memory for arrays, which NumPy, unlike Python, does not fill with zeros first."""
    try:
        import numpy as np
    except ImportError:  # arrays of another package
        return memoryview(bytearray(size))
    return np.empty(size, "u1").data


def _wrong_header(block_number: int) -> NoReturn:
    raise CorruptFileError(f"the header of block {block_number} does not match its checksum")


def _decode(
    block_number: int, header: file_format.Header, content: bytes, target: memoryview, decompressor: _Decompressor
) -> memoryview:
    """Check a block's content, and bring its bytes to where they belong."""
    if file_format.checksum(content) != header.content_checksum:
        raise CorruptFileError(f"the content of block {block_number} does not match its checksum")
    if header.codec == file_format.UNCOMPRESSED:
        target[:] = content
    elif header.transform == Kind.PLAIN:
        decompressor.decompress_into(content, target)
    else:
        transform = Transform(Kind(header.transform), header.parameter)
        transforms.invert(transform, decompressor.decompress(content), target)
    return target
