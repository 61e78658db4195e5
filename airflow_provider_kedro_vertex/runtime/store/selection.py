"""Find the forms of :mod:`.transforms` that make a sample of an array smallest."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_kedro_vertex.runtime.store import transforms as filters
from airflow_provider_kedro_vertex.runtime.store.transforms import Choice, Form, Layout

#: Enough to tell the forms apart, little beside the blocks that they are chosen for.
_SAMPLE = 8 << 10
_SAMPLE_ROWS = 1024
#: Too little to gain anything.
_NEXT_TO_NOTHING = 64
#: It is not worth the time to look at each column of fewer bytes.
_SHORT = 64 << 10
#: A form must be so much smaller than a simpler one, and columns, many short steps, than rows that are shuffled whole.
_WORTH, _WORTH_COLUMNS = 0.99, 0.95
#: Rows of one kind are at least and at most so many of all, if they are worth to be put apart.
_PART = 1 / 4, 3 / 4
#: So many ways to put them apart are tried, the most common first.
_WAYS = 4
#: So many items show whether they are decimals.
_FEW = 256
#: More digits than this are rarely those of a decimal.
_DIGITS = 7

Size = Callable[[Any], int]


def chosen(data: Any, layout: Layout, size: Size) -> Choice:
    """Find the best forms for a piece of an array.

    :param data: the bytes.
    :param size: how small bytes become.
    """
    if "numpy" not in sys.modules or len(data) < _NEXT_TO_NOTHING or len(data) % layout.row:
        return Choice()
    if len(layout.widths) == 1:
        width = layout.row
        # Bytes, and the letters of texts, may be numbers of any kind.
        items = (width,) if width in filters.NUMBERS else (8, 4) if width == 1 or not width % 4 else ()
        return Choice((_best(_sample(data, 8, _SAMPLE), items, size)[0],))
    sample = _sample(data, layout.row, _SAMPLE_ROWS * layout.row)
    key, sample, whole = _key(sample, layout.row, size)
    if len(data) >= _SHORT:
        best = [
            _best(memoryview(column.view("u1")), (width,) if width in filters.NUMBERS else (), size)
            for width, column in zip(layout.widths, filters.columns(sample, layout.widths), strict=True)
        ]
        if sum(smaller for _, smaller in best) < _WORTH_COLUMNS * whole:
            return Choice(tuple(form for form, _ in best), key)
    return Choice((Form(filters.SHUFFLE, layout.row),), key)


def _sample(data: Any, unit: int, length: int) -> Any:
    """Some whole units from the middle."""
    start = max(len(data) - length, 0) // 2 // unit * unit
    return data[start : start + length]


def _key(sample: Any, row: int, size: Size) -> tuple[tuple[int, int] | None, Any, int]:
    """Find what tells rows of two kinds from each other: a byte that often is the same, as others are in these rows.

    :return: the key, if there is one; the sample, with its rows put apart; and how small it becomes, shuffled.
    """
    import numpy as np

    ways: dict[bytes, tuple[int, int]] = {}
    often: Counter[bytes] = Counter()
    for place, plane in enumerate(np.ascontiguousarray(np.frombuffer(sample, "u1").reshape(-1, row).T)):
        counts = np.bincount(plane)
        number = int(counts.argmax())
        if _PART[0] <= counts[number] / len(plane) <= _PART[1]:
            alike = plane == number
            mask = np.packbits(alike if alike[0] else ~alike).tobytes()
            ways[mask] = place, number
            often[mask] += 1
    whole = Form(filters.SHUFFLE, row)
    best, apart, smallest = None, sample, _size_in(whole, sample, size)
    for mask, _ in often.most_common(_WAYS):
        _, parted = filters.parted(sample, row, ways[mask])
        smaller = _size_in(whole, parted, size) + size(mask)
        if smaller < _WORTH * smallest:
            best, apart, smallest = ways[mask], bytes(parted), smaller
    return best, apart, smallest


def _best(sample: Any, items: tuple[int, ...], size: Size) -> tuple[Form, int]:
    """Find the best form for a column, and how small it becomes.

    :param items: the bytes that its numbers may have.
    """
    best, smallest = Form(filters.PLAIN), size(sample)
    for form in _candidates(sample, items):
        smaller = _size_in(form, sample, size)
        if smaller < _WORTH * smallest:
            best, smallest = form, smaller
    return best, smallest


def _size_in(form: Form, sample: Any, size: Size) -> int:
    return size(filters.formed(form, sample)[2])


def _candidates(sample: Any, items: tuple[int, ...]) -> Iterator[Form]:
    for item in items:
        yield Form(filters.SHUFFLE, item)
        yield Form(filters.DELTA, item)
    if 8 in items and len(sample) % 8 == 0:
        digits = _digits(sample)
        if digits is not None:
            yield Form(filters.DECIMAL, digits)


def _digits(sample: Any) -> int | None:
    """How many digits the decimals have that most of the doubles are."""
    import numpy as np

    with np.errstate(all="ignore"):
        values = np.frombuffer(sample, "<f8", min(_FEW, len(sample) // 8))
        scales = 10.0 ** np.arange(_DIGITS)[:, None]
        exact = np.count_nonzero(np.rint(values * scales) / scales == values, axis=1)
    enough = np.flatnonzero(8 * exact >= 7 * len(values))
    return int(enough[0]) if len(enough) else None
