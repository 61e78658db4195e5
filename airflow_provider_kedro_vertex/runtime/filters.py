"""Reversible rearrangements of numbers, after which zstd finds what they have in common.

Numbers as they lie in an array hide it: the high bytes of neighbours are alike, but eight bytes apart. So an array is
stored in the one of these forms that makes a sample of it smallest:

===========  ===============================================================================
``PLAIN``    as it is
``SHUFFLE``  the first bytes of all items, then their second bytes, and so on
``DELTA``    the differences between integers that follow each other, shuffled
``DECIMAL``  doubles that are decimals of few digits, as integers, shuffled; and the doubles that are not
===========  ===============================================================================

Rows, of a table or of records, are first turned into ``COLUMNS``, each in a form of its own.

NumPy is needed for everything but ``PLAIN``; what is stored in another form is the memory of arrays, which need it too.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from typing import Any

PLAIN, SHUFFLE, DELTA, DECIMAL, COLUMNS = range(5)

#: A form of a column and its parameter, see :func:`undone`.
Form = tuple[int, int]

#: Rows longer than this have too many columns to look at one by one.
LONGEST_ROW = 256

#: Enough to tell the forms apart, little beside the blocks that they are chosen for.
_SAMPLE = 8 << 10
_SAMPLE_ROWS = 2048
#: So many items show whether they are decimals.
_FEW = 256
#: More digits than this are rarely those of a decimal.
_DIGITS = 7
#: The least integer, how many doubles are no decimals, and the bytes of each integer, less the least.
_DECIMAL = struct.Struct("<qIB")
#: The bytes of a column's item, its form, its parameter, and how many bytes the column takes in this form.
_COLUMN = struct.Struct("<IBII")


def layout(array: memoryview, side_by_side: int) -> tuple[int, ...]:
    """How many bytes belong together: those of each field of a record, each item of a short row, or each item.

    :param side_by_side: how many items make a row.
    """
    fields = _fields(array) if array.format[:1] == "T" and "numpy" in sys.modules else (array.itemsize,)
    if 0 < array.itemsize * side_by_side <= LONGEST_ROW:
        return fields * side_by_side
    return (array.itemsize,) if 0 < array.itemsize <= LONGEST_ROW else (1,)


def _fields(array: memoryview) -> tuple[int, ...]:
    import numpy as np

    kind = np.asarray(array).dtype
    edges = {0, kind.itemsize}
    for field, offset, *_ in (kind.fields or {}).values():
        edges |= {offset, offset + field.itemsize}
    ordered = sorted(edges)
    return tuple(end - begin for begin, end in pairwise(ordered))


def chosen(data: Any, widths: tuple[int, ...], size: Callable[[Any], int]) -> tuple[Form, ...]:
    """Find the best form for each column of a piece of an array, or none if nothing is to be gained.

    :param data: the bytes.
    :param widths: how many of them belong together, see :func:`layout`.
    :param size: how small bytes become.
    """
    if "numpy" not in sys.modules or len(data) < 64 or len(data) % sum(widths):
        return ()
    if len(widths) == 1:
        return (_best(_sample(data, 8, _SAMPLE), widths[0], size),)
    middle = _sample(data, sum(widths), _SAMPLE_ROWS * sum(widths))
    return tuple(_best(memoryview(column.view("u1")), column.itemsize, size) for column in _columns(middle, widths))


def done(data: Any, widths: tuple[int, ...], forms: tuple[Form, ...]) -> tuple[int, int, Any]:
    """Bring bytes into forms.

    :param forms: the columns' forms, as chosen for these bytes or for others like them.
    :return: the form, its parameter (see :func:`undone`), and the bytes in this form.
    """
    if not forms or not len(data):
        return PLAIN, 0, data
    if len(widths) == 1:
        return _done(*forms[0], data)
    table, content = bytearray(), bytearray(_COLUMN.size * len(widths))
    for width, column, wanted in zip(widths, _columns(data, widths), forms, strict=True):
        form, parameter, stored = _done(*wanted, memoryview(column.view("u1")))
        table += _COLUMN.pack(width, form, parameter, len(stored))
        content += stored
    content[: len(table)] = table
    return COLUMNS, len(widths), content


def undone(form: int, parameter: int, data: Any, target: memoryview) -> None:
    """Bring bytes back from a form.

    :param parameter: ``SHUFFLE`` the bytes of an item; ``DELTA`` those of an integer; ``DECIMAL`` the number of decimal
        digits; ``COLUMNS`` the number of columns.
    :param target: where to put them.
    """
    if form == PLAIN:
        target[:] = data
        return
    import numpy as np

    if form == COLUMNS:
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


def _sample(data: Any, unit: int, length: int) -> Any:
    """Some whole units from the middle."""
    start = max(len(data) - length, 0) // 2 // unit * unit
    return data[start : start + length]


def _best(sample: Any, width: int, size: Callable[[Any], int]) -> Form:
    best, smallest = (PLAIN, 0), size(sample)
    for form in _candidates(sample, width):
        smaller = size(_done(*form, sample)[2])
        if smaller < smallest:
            best, smallest = form, smaller
    return best


def _candidates(sample: Any, width: int) -> Iterator[Form]:
    for item in (width,) if width in (2, 4, 8) else (8, 4) if width == 1 else ():
        yield SHUFFLE, item
        yield DELTA, item
    if width in (1, 8) and len(sample) % 8 == 0:
        digits = _digits(sample)
        if digits is not None:
            yield DECIMAL, digits


def _digits(sample: Any) -> int | None:
    """How many digits the decimals have that most of the doubles are."""
    import numpy as np

    with np.errstate(all="ignore"):
        values = np.frombuffer(sample, "<f8", min(_FEW, len(sample) // 8))
        scales = 10.0 ** np.arange(_DIGITS)[:, None]
        exact = np.count_nonzero(np.rint(values * scales) / scales == values, axis=1)
    enough = np.flatnonzero(8 * exact >= 7 * len(values))
    return int(enough[0]) if len(enough) else None


def _done(form: int, parameter: int, data: Any) -> tuple[int, int, Any]:
    """Bring bytes into a form, or into the next best if they have no such form."""
    import numpy as np

    if form == PLAIN:
        return form, parameter, data
    if form == DECIMAL:
        content = _decimal(np, data, parameter)
        return _done(SHUFFLE, 8, data) if content is None else (form, parameter, content)
    whole = len(data) // parameter * parameter
    main = np.frombuffer(data[:whole], "u1")
    if form == DELTA:
        main = _differences(np, main.view(f"<u{parameter}")).view("u1")
    planes = np.ascontiguousarray(main.reshape(-1, parameter).T).reshape(-1)
    rest = data[whole:]
    return form, parameter, (np.concatenate([planes, np.frombuffer(rest, "u1")]) if rest else planes).data


def _unshuffle(np: Any, data: Any, width: int, target: Any) -> None:
    items = np.frombuffer(target, "u1").reshape(-1, width)
    for index, plane in enumerate(np.frombuffer(data, "u1").reshape(width, -1)):
        items[:, index] = plane  # twice as fast as a copy of the transposed array


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
        np.ascontiguousarray(narrow.view("u1").reshape(-1, width).T),
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


def _columns(data: Any, widths: tuple[int, ...]) -> Iterator[Any]:
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
    columns = _strided(target, tuple(width for width, *_ in table))
    for column, (_, form, parameter, size) in zip(columns, table, strict=True):
        items = np.empty(len(column), column.dtype)
        undone(form, parameter, data[place : place + size], memoryview(items.view("u1")))
        column[:] = items
        place += size
