"""Reversible transforms of numbers, after which zstd finds what they have in common.

Numbers as they lie in an array hide it: the high bytes of neighbours are alike, but eight bytes apart. So an array is
stored in one of these transforms (:mod:`.selection` finds which):

=============  ===============================================================================
``PLAIN``      as it is
``SHUFFLE``    the first bytes of all items, then their second bytes, and so on
``DELTA``      the differences between integers that follow each other, shuffled
``DECIMAL``    doubles that are decimals of few digits, as integers, shuffled; and the doubles that are not
=============  ===============================================================================

Rows, of a table or of records, are shuffled whole, or stored as ``COLUMNS``, each with a transform of its own. Before
that they are ``PARTITIONED`` where rows of two kinds take turns, as the leaves of a tree and its branches do.

NumPy is needed for everything but ``PLAIN``; what is stored otherwise is the memory of arrays, which need it too.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Iterator
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import Any, NamedTuple


class Kind(IntEnum):
    """The transforms, by their numbers in the file. The parameter of each is an integer.

    - ``SHUFFLE``: the bytes of an item.
    - ``DELTA``: the bytes of an integer.
    - ``DECIMAL``: the number of decimal digits.
    - ``COLUMNS``: the number of columns.
    - ``PARTITIONED``: the bytes of a row.
    """

    PLAIN = 0
    SHUFFLE = 1
    DELTA = 2
    DECIMAL = 3
    COLUMNS = 4
    PARTITIONED = 5


#: The bytes that numbers have.
NUMBER_WIDTHS = (2, 4, 8)
#: Rows longer than this have too many columns to look at one by one.
_MAX_ROW_SIZE = 256
#: Items longer than this are seen as bytes.
_MAX_ITEM_SIZE = 64 << 10
#: So many rows are shuffled at a time: they stay in the processor's cache.
_ROWS_IN_CACHE = 512

#: The least integer, how many doubles are no decimals, and the bytes of each integer, less the least.
_DECIMAL_HEADER = struct.Struct("<qIB")
#: The bytes of a column's item, its transform, its parameter, and how many bytes the transformed column takes.
_COLUMN_ENTRY = struct.Struct("<IBII")
#: The transform of partitioned rows, and its parameter.
_PARTITION_HEADER = struct.Struct("<BI")

_thread_state = threading.local()


class Layout(NamedTuple):
    """The rows and columns that an array's bytes make.

    :param widths: the bytes of each of a row's columns.
    :param is_record: whether they are fields of records.
    """

    widths: tuple[int, ...]
    is_record: bool = False

    @property
    def row_size(self) -> int:
        """The bytes of a row."""
        return sum(self.widths)


class Transform(NamedTuple):
    """A transform of a column, or of all bytes.

    :param parameter: see :class:`Kind`.
    """

    kind: Kind
    parameter: int = 0


class Choice(NamedTuple):
    """The transforms of rows.

    :param transforms: one for each column, or a single one for all bytes; none if they stay as they are.
    :param partition: the offset of a byte in a row, and a value: the rows in which it has that value come first.
    """

    transforms: tuple[Transform, ...] = ()
    partition: tuple[int, int] | None = None


def layout_of(array: memoryview, row_items: int) -> Layout:
    """Find the rows and columns in an array's bytes: the fields of a record, the items of a short row, or each item.

    :param row_items: how many items make a row.
    """
    is_record = array.format[:1] == "T" and "numpy" in sys.modules
    fields = _field_widths(array) if is_record else (array.itemsize,)
    if 0 < array.itemsize * row_items <= _MAX_ROW_SIZE:
        return Layout(fields * row_items, is_record)
    return Layout((array.itemsize,)) if 0 < array.itemsize <= _MAX_ITEM_SIZE else Layout((1,))


def _field_widths(array: memoryview) -> tuple[int, ...]:
    import numpy as np

    dtype = np.asarray(array).dtype
    edges = {0, dtype.itemsize}
    for field, offset, *_ in (dtype.fields or {}).values():
        edges |= {offset, offset + field.itemsize}
    ordered = sorted(edges)
    return tuple(end - begin for begin, end in pairwise(ordered))


def apply(data: Any, layout: Layout, choice: Choice) -> tuple[Transform, Any]:
    """Transform bytes.

    :param choice: the transforms, as chosen for these bytes or for others like them.
    :return: the transform to give to :func:`invert`, and the transformed bytes.
    """
    if not choice.transforms or not len(data):
        return Transform(Kind.PLAIN), data
    if choice.partition is None:
        return _apply_to_columns(data, layout, choice.transforms)
    mask, rows = partition(data, layout.row_size, choice.partition)
    transform, content = _apply_to_columns(rows, layout, choice.transforms)
    header = _PARTITION_HEADER.pack(*transform)
    return Transform(Kind.PARTITIONED, layout.row_size), b"".join((header, mask, content))


def _apply_to_columns(data: Any, layout: Layout, transforms: tuple[Transform, ...]) -> tuple[Transform, Any]:
    if len(transforms) == 1:
        return apply_one(transforms[0], data)
    table, contents = [], []
    for width, column, wanted in zip(layout.widths, columns(data, layout.widths), transforms, strict=True):
        transform, content = apply_one(wanted, memoryview(column.view("u1")))
        table.append(_COLUMN_ENTRY.pack(width, *transform, len(content)))
        contents.append(content)
    return Transform(Kind.COLUMNS, len(transforms)), b"".join(table + contents)


def invert(transform: Transform, data: Any, target: memoryview) -> None:
    """Bring transformed bytes back.

    :param target: where to put them; as long as they were.
    """
    kind, parameter = transform
    if kind == Kind.PLAIN:
        target[:] = data
        return
    import numpy as np

    if kind == Kind.PARTITIONED:
        _invert_partition(np, data, parameter, target)
    elif kind == Kind.COLUMNS:
        _invert_columns(np, data, parameter, target)
    elif kind == Kind.DECIMAL:
        _invert_decimal(np, data, parameter, target)
    else:
        whole = len(target) // parameter * parameter
        _unshuffle(np, data[:whole], parameter, target[:whole])
        if kind == Kind.DELTA:
            numbers = np.frombuffer(target[:whole], f"<u{parameter}")
            np.cumsum(numbers, out=numbers)
        target[whole:] = data[whole:]


def apply_one(wanted: Transform, data: Any) -> tuple[Transform, Any]:
    """Transform a column's bytes, or all bytes, in one way, or in the next best if they do not allow this one.

    :return: the transform that was applied, and the transformed bytes.
    """
    import numpy as np

    kind, parameter = wanted
    if kind == Kind.PLAIN:
        return wanted, data
    if kind == Kind.DECIMAL:
        content = _decimal(np, data, parameter)
        return apply_one(Transform(Kind.SHUFFLE, 8), data) if content is None else (wanted, content)
    whole = len(data) // parameter * parameter
    items = np.frombuffer(data[:whole], "u1")
    if kind == Kind.DELTA:
        items = _differences(np, items.view(f"<u{parameter}")).view("u1")
    planes = _shuffle(np, items, parameter)
    rest = data[whole:]
    return wanted, (np.concatenate([planes, np.frombuffer(rest, "u1")]) if rest else planes).data


def partition(data: Any, row_size: int, key: tuple[int, int]) -> tuple[bytes, Any]:
    """Put the rows first that have a value in one of their bytes.

    :param key: the offset of the byte, and the value.
    :return: one bit for each row, which tells whether it has the value; and the rows, in memory that the thread's next
        call uses again.
    """
    import numpy as np

    offset, value = key
    first = np.frombuffer(data, "u1")[offset::row_size] == value
    rows = np.frombuffer(data, f"V{row_size}")
    partitioned = _scratch(np, len(data))
    rows.take(_partition_order(np, first), out=partitioned.view(rows.dtype), mode="clip")
    return np.packbits(first).tobytes(), partitioned.data


def _invert_partition(np: Any, data: Any, row_size: int, target: memoryview) -> None:
    kind, parameter = _PARTITION_HEADER.unpack(data[: _PARTITION_HEADER.size])
    rows = np.frombuffer(target, f"V{row_size}")
    mask_end = _PARTITION_HEADER.size + (len(rows) + 7) // 8
    mask = np.frombuffer(data[_PARTITION_HEADER.size : mask_end], "u1")
    first = np.unpackbits(mask, count=len(rows)).view(bool)
    partitioned = _scratch(np, len(target))
    invert(Transform(kind, parameter), data[mask_end:], partitioned.data)
    rows[_partition_order(np, first)] = partitioned.view(f"V{row_size}")


def _partition_order(np: Any, first: Any) -> Any:
    return np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)])


def _scratch(np: Any, size: int) -> Any:
    """Give memory for what is soon copied: new memory for each block would take longer than the copies."""
    if len(getattr(_thread_state, "scratch", b"")) < size:
        _thread_state.scratch = np.empty(size, "u1")
    return _thread_state.scratch[:size]


def _shuffle(np: Any, data: Any, width: int) -> Any:
    planes = np.empty((width, len(data) // width), "u1")
    if width in NUMBER_WIDTHS:
        numbers = data.view(f"<u{width}")
        for place, plane in enumerate(planes):
            plane[:] = numbers >> 8 * place
    else:
        rows = data.reshape(-1, width)
        for begin in range(0, len(rows), _ROWS_IN_CACHE):
            planes[:, begin : begin + _ROWS_IN_CACHE] = rows[begin : begin + _ROWS_IN_CACHE].T
    return planes.reshape(-1)


def _unshuffle(np: Any, data: Any, width: int, target: Any) -> None:
    items, planes = np.frombuffer(target, "u1").reshape(-1, width), np.frombuffer(data, "u1").reshape(width, -1)
    if width > 8:
        items[:] = planes.T
    else:  # twice as fast for few
        for index, plane in enumerate(planes):
            items[:, index] = plane


def _differences(np: Any, numbers: Any) -> Any:
    differences = np.empty_like(numbers)
    differences[:1] = numbers[:1]
    np.subtract(numbers[1:], numbers[:-1], out=differences[1:])
    return differences


def _decimal(np: Any, data: Any, digits: int) -> Any:
    """Give doubles as integers of as few bytes as their range needs; None if too many are no decimals."""
    if not len(data) or len(data) % 8:
        return None
    values = np.frombuffer(data, "<f8")
    scale = 10.0**digits
    with np.errstate(all="ignore"):
        scaled = values * scale
        integers = np.rint(scaled, out=scaled).astype("<i8")
        # Compared as bits, so that -0.0 and NaN are other numbers than 0.0 and themselves; they follow as they are.
        inexact = np.divide(integers, scale, out=scaled).view("u8") != values.view("u8")
    exceptions = np.flatnonzero(inexact)
    if 8 * len(exceptions) > len(values):
        return None
    integers[exceptions] = 0
    least = int(integers.min())
    integers -= least
    del scaled, inexact  # what follows is as large
    unsigned = integers.view("<u8")
    width = next(width for width in (1, 2, 4, 8) if int(unsigned.max()) < 256**width)
    narrow = unsigned.astype(f"<u{width}")
    parts = (
        _shuffle(np, narrow.view("u1"), width),
        exceptions.astype("<u4"),
        values[exceptions],
    )
    return b"".join((_DECIMAL_HEADER.pack(least, len(exceptions), width), *parts))


def _invert_decimal(np: Any, data: Any, digits: int, target: Any) -> None:
    least, exception_count, width = _DECIMAL_HEADER.unpack(data[: _DECIMAL_HEADER.size])
    values = np.frombuffer(target, "<f8")
    narrow = np.empty(len(values), f"<u{width}")
    places = _DECIMAL_HEADER.size + narrow.nbytes
    exceptions = places + 4 * exception_count
    _unshuffle(np, data[_DECIMAL_HEADER.size : places], width, narrow.view("u1"))
    np.divide(narrow.astype("<i8") + least, 10.0**digits, out=values)
    values[np.frombuffer(data[places:exceptions], "<u4")] = np.frombuffer(data[exceptions:], "<f8")


def columns(data: Any, widths: tuple[int, ...]) -> Iterator[Any]:
    """Give copies of the columns of rows, each an array of its own."""
    for column in _column_views(data, widths):
        yield column.copy()


def _column_views(data: Any, widths: tuple[int, ...]) -> Iterator[Any]:
    import numpy as np

    row_size = sum(widths)
    for width, offset in zip(widths, accumulate(widths, initial=0), strict=False):
        dtype = f"<u{width}" if width in (1, 2, 4, 8) else f"V{width}"
        yield np.ndarray((len(data) // row_size,), dtype, data, offset, (row_size,))


def _invert_columns(np: Any, data: Any, count: int, target: Any) -> None:
    begin = _COLUMN_ENTRY.size * count
    table = list(_COLUMN_ENTRY.iter_unpack(data[:begin]))
    views = _column_views(target, tuple(width for width, *_ in table))
    for view, (_, kind, parameter, size) in zip(views, table, strict=True):
        items = np.empty(len(view), view.dtype)
        invert(Transform(kind, parameter), data[begin : begin + size], memoryview(items.view("u1")))
        view[:] = items
        begin += size
