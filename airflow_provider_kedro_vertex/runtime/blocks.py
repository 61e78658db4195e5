"""The file format of stored datasets: a pickled value in compressed blocks, each with its digests.

::

    file   = magic  id (16 random bytes)  block*  end
    block  = head  seal  content
    head   = kind  codec  form  parameter  stream  begun  size of the bytes  size of the content  digest of the content
             (ordinal, length) * begun
    end    = a block of kind "e" without content

All integers are little-endian, all digests SHA-256. A seal is the digest of the file's id, the block's place in the
file, and the head. It is checked before anything in the head is used, and the digest of the content before the content
is. So a file that is cut short, damaged, out of order or put together from two is refused: its bytes never reach the
unpickler.

A block of kind "p" holds a piece of the pickle (protocol 5), one of kind "b" the memory of arrays, the pickle's
out-of-band buffers: the ordinals and lengths of the buffers that begin in it, and their bytes, in one of the forms of
:mod:`.filters`. Buffers whose items are alike share blocks, which follow each other in a stream of their own. A
buffer comes before the piece of the pickle that refers to it. So a value is never held a second time in its pickled
form, neither when it is written nor when it is read, and an array is read into the memory that it then keeps. What is
held besides the value are a few blocks of 1 MiB. Blocks are made and read on all processors.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, Protocol

import cloudpickle
import zstandard

from airflow_provider_kedro_vertex.runtime import filters

#: The last byte is the version of the format.
MAGIC = b"kvds\x03"
#: Higher ones make tables and models a few percent smaller and take up to twice the time: bench_store.py.
LEVEL = 1

_BLOCK = 1 << 20
#: A buffer of this size shares no block with others, which may be unlike it.
_LARGE = 64 << 10
#: The most buffers that begin in one block.
_COUNT = 1 << 16
#: So many blocks of alike items are stored in the forms that suit the first of them.
_ALIKE = 8
#: Pickling gives bytes no faster than a few cores compress them.
_WORKERS = min(4, os.cpu_count() or 1)
#: One block for each worker and one that waits keep the workers busy, and bound the memory.
_AHEAD = _WORKERS + 1
_ID = 16
_HEADER = struct.Struct(f"<ccBIIIII{hashlib.sha256().digest_size}s")
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
    stream: int
    begun: int
    size: int
    stored: int
    digest: bytes


class _Choice:
    """The forms of alike blocks: whichever thread needs them first chooses, the others wait for it."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        self.widths = widths
        self._forms: tuple[filters.Form, ...] = ()
        self._lock = threading.Lock()

    def forms(self, data: Any, size: Callable[[Any], int]) -> tuple[filters.Form, ...]:
        """Give the forms, which suit these bytes if none are chosen yet.

        :param size: how small bytes become.
        """
        with self._lock:
            if not self._forms:  # none are chosen for next to nothing
                self._forms = filters.chosen(data, self.widths, size)
            return self._forms


@dataclass(frozen=True)
class _Block:
    """A block before it is compressed: pieces of memory that follow each other, and what is known of them.

    :param stream: which blocks this one goes on with.
    :param choice: the forms of an array's block.
    :param buffers: the ordinals and lengths of the buffers that begin in the block.
    """

    kind: bytes
    pieces: tuple[Any, ...] = ()
    stream: int = 0
    choice: _Choice | None = None
    buffers: tuple[tuple[int, int], ...] = ()


class _Compressor(threading.local):
    """zstd's state, which threads must not share; making it anew for each block would cost as much as the block."""

    def __init__(self, level: int) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level)

    def compress(self, data: Any) -> bytes:
        """Compress in steps, since at once takes memory for what the bytes might at worst become."""
        steps = self._zstd.compressobj(size=len(data))
        return steps.compress(data) + steps.flush()


class _Decompressor(threading.local):
    """The same for the other direction."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()
        self.decompress: Callable[[Any], bytes] = self._zstd.decompress

    def into(self, content: bytes, target: memoryview) -> None:
        """Decompress to where the bytes belong."""
        if self._zstd.stream_reader(content).readinto(target) != len(target):
            raise DamagedError("a block has fewer bytes than its buffers")


class _Writer:
    """The file that the pickler writes to: cuts its stream and the arrays' memory into blocks, compressed in threads.

    The arrays' memory is not copied before it is compressed.
    """

    def __init__(self, file: Writable, level: int | None, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._id = os.urandom(_ID)
        self._compressor = None if level is None else _Compressor(level)
        self._number = 0
        self._making: deque[Future[tuple[Any, ...]]] = deque()
        self._pickle = _Pending(_PICKLE)
        self._pending: dict[tuple[int, ...], _Pending] = {}
        self._streams: dict[tuple[str, int, int], _Pending] = {}
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
        array, view = memoryview(buffer), buffer.raw()
        side_by_side = array.shape[1 if array.c_contiguous else 0] if array.ndim == 2 and array.shape else 1
        pending = self._stream(array, side_by_side)
        run = side_by_side * array.itemsize
        large = view.nbytes >= _LARGE
        if large:
            self._flush(pending)
        pending.buffers.append((self._buffer_count, view.nbytes))
        self._buffer_count += 1
        if large:
            length = run if run >= _LARGE else view.nbytes
            for begin in range(0, view.nbytes, length):  # a table's columns may be unlike each other, too
                pending.choose_anew()
                self._write_memory(view[begin : begin + length], pending)
                self._flush(pending)
        else:
            self._write_memory(view, pending)
            if len(pending.buffers) == _COUNT:
                self._flush(pending)

    def _stream(self, array: memoryview, side_by_side: int) -> _Pending:
        """What the array shares blocks with."""
        kind = (array.format, array.itemsize, side_by_side)
        if kind not in self._streams:
            widths = filters.layout(array, side_by_side)
            of_widths = self._pending.setdefault(widths, _Pending(_BUFFERS, len(self._pending), widths))
            self._streams[kind] = of_widths
        return self._streams[kind]

    def _write_memory(self, view: memoryview, pending: _Pending) -> None:
        while view:
            view = pending.take(view)
            if pending.room == 0:
                self._flush(pending)

    def end(self) -> None:
        """Write what is left, and the end."""
        self._flush_pickle()
        self._add(_Block(_END))
        while self._making:
            self._write_oldest()

    def _flush_pickle(self) -> None:
        for pending in self._pending.values():  # a buffer comes before the piece that refers to it
            self._flush(pending)
        self._flush(self._pickle)

    def _flush(self, pending: _Pending) -> None:
        if pending.pieces or pending.buffers:
            self._add(pending.block())

    def _add(self, block: _Block) -> None:
        seal = hashlib.sha256(self._id + _NUMBER.pack(self._number))
        self._number += 1
        self._making.append(self._pool.submit(_made, block, self._compressor, seal))
        if len(self._making) > _AHEAD:
            self._write_oldest()

    def _write_oldest(self) -> None:
        for part in self._making.popleft().result():
            self._file.write(part)


class _Pending:
    """What the next block of a stream will hold."""

    def __init__(self, kind: bytes, stream: int = 0, widths: tuple[int, ...] = (1,)) -> None:
        self._kind = kind
        self._stream = stream
        self._widths = widths
        self.choose_anew()
        self._begin()

    def choose_anew(self) -> None:
        """Find forms for what comes, since it may be unlike what came."""
        self._choice, self._alike = _Choice(self._widths), _ALIKE

    def _begin(self) -> None:
        row = sum(self._widths)
        self.pieces: list[Any] = []
        self.buffers: list[tuple[int, int]] = []
        self.room = _BLOCK // row * row

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
        choice = self._choice if self._kind == _BUFFERS else None
        block = _Block(self._kind, tuple(self.pieces), self._stream, choice, tuple(self.buffers))
        self._alike -= 1
        if not self._alike:
            self.choose_anew()
        self._begin()
        return block


def _made(block: _Block, compressor: _Compressor | None, seal: Any) -> tuple[Any, ...]:
    form, parameter, size, content = _arranged(block, compressor)
    codec = _AS_IT_IS
    if compressor is not None:
        content, codec = compressor.compress(content), _ZSTD
    digest = hashlib.sha256(content).digest()
    counts = len(block.buffers), size, len(content)
    header = _Header(block.kind, codec, form, parameter, block.stream, *counts, digest)
    head = _HEADER.pack(*header) + b"".join(_BUFFER.pack(*buffer) for buffer in block.buffers)
    seal.update(head)
    return head, seal.digest(), content


def _arranged(block: _Block, compressor: _Compressor | None) -> tuple[int, int, int, Any]:
    data = block.pieces[0] if len(block.pieces) == 1 else memoryview(b"".join(block.pieces))
    if compressor is None or block.choice is None:
        return filters.PLAIN, 0, len(data), data
    forms = block.choice.forms(data, lambda sample: len(compressor.compress(sample)))
    form, parameter, content = filters.done(data, block.choice.widths, forms)
    return form, parameter, len(data), content


class _Reader:
    """The file that the unpickler reads from; buffers met on the way wait until it asks for them."""

    def __init__(self, file: Readable, pool: ThreadPoolExecutor) -> None:
        self._file = file
        self._pool = pool
        self._number = 0
        self._ended = False
        self._decompressor = _Decompressor()
        self._reading: deque[tuple[_Header, Future[Any]]] = deque()
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
        if [header.kind for header, _ in self._reading] != [_END]:
            raise DamagedError("it goes on after its value")
        self._reading.popleft()[1].result()

    def _next(self) -> None:
        self._read_ahead()
        header, reading = self._reading.popleft()
        data = reading.result()
        if header.kind == _END:
            raise DamagedError("it ends before its value does")
        if header.kind == _PICKLE:
            self._pickle = data

    def _read_ahead(self) -> None:
        while not self._ended and len(self._reading) < _AHEAD:
            head = self._get(_HEADER.size)
            header = _Header(*_HEADER.unpack(head))
            if header.begun > _COUNT:
                raise DamagedError(f"a block claims {header.begun} buffers")
            table = self._get(_BUFFER.size * header.begun)
            seal = hashlib.sha256(self._id + _NUMBER.pack(self._number) + head + table)
            if self._get(_DIGEST) != seal.digest():
                self._reading.append((header, self._pool.submit(_refuse)))
                self._ended = True
                return
            self._number += 1
            self._ended = header.kind == _END
            content = self._get(header.stored)
            targets = self._targets(header, table)
            self._reading.append((header, self._pool.submit(_read, header, content, targets, self._decompressor)))

    def _targets(self, header: _Header, table: bytes) -> list[memoryview]:
        """Where a block's bytes go: a piece of the pickle into memory of its own, the rest into the buffers."""
        if header.kind != _BUFFERS:
            return [memoryview(bytearray(header.size))]
        filling = self._filling[header.stream]
        for ordinal, length in _BUFFER.iter_unpack(table):
            self._waiting[ordinal] = bytearray(length)
            filling.append(memoryview(self._waiting[ordinal]))
        targets, left = [], header.size
        while left:
            if not filling:
                raise DamagedError("a block has more bytes than its buffers")
            target = filling.popleft()
            targets.append(target[:left])
            left -= len(targets[-1])
            if len(targets[-1]) < len(target):
                filling.appendleft(target[len(targets[-1]) :])
        return targets

    def _get(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise DamagedError("it is cut short")
        return data


def _refuse() -> memoryview:
    raise DamagedError("a seal does not match")


def _read(header: _Header, content: bytes, targets: list[memoryview], decompressor: _Decompressor) -> memoryview:
    if hashlib.sha256(content).digest() != header.digest:
        raise DamagedError("a digest does not match")
    whole = targets[0] if len(targets) == 1 else memoryview(bytearray(header.size))
    if header.codec == _AS_IT_IS:
        whole[:] = content
    elif header.form == filters.PLAIN:
        decompressor.into(content, whole)
    else:
        data = memoryview(decompressor.decompress(content))
        filters.undone(header.form, header.parameter, data, whole)
    if len(targets) != 1:
        place = 0
        for target in targets:
            target[:] = whole[place : place + len(target)]
            place += len(target)
    return whole
