"""Reversible rearrangements of numbers, after which zstd finds what they have in common.

Numbers as they lie in an array hide it: the high bytes of neighbours are alike, but eight bytes apart. So each block of
an array is stored in the one of these forms that makes a sample of it smallest:

===========  ===============================================================================
``PLAIN``    as it is
``SHUFFLE``  the first bytes of all items, then their second bytes, and so on
``DELTA``    the differences between integers that follow each other, shuffled
``DECIMAL``  doubles that are decimals of few digits, as integers, shuffled; and the doubles that are not
===========  ===============================================================================

Rows, of a table or of records, are first turned into ``COLUMNS`` of eight bytes, each in a form of its own.

NumPy is needed for everything but ``PLAIN``; what is stored in another form is the memory of arrays, which need it too.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

PLAIN, SHUFFLE, DELTA, DECIMAL, COLUMNS = range(5)

#: Rows longer than this have too many columns to look at one by one.
LONGEST_ROW = 256

#: Enough to tell the forms apart, little beside a block.
_SAMPLE = 8 << 10
#: More digits than this are rarely those of a decimal.
_DIGITS = range(7)
#: The least integer, and how many doubles are no decimals.
_DECIMAL = struct.Struct("<qI")
#: A column's form, its parameter, and how many bytes it takes in this form.
_COLUMN = struct.Struct("<BII")


def chosen(data: Any, row: int, size: Callable[[Any], int]) -> tuple[int, int, Any]:
    """Find the best form for a block of an array.

    :param data: the block's bytes.
    :param row: how many bytes belong together: an item's, or a row's of a table.
    :param size: how small bytes become.
    :return: the form, its parameter (see :func:`undone`), and the bytes in this form.
    """
    if "numpy" not in sys.modules or len(data) < 64:
        return PLAIN, 0, data
    if row > 8 and row % 8 == 0 and len(data) % row == 0:
        return COLUMNS, row, _columns(data, row, size)
    sample = _sample(data)
    best, smallest = (PLAIN, 0), size(sample)
    for form, parameter in _candidates(sample, row):
        smaller = size(_done(form, parameter, sample))
        if smaller < smallest:
            best, smallest = (form, parameter), smaller
    changed = _done(*best, data)
    return (PLAIN, 0, data) if changed is None else (*best, changed)


def undone(form: int, parameter: int, data: Any, length: int) -> Any:
    """Bring bytes back from a form.

    :param parameter: ``SHUFFLE`` the bytes of an item; ``DELTA`` those of an integer; ``DECIMAL`` the number of decimal
        digits; ``COLUMNS`` the bytes of a row.
    :param length: how many bytes there were.
    """
    if form == PLAIN:
        return data
    import numpy as np

    if form == COLUMNS:
        return _from_columns(np, data, parameter, length)
    if form == DECIMAL:
        return _from_decimal(np, data, parameter, length)
    whole = length // parameter * parameter
    items = _unshuffled(np, data[:whole], parameter)
    if form == DELTA:
        numbers = items.view(f"<u{parameter}")
        np.cumsum(numbers, out=numbers)
    return _joined(np, items, data[whole:])


def _sample(data: Any) -> Any:
    """Some bytes from the middle of a block."""
    start = max(len(data) - _SAMPLE, 0) // 16 * 8
    return data[start : start + _SAMPLE]


def _candidates(sample: Any, row: int) -> Iterator[tuple[int, int]]:
    for width in (row,) if row in (2, 4, 8) else (8, 4):
        yield SHUFFLE, width
        yield DELTA, width
    if row in (1, 8):
        decimals = (digits for digits in _DIGITS if _done(DECIMAL, digits, sample) is not None)
        yield from ((DECIMAL, digits) for digits in [next(decimals, None)] if digits is not None)


def _done(form: int, parameter: int, data: Any) -> Any:
    """Bring bytes into a form; None if they have no such form."""
    import numpy as np

    if form == PLAIN:
        return data
    if form == DECIMAL:
        return _decimal(np, data, parameter)
    whole = len(data) // parameter * parameter
    main = np.frombuffer(data[:whole], "u1")
    if form == DELTA:
        main = _differences(np, main.view(f"<u{parameter}")).view("u1")
    return _joined(np, main.reshape(-1, parameter).T, data[whole:])


def _unshuffled(np: Any, data: Any, width: int) -> Any:
    planes = np.frombuffer(data, "u1").reshape(width, -1)
    items = np.empty((planes.shape[1], width), "u1")
    for index, plane in enumerate(planes):  # twice as fast as a copy of the transposed array
        items[:, index] = plane
    return items.reshape(-1)


def _joined(np: Any, array: Any, rest: Any) -> Any:
    joined = np.ascontiguousarray(array).reshape(-1).view("u1")
    return memoryview(np.concatenate([joined, np.frombuffer(rest, "u1")]) if len(rest) else joined)


def _differences(np: Any, numbers: Any) -> Any:
    differences = np.empty_like(numbers)
    differences[:1] = numbers[:1]
    np.subtract(numbers[1:], numbers[:-1], out=differences[1:])
    return differences


def _decimal(np: Any, data: Any, digits: int) -> Any:
    if len(data) % 8:
        return None
    values = np.frombuffer(data, "<f8")
    scale = 10.0**digits
    with np.errstate(all="ignore"):
        integers = np.rint(values * scale).astype("<i8")
        # Compared as bits, so that -0.0 and NaN are other numbers than 0.0 and themselves; they follow as they are.
        other = (integers / scale).view("u8") != values.view("u8")
    others = np.flatnonzero(other)
    if 8 * len(others) > len(values):
        return None
    integers[other] = 0
    least = int(integers.min())
    integers -= least  # without signs, whose bits would spread over all high bytes
    parts = (
        integers.view("u1").reshape(-1, 8).T.reshape(-1),
        others.astype("<u4").view("u1"),
        values[others].view("u1"),
    )
    return memoryview(_DECIMAL.pack(least, len(others)) + b"".join(parts))


def _from_decimal(np: Any, data: Any, digits: int, length: int) -> Any:
    least, count = _DECIMAL.unpack(data[: _DECIMAL.size])
    rest = data[_DECIMAL.size :]
    integers = _unshuffled(np, rest[:length], 8).view("<i8")
    integers += least
    values = integers / 10.0**digits
    places = np.frombuffer(rest[length : length + 4 * count], "<u4")
    values[places] = np.frombuffer(rest[length + 4 * count :], "<f8")
    return memoryview(values.view("u1"))


def _columns(data: Any, row: int, size: Callable[[Any], int]) -> Any:
    import numpy as np

    columns = np.ascontiguousarray(np.frombuffer(data, "<u8").reshape(-1, row // 8).T)
    forms = [chosen(memoryview(column.view("u1")), 8, size) for column in columns]
    table = (_COLUMN.pack(form, parameter, len(content)) for form, parameter, content in forms)
    return b"".join((*table, *(content for _, _, content in forms)))


def _from_columns(np: Any, data: Any, row: int, length: int) -> Any:
    rows = np.empty((length // row, row // 8), "<u8")
    place = _COLUMN.size * (row // 8)
    for index in range(row // 8):
        form, parameter, size = _COLUMN.unpack_from(data, index * _COLUMN.size)
        column = undone(form, parameter, data[place : place + size], len(rows) * 8)
        rows[:, index] = np.frombuffer(column, "<u8")
        place += size
    return memoryview(rows.view("u1").reshape(-1))
