"""Write a value in the format of :mod:`.format`."""

from __future__ import annotations

import hashlib
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

from airflow_provider_kedro_vertex.runtime.store import format as blocks
from airflow_provider_kedro_vertex.runtime.store import selection as choosing
from airflow_provider_kedro_vertex.runtime.store import transforms as filters
from airflow_provider_kedro_vertex.runtime.store.reducers import reducers

#: At this level zstd by itself sees only what repeats in seven bytes: too few of the numbers of models.
_MATCH = 5
#: A buffer of less is kept in the pickle: to write it on its own would cost more.
_TINY = 128
#: A buffer of this size shares no block with others, which may be unlike it.
_LARGE = 64 << 10
#: Rows of one byte may be parts of any items: those of Arrow, for example, which want this.
_ALIGNMENT = 16
#: So many blocks of a stream are stored in the forms that suit the first of them; records are more alike.
_ALIKE, _ALIKE_RECORDS = 8, 64
#: One processor is for the thread that pickles.
_WORKERS = max(1, blocks.WORKERS - 1)
#: One block for each worker and two that wait keep the workers busy, and bound the memory.
_AHEAD = _WORKERS + 2


class Writable(Protocol):
    """A binary file that is written."""

    def write(self, data: bytes, /) -> Any:
        """Take all of the bytes."""


def dump(value: Any, file: Writable, level: int | None = blocks.LEVEL) -> None:
    """Write a value.

    :param level: zstd's compression level; None writes the bytes as they are.
    :raises Exception: whatever pickling the value raises; the file then ends in the middle.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="compress") as pool:
        writer = _Writer(file, None if level is None else _Compressor(level), pool)
        _Pickler(writer).dump(value)
        writer.end()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc, unused-ignore]
    """Writes into a file's blocks."""

    def __init__(self, writer: _Writer) -> None:
        # Before the pickler begins, which looks at it once.
        self.dispatch_table = ChainMap(reducers(), cloudpickle.Pickler.dispatch_table)
        super().__init__(writer, protocol=5, buffer_callback=writer.write_buffer)


class _Compressor(threading.local):
    """zstd's state, which threads must not share; making it anew for each block would cost as much as the block."""

    def __init__(self, level: int) -> None:
        finer = {"min_match": _MATCH} if level == blocks.LEVEL else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(level, source_size=blocks.SIZE, **finer)
        self.compress: Callable[[Any], bytes] = zstandard.ZstdCompressor(compression_params=parameters).compress

    def size(self, sample: Any) -> int:
        """Tell how small bytes become."""
        return len(self.compress(sample))


@dataclass(frozen=True)
class _Block:
    """A block before it is compressed.

    :param size: how many bytes it holds.
    :param arranged: gives their form, its parameter and the bytes in this form.
    :param buffers: the ordinals and lengths of the buffers that begin in the block.
    """

    kind: bytes
    size: int
    arranged: Callable[[], tuple[int, int, Any]]
    alignment: int = 1
    buffers: Sequence[tuple[int, int]] = ()


def _plain(kind: bytes, data: Any) -> _Block:
    return _Block(kind, len(data), lambda: (filters.PLAIN, 0, data))


class _Writer:
    """The file that the pickler writes to: cuts its stream and the arrays' memory into blocks."""

    def __init__(self, file: Writable, compressor: _Compressor | None, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._id = os.urandom(blocks.ID)
        self._compressor = compressor
        self._number = 0
        self._making: deque[Future[tuple[Any, ...]]] = deque()
        self._pickle: list[Any] = []
        self._room = blocks.SIZE
        self._streams: dict[tuple[str, int, int], _Stream] = {}
        self._buffer_count = 0
        file.write(blocks.MAGIC + self._id)

    def write(self, data: Any) -> None:
        """Take a piece of the pickle."""
        view = memoryview(data).cast("B")
        while view:
            piece = view[: self._room]
            self._pickle.append(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
            if self._room == 0:
                self._flush()

    def write_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Take the memory of an array.

        :return: whether the pickler shall keep it in its stream instead.
        """
        view = buffer.raw()
        if len(view) < _TINY:
            return True
        array = memoryview(buffer)
        side_by_side = array.shape[1 if array.c_contiguous else 0] if array.ndim == 2 and array.shape else 1
        stream = self._stream(array, side_by_side)
        ordinal = self._buffer_count
        self._buffer_count += 1
        if len(view) >= _LARGE:
            run = side_by_side * array.itemsize
            for block in stream.large(ordinal, view, run if run >= _LARGE else len(view)):
                self._add(block)
        else:
            if not stream.has_room(len(view)):
                self._add(stream.shared())
            stream.take(ordinal, view)
        return False

    def end(self) -> None:
        """Write what is left, and the end."""
        self._flush()
        self._add(_plain(blocks.END, b""))
        while self._making:
            self._write_oldest()

    def _stream(self, array: memoryview, side_by_side: int) -> _Stream:
        """What the array shares blocks with."""
        kind = (array.format, array.itemsize, side_by_side)
        if kind not in self._streams:
            layout = filters.layout(array, side_by_side)
            alike = [] if layout.records else [other for other in self._streams.values() if other.layout == layout]
            self._streams[kind] = alike[0] if alike else _Stream(layout, self._compressor)
        return self._streams[kind]

    def _flush(self) -> None:
        for stream in dict.fromkeys(self._streams.values()):  # a buffer comes before the piece that refers to it
            if stream.buffers:
                self._add(stream.shared())
        if self._pickle:
            block = _plain(blocks.PICKLE, _joined(self._pickle))
            self._pickle, self._room = [], blocks.SIZE
            self._add(block)

    def _add(self, block: _Block) -> None:
        # What would soon be done, and what would wait long, is done here.
        work = partial(_made, block, self._compressor, self._id, self._number)
        self._number += 1
        if block.size < blocks.SMALL or sum(not made.done() for made in self._making) > _WORKERS:
            made: Future[tuple[Any, ...]] = Future()
            made.set_result(work())
        else:
            made = self._pool.submit(work)
        self._making.append(made)
        while len(self._making) > _AHEAD or (self._making and self._making[0].done()):
            self._write_oldest()

    def _write_oldest(self) -> None:
        for part in self._making.popleft().result():
            self._file.write(part)


class _Stream:
    """Arrays whose items are alike, and the forms that suit them."""

    def __init__(self, layout: filters.Layout, compressor: _Compressor | None) -> None:
        self.layout = layout
        self.buffers: list[tuple[int, int]] = []
        self._compressor = compressor
        self._alignment = _ALIGNMENT if layout.row == 1 else 1
        self._pieces: list[Any] = []
        self._room = blocks.SIZE
        self._choice = filters.Choice()
        self._alike = 0

    def has_room(self, size: int) -> bool:
        """Whether a small buffer fits into the block that the next ones share."""
        return size <= self._room and len(self.buffers) < blocks.COUNT

    def take(self, ordinal: int, view: memoryview) -> None:
        """Put a small buffer there."""
        self.buffers.append((ordinal, len(view)))
        self._pieces.append(view)
        self._room -= len(view)
        gap = -len(view) % self._alignment
        if gap:
            self._pieces.append(bytes(gap))
            self._room -= gap

    def shared(self) -> _Block:
        """Make a block of the small buffers."""
        block = self._block(_joined(self._pieces), self.buffers)
        self.buffers, self._pieces, self._room = [], [], blocks.SIZE
        return block

    def large(self, ordinal: int, view: memoryview, run: int) -> Iterator[_Block]:
        """Make blocks of a large buffer.

        :param run: so many bytes may be unlike those that follow, as a table's columns are.
        """
        buffers: Sequence[tuple[int, int]] = ((ordinal, len(view)),)
        length = blocks.SIZE // self.layout.row * self.layout.row
        for begin in range(0, len(view), run):
            if not self.layout.records:
                self._alike = 0
            end = min(begin + run, len(view))
            for place in range(begin, end, length):
                yield self._block(view[place : min(place + length, end)], buffers)
                buffers = ()

    def _block(self, data: Any, buffers: Sequence[tuple[int, int]]) -> _Block:
        if self._alike:
            self._alike -= 1
        elif self._compressor is not None:
            self._choice = choosing.chosen(data, self.layout, self._compressor.size)
            if len(data) > blocks.SIZE // 2:  # others would be chosen for less
                self._alike = _ALIKE_RECORDS if self.layout.records else _ALIKE
        arranged = partial(filters.done, data, self.layout, self._choice)
        if len(self.layout.widths) > 1:  # many short steps, for which threads would wait on each other
            ready = arranged()
            return _Block(blocks.BUFFERS, len(data), lambda: ready, self._alignment, buffers)
        return _Block(blocks.BUFFERS, len(data), arranged, self._alignment, buffers)


def _joined(pieces: list[Any]) -> Any:
    return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))


def _made(block: _Block, compressor: _Compressor | None, file_id: bytes, number: int) -> tuple[Any, ...]:
    form, parameter, content = block.arranged()
    codec = blocks.AS_IT_IS
    if compressor is not None:
        content, codec = compressor.compress(content), blocks.ZSTD
    header = blocks.Header(
        block.kind,
        codec,
        form,
        parameter,
        block.alignment,
        len(block.buffers),
        block.size,
        len(content),
        hashlib.sha256(content).digest(),
    )
    head = blocks.HEADER.pack(*header) + b"".join(blocks.BUFFER.pack(*buffer) for buffer in block.buffers)
    return head, blocks.seal(file_id, number, head), content
