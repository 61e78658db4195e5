"""Reversible rearrangements of numbers, after which zstd finds what they have in common.

Numbers as they lie in an array hide it: the high bytes of neighbours are alike, but eight bytes apart. So an array is
stored in one of these forms (:mod:`.selection` finds which):

===========  ===============================================================================
``PLAIN``    as it is
``SHUFFLE``  the first bytes of all items, then their second bytes, and so on
``DELTA``    the differences between integers that follow each other, shuffled
``DECIMAL``  doubles that are decimals of few digits, as integers, shuffled; and the doubles that are not
===========  ===============================================================================

Rows, of a table or of records, are shuffled whole, or turned into ``COLUMNS``, each in a form of its own. Before, they
are ``PARTED`` where rows of two kinds take turns, as the leaves of a tree and its branches do.

NumPy is needed for everything but ``PLAIN``; what is stored in another form is the memory of arrays, which need it too.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

PLAIN, SHUFFLE, DELTA, DECIMAL, COLUMNS, PARTED = range(6)

#: The bytes of numbers.
NUMBERS = (2, 4, 8)
#: Rows longer than this have too many columns to look at one by one.
_LONGEST_ROW = 256
#: Items longer than this are seen as bytes.
_LONGEST_ITEM = 64 << 10

#: So many rows are shuffled at a time: they stay in the processor's cache.
_CACHED = 512
#: The least integer, how many doubles are no decimals, and the bytes of each integer, less the least.
_DECIMAL = struct.Struct("<qIB")
#: The bytes of a column's item, its form, its parameter, and how many bytes the column takes in this form.
_COLUMN = struct.Struct("<IBII")
#: The form of parted rows, and its parameter.
_PARTED = struct.Struct("<BI")
#: Where each thread keeps its scratch memory.
_of_thread = threading.local()


class Layout(NamedTuple):
    """How an array's bytes belong together.

    :param widths: the bytes of each of a row's columns.
    :param records: whether they are fields of records.
    """

    widths: tuple[int, ...]
    records: bool = False

    @property
    def row(self) -> int:
        """The bytes of a row."""
        return sum(self.widths)


class Form(NamedTuple):
    """How a column, or all bytes, are stored.

    :param parameter: see :func:`undone`.
    """

    form: int
    parameter: int = 0


class Choice(NamedTuple):
    """How rows are stored.

    :param forms: one for each column, or a single one for all bytes; none if they stay as they are.
    :param key: the place of a byte in a row, and a number: the rows in which it is that number come first.
    """

    forms: tuple[Form, ...] = ()
    key: tuple[int, int] | None = None


def layout(array: memoryview, side_by_side: int) -> Layout:
    """How an array's bytes belong together: the fields of a record, the items of a short row, or each item.

    :param side_by_side: how many items make a row.
    """
    records = array.format[:1] == "T" and "numpy" in sys.modules
    fields = _fields(array) if records else (array.itemsize,)
    if 0 < array.itemsize * side_by_side <= _LONGEST_ROW:
        return Layout(fields * side_by_side, records)
    return Layout((array.itemsize,)) if 0 < array.itemsize <= _LONGEST_ITEM else Layout((1,))


def _fields(array: memoryview) -> tuple[int, ...]:
    import numpy as np

    kind = np.asarray(array).dtype
    edges = {0, kind.itemsize}
    for field, offset, *_ in (kind.fields or {}).values():
        edges |= {offset, offset + field.itemsize}
    ordered = sorted(edges)
    return tuple(end - begin for begin, end in pairwise(ordered))


def done(data: Any, layout: Layout, choice: Choice) -> tuple[int, int, Any]:
    """Bring bytes into forms.

    :param choice: the forms, as chosen for these bytes or for others like them.
    :return: the form, its parameter (see :func:`undone`), and the bytes in this form.
    """
    if not choice.forms or not len(data):
        return PLAIN, 0, data
    if choice.key is None:
        return _in_columns(data, layout, choice.forms)
    mask, rows = parted(data, layout.row, choice.key)
    form, parameter, content = _in_columns(rows, layout, choice.forms)
    return PARTED, layout.row, b"".join((_PARTED.pack(form, parameter), mask, content))


def _in_columns(data: Any, layout: Layout, forms: tuple[Form, ...]) -> tuple[int, int, Any]:
    if len(forms) == 1:
        return formed(forms[0], data)
    table, contents = [], []
    for width, column, wanted in zip(layout.widths, columns(data, layout.widths), forms, strict=True):
        form, parameter, content = formed(wanted, memoryview(column.view("u1")))
        table.append(_COLUMN.pack(width, form, parameter, len(content)))
        contents.append(content)
    return COLUMNS, len(forms), b"".join(table + contents)


def undone(form: int, parameter: int, data: Any, target: memoryview) -> None:
    """Bring bytes back from a form.

    :param parameter: ``SHUFFLE`` the bytes of an item; ``DELTA`` those of an integer; ``DECIMAL`` the number of decimal
        digits; ``COLUMNS`` the number of columns; ``PARTED`` the bytes of a row.
    :param target: where to put them.
    """
    if form == PLAIN:
        target[:] = data
        return
    import numpy as np

    if form == PARTED:
        _from_parted(np, data, parameter, target)
    elif form == COLUMNS:
        _from_columns(np, data, parameter, target)
    elif form == DECIMAL:
        _from_decimal(np, data, parameter, target)
    else:
        whole = len(target) // parameter * parameter
        _unshuffle(np, data[:whole], parameter, target[:whole])
        if form == DELTA:
            numbers = np.frombuffer(target[:whole], f"<u{parameter}")
            np.cumsum(numbers, out=numbers)
        target[whole:] = data[whole:]


def formed(wanted: Form, data: Any) -> tuple[int, int, Any]:
    """Bring bytes into a form, or into the next best if they have no such form."""
    import numpy as np

    form, parameter = wanted
    if form == PLAIN:
        return form, parameter, data
    if form == DECIMAL:
        content = _decimal(np, data, parameter)
        return formed(Form(SHUFFLE, 8), data) if content is None else (form, parameter, content)
    whole = len(data) // parameter * parameter
    main = np.frombuffer(data[:whole], "u1")
    if form == DELTA:
        main = _differences(np, main.view(f"<u{parameter}")).view("u1")
    planes = _shuffled(np, main, parameter)
    rest = data[whole:]
    return form, parameter, (np.concatenate([planes, np.frombuffer(rest, "u1")]) if rest else planes).data


def parted(data: Any, row: int, key: tuple[int, int]) -> tuple[bytes, Any]:
    """Put the rows with the key first.

    :return: which rows these are; and the rows, in memory that the thread's next call uses again.
    """
    import numpy as np

    place, number = key
    alike = np.frombuffer(data, "u1")[place::row] == number
    rows = np.frombuffer(data, f"V{row}")
    apart = _scratch(np, len(data))
    rows.take(_order(np, alike), out=apart.view(rows.dtype), mode="clip")
    return np.packbits(alike).tobytes(), apart.data


def _scratch(np: Any, size: int) -> Any:
    """Memory for what is soon copied: new memory for each block would take longer than the copies."""
    if len(getattr(_of_thread, "memory", b"")) < size:
        _of_thread.memory = np.empty(size, "u1")
    return _of_thread.memory[:size]


def _order(np: Any, alike: Any) -> Any:
    return np.concatenate([np.flatnonzero(alike), np.flatnonzero(~alike)])


def _from_parted(np: Any, data: Any, row: int, target: memoryview) -> None:
    form, parameter = _PARTED.unpack(data[: _PARTED.size])
    rows = np.frombuffer(target, f"V{row}")
    begin = _PARTED.size + (len(rows) + 7) // 8
    alike = np.unpackbits(np.frombuffer(data[_PARTED.size : begin], "u1"), count=len(rows)).view(bool)
    apart = _scratch(np, len(target))
    undone(form, parameter, data[begin:], apart.data)
    rows[_order(np, alike)] = apart.view(f"V{row}")


def _shuffled(np: Any, data: Any, width: int) -> Any:
    planes = np.empty((width, len(data) // width), "u1")
    if width in NUMBERS:
        numbers = data.view(f"<u{width}")
        for place, plane in enumerate(planes):
            plane[:] = numbers >> 8 * place
    else:
        rows = data.reshape(-1, width)
        for begin in range(0, len(rows), _CACHED):
            planes[:, begin : begin + _CACHED] = rows[begin : begin + _CACHED].T
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
    if not len(data) or len(data) % 8:
        return None
    values = np.frombuffer(data, "<f8")
    scale = 10.0**digits
    with np.errstate(all="ignore"):
        scaled = values * scale
        integers = np.rint(scaled, out=scaled).astype("<i8")
        # Compared as bits, so that -0.0 and NaN are other numbers than 0.0 and themselves; they follow as they are.
        other = np.divide(integers, scale, out=scaled).view("u8") != values.view("u8")
    others = np.flatnonzero(other)
    if 8 * len(others) > len(values):
        return None
    integers[others] = 0
    least = int(integers.min())
    integers -= least
    del scaled, other  # what follows is as large
    above = integers.view("<u8")
    width = next(width for width in (1, 2, 4, 8) if int(above.max()) < 256**width)
    narrow = above.astype(f"<u{width}")
    parts = (
        _shuffled(np, narrow.view("u1"), width),
        others.astype("<u4"),
        values[others],
    )
    return b"".join((_DECIMAL.pack(least, len(others), width), *parts))


def _from_decimal(np: Any, data: Any, digits: int, target: Any) -> None:
    least, count, width = _DECIMAL.unpack(data[: _DECIMAL.size])
    values = np.frombuffer(target, "<f8")
    narrow = np.empty(len(values), f"<u{width}")
    places, rest = (_DECIMAL.size + step for step in (narrow.nbytes, narrow.nbytes + 4 * count))
    _unshuffle(np, data[_DECIMAL.size : places], width, narrow.view("u1"))
    np.divide(narrow.astype("<i8") + least, 10.0**digits, out=values)
    values[np.frombuffer(data[places:rest], "<u4")] = np.frombuffer(data[rest:], "<f8")


def columns(data: Any, widths: tuple[int, ...]) -> Iterator[Any]:
    """Give the columns of rows, each an array of its own."""
    for column in _strided(data, widths):
        yield column.copy()


def _strided(data: Any, widths: tuple[int, ...]) -> Iterator[Any]:
    """The columns where they lie."""
    import numpy as np

    row = sum(widths)
    for width, offset in zip(widths, accumulate(widths, initial=0), strict=False):
        kind = f"<u{width}" if width in (1, 2, 4, 8) else f"V{width}"
        yield np.ndarray((len(data) // row,), kind, data, offset, (row,))


def _from_columns(np: Any, data: Any, count: int, target: Any) -> None:
    place = _COLUMN.size * count
    table = list(_COLUMN.iter_unpack(data[:place]))
    strided = _strided(target, tuple(width for width, *_ in table))
    for column, (_, form, parameter, size) in zip(strided, table, strict=True):
        items = np.empty(len(column), column.dtype)
        undone(form, parameter, data[place : place + size], memoryview(items.view("u1")))
        column[:] = items
        place += size
