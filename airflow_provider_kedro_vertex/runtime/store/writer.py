"""Writes a value in the format of :mod:`.file_format`."""

from __future__ import annotations

import os
import pickle
import threading
from collections import ChainMap, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import cloudpickle
import zstandard

from airflow_provider_kedro_vertex.runtime.store import file_format, selection, transforms
from airflow_provider_kedro_vertex.runtime.store.lazy_values import refusals
from airflow_provider_kedro_vertex.runtime.store.reducers import reducers
from airflow_provider_kedro_vertex.runtime.store.transforms import Kind, Transform

#: At the default level zstd by itself sees only what repeats in seven bytes: too few of the numbers of models.
_MIN_MATCH = 5
#: A buffer of less is kept in the pickle: to write it on its own would cost more.
_MIN_BUFFER_SIZE = 128
#: A buffer of this size shares no block with others, which may be unlike it.
_LARGE_BUFFER_SIZE = 64 << 10
#: Rows of one byte may be parts of any items: those of Arrow, for example, which want this.
_BYTES_ALIGNMENT = 16
#: So many blocks get the transforms that suit the first of them; records are more alike.
_BLOCKS_PER_CHOICE, _BLOCKS_PER_RECORD_CHOICE = 8, 64
#: One processor is for the thread that pickles.
_WORKERS = max(1, file_format.WORKERS - 1)
#: One block for each worker and two that wait keep the workers busy, and bound the memory.
_MAX_PENDING = _WORKERS + 2


class Writable(Protocol):
    """A binary file that is written."""

    def write(self, data: bytes, /) -> Any:
        """Take all of the bytes."""


def write_value(value: Any, file: Writable, level: int | None) -> None:
    """Write a value.

    :param level: zstd's compression level; None writes the bytes as they are.
    :raises LazyValueError: the value, or one inside of it, would be written without its data.
    :raises Exception: whatever pickling the value raises; the file then ends in the middle.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="compress") as pool:
        blocks = _BlockWriter(file, None if level is None else _Compressor(level), pool)
        pickled = _PickledValue(blocks)
        _Pickler(pickled).dump(value)
        pickled.flush()
        blocks.end()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc, unused-ignore]
    """Pickles into a file's blocks."""

    def __init__(self, pickled: _PickledValue) -> None:
        # Before the pickler begins, which looks at it once.
        self.dispatch_table = ChainMap(refusals(), reducers(), cloudpickle.Pickler.dispatch_table)
        super().__init__(pickled, protocol=5, buffer_callback=pickled.write_buffer)


class _Compressor(threading.local):
    """zstd's state, which threads must not share; making it anew for each block would cost as much as the block."""

    def __init__(self, level: int) -> None:
        finer = {"min_match": _MIN_MATCH} if level == file_format.DEFAULT_LEVEL else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=file_format.BLOCK_SIZE, **finer)
        self.compress: Callable[[Any], bytes] = zstandard.ZstdCompressor(compression_params=parameters).compress

    def compressed_size(self, sample: Any) -> int:
        """Tell how small bytes become."""
        return len(self.compress(sample))


@dataclass(frozen=True)
class _Block:
    """A block before it is compressed.

    :param size: how many bytes it holds.
    :param transformed: gives their transform, and the transformed bytes.
    :param buffers: the ordinals and lengths of the buffers that begin in the block.
    """

    kind: bytes
    size: int
    transformed: Callable[[], tuple[Transform, Any]]
    alignment: int = 1
    buffers: Sequence[tuple[int, int]] = ()


def _plain(kind: bytes, data: Any) -> _Block:
    return _Block(kind, len(data), lambda: (Transform(Kind.PLAIN), data))


class _BlockWriter:
    """Compresses blocks in threads, and writes them in their order."""

    def __init__(self, file: Writable, compressor: _Compressor | None, pool: ThreadPoolExecutor) -> None:
        self.compressor = compressor
        self._file = file
        self._pool = pool
        self._file_id = os.urandom(file_format.FILE_ID_SIZE)
        self._block_number = 0
        self._pending: deque[Future[tuple[Any, ...]]] = deque()
        file.write(file_format.MAGIC + self._file_id)

    def add(self, block: _Block) -> None:
        """Take the next block; it is written once those before it are."""
        encode = partial(_encode, block, self.compressor, self._file_id, self._block_number)
        self._block_number += 1
        # What would soon be done, and what would wait long, is done here.
        if block.size < file_format.SMALL_BLOCK or sum(not encoded.done() for encoded in self._pending) > _WORKERS:
            encoded: Future[tuple[Any, ...]] = Future()
            encoded.set_result(encode())
        else:
            encoded = self._pool.submit(encode)
        self._pending.append(encoded)
        while len(self._pending) > _MAX_PENDING or (self._pending and self._pending[0].done()):
            self._write_oldest()

    def end(self) -> None:
        """Write what is left, and the end."""
        self.add(_plain(file_format.END, b""))
        while self._pending:
            self._write_oldest()

    def _write_oldest(self) -> None:
        for part in self._pending.popleft().result():
            self._file.write(part)


class _PickledValue:
    """The file that the pickler writes to: cuts its stream and the arrays' memory into blocks."""

    def __init__(self, blocks: _BlockWriter) -> None:
        self._blocks = blocks
        self._pickle: list[Any] = []
        self._room = file_format.BLOCK_SIZE
        self._arrays: dict[tuple[str, int, int], _ArrayBlocks] = {}
        self._buffer_count = 0

    def write(self, data: Any) -> None:
        """Take a piece of the pickle."""
        view = memoryview(data).cast("B")
        while view:
            piece = view[: self._room]
            self._pickle.append(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
            if self._room == 0:
                self.flush()

    def write_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Take the memory of an array.

        :return: whether the pickler shall keep it in its stream instead.
        """
        view = buffer.raw()
        if len(view) < _MIN_BUFFER_SIZE:
            return True
        array = memoryview(buffer)
        row_items = array.shape[1 if array.c_contiguous else 0] if array.ndim == 2 and array.shape else 1
        arrays = self._arrays_like(array, row_items)
        ordinal = self._buffer_count
        self._buffer_count += 1
        if len(view) >= _LARGE_BUFFER_SIZE:
            column_size = row_items * array.itemsize
            for block in arrays.large(ordinal, view, column_size if column_size >= _LARGE_BUFFER_SIZE else len(view)):
                self._blocks.add(block)
        else:
            if not arrays.has_room(len(view)):
                self._blocks.add(arrays.shared())
            arrays.add_small(ordinal, view)
        return False

    def flush(self) -> None:
        """Make blocks of what was taken so far: the buffers first, then the piece of the pickle that refers to them."""
        for arrays in dict.fromkeys(self._arrays.values()):
            if arrays.small_buffers:
                self._blocks.add(arrays.shared())
        if self._pickle:
            block = _plain(file_format.PICKLE, _join(self._pickle))
            self._pickle, self._room = [], file_format.BLOCK_SIZE
            self._blocks.add(block)

    def _arrays_like(self, array: memoryview, row_items: int) -> _ArrayBlocks:
        """Find the arrays with which one shares blocks and transforms."""
        key = (array.format, array.itemsize, row_items)
        if key not in self._arrays:
            layout = transforms.layout_of(array, row_items)
            same = [] if layout.is_record else [other for other in self._arrays.values() if other.layout == layout]
            self._arrays[key] = same[0] if same else _ArrayBlocks(layout, self._blocks.compressor)
        return self._arrays[key]


class _ArrayBlocks:
    """Makes blocks of arrays whose items are alike, with the transforms that suit them."""

    def __init__(self, layout: transforms.Layout, compressor: _Compressor | None) -> None:
        self.layout = layout
        self.small_buffers: list[tuple[int, int]] = []
        self._compressor = compressor
        self._alignment = _BYTES_ALIGNMENT if layout.row_size == 1 else 1
        self._pieces: list[Any] = []
        self._room = file_format.BLOCK_SIZE
        self._choice = transforms.Choice()
        self._blocks_until_next_choice = 0

    def has_room(self, size: int) -> bool:
        """Tell whether a small buffer fits into the block that the next ones share."""
        return size <= self._room and len(self.small_buffers) < file_format.MAX_BUFFERS

    def add_small(self, ordinal: int, view: memoryview) -> None:
        """Put a small buffer there."""
        self.small_buffers.append((ordinal, len(view)))
        self._pieces.append(view)
        self._room -= len(view)
        gap = -len(view) % self._alignment
        if gap:
            self._pieces.append(bytes(gap))
            self._room -= gap

    def shared(self) -> _Block:
        """Make a block of the small buffers."""
        block = self._block(_join(self._pieces), self.small_buffers)
        self.small_buffers, self._pieces, self._room = [], [], file_format.BLOCK_SIZE
        return block

    def large(self, ordinal: int, view: memoryview, column_size: int) -> Iterator[_Block]:
        """Make blocks of a large buffer.

        :param column_size: so many bytes may be unlike those that follow, as a table's columns are.
        """
        buffers: Sequence[tuple[int, int]] = ((ordinal, len(view)),)
        length = file_format.BLOCK_SIZE // self.layout.row_size * self.layout.row_size
        for begin in range(0, len(view), column_size):
            if not self.layout.is_record:
                self._blocks_until_next_choice = 0
            end = min(begin + column_size, len(view))
            for place in range(begin, end, length):
                yield self._block(view[place : min(place + length, end)], buffers)
                buffers = ()

    def _block(self, data: Any, buffers: Sequence[tuple[int, int]]) -> _Block:
        if self._blocks_until_next_choice:
            self._blocks_until_next_choice -= 1
        elif self._compressor is not None:
            self._choice = selection.choose(data, self.layout, self._compressor.compressed_size)
            if len(data) > file_format.BLOCK_SIZE // 2:  # others would get transforms that were chosen for less
                self._blocks_until_next_choice = (
                    _BLOCKS_PER_RECORD_CHOICE if self.layout.is_record else _BLOCKS_PER_CHOICE
                )
        transformed = partial(transforms.apply, data, self.layout, self._choice)
        if len(self.layout.widths) > 1:  # many short steps, for which threads would wait on each other
            ready = transformed()
            return _Block(file_format.BUFFERS, len(data), lambda: ready, self._alignment, buffers)
        return _Block(file_format.BUFFERS, len(data), transformed, self._alignment, buffers)


def _join(pieces: list[Any]) -> Any:
    return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))


def _encode(block: _Block, compressor: _Compressor | None, file_id: bytes, block_number: int) -> tuple[Any, ...]:
    """Transform and compress a block.

    :return: its bytes, in pieces.
    """
    transform, content = block.transformed()
    codec = file_format.UNCOMPRESSED
    if compressor is not None:
        content, codec = compressor.compress(content), file_format.ZSTD
    fields = file_format.Header(
        kind=block.kind,
        codec=codec,
        transform=transform.kind,
        parameter=transform.parameter,
        alignment=block.alignment,
        buffer_count=len(block.buffers),
        size=block.size,
        content_size=len(content),
        content_checksum=file_format.checksum(content),
    )
    table = b"".join(file_format.BUFFER_ENTRY.pack(*entry) for entry in block.buffers)
    header = file_format.HEADER.pack(*fields) + table
    return header, file_format.header_checksum(file_id, block_number, header), content
