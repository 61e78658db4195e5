"""Selection of the transforms that make a sample of an array smallest."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_kedro_vertex.runtime.store import transforms
from airflow_provider_kedro_vertex.runtime.store.transforms import NUMBER_WIDTHS, Choice, Kind, Layout, Transform

#: Enough to tell the transforms apart, little beside the blocks that they are chosen for.
_SAMPLE_SIZE = 8 << 10
_SAMPLE_ROWS = 1024
#: Fewer bytes gain nothing.
_MIN_SIZE = 64
#: It is not worth the time to look at each column of fewer bytes.
_MIN_SIZE_FOR_COLUMNS = 64 << 10
#: A transform must be so much smaller than a simpler one, and columns, many short steps, than rows shuffled whole.
_WORTHWHILE, _WORTHWHILE_COLUMNS = 0.99, 0.95
#: Rows of one kind are at least and at most so many of all, if they are worth partitioning.
_PARTITION_SHARE = 1 / 4, 3 / 4
#: So many partitions are tried, the most common first.
_PARTITIONS_TRIED = 4
#: So many items show whether they are decimals.
_DECIMAL_SAMPLE = 256
#: More digits than this are rarely those of a decimal.
_MAX_DIGITS = 7

CompressedSize = Callable[[Any], int]


def choose(data: Any, layout: Layout, compressed_size: CompressedSize) -> Choice:
    """Find the best transforms for a piece of an array.

    :param data: the bytes.
    :param compressed_size: tells how small bytes become.
    """
    if "numpy" not in sys.modules or len(data) < _MIN_SIZE or len(data) % layout.row_size:
        return Choice()
    if len(layout.widths) == 1:
        sample = _middle(data, 8, _SAMPLE_SIZE)
        return Choice((_best_transform(sample, _number_widths(layout.row_size), compressed_size)[0],))
    row_size = layout.row_size
    sample = _middle(data, row_size, _SAMPLE_ROWS * row_size)
    key, sample, shuffled_size = _best_partition(sample, row_size, compressed_size)
    if len(data) >= _MIN_SIZE_FOR_COLUMNS:
        best = [
            _best_transform(memoryview(column.view("u1")), (width,) if width in NUMBER_WIDTHS else (), compressed_size)
            for width, column in zip(layout.widths, transforms.columns(sample, layout.widths), strict=True)
        ]
        if sum(size for _, size in best) < _WORTHWHILE_COLUMNS * shuffled_size:
            return Choice(tuple(transform for transform, _ in best), key)
    return Choice((Transform(Kind.SHUFFLE, row_size),), key)


def _number_widths(item_size: int) -> tuple[int, ...]:
    if item_size in NUMBER_WIDTHS:
        return (item_size,)
    # Bytes, and the letters of texts, may be numbers of any kind.
    return (8, 4) if item_size == 1 or not item_size % 4 else ()


def _middle(data: Any, unit: int, length: int) -> Any:
    """Take some whole units from the middle."""
    start = max(len(data) - length, 0) // 2 // unit * unit
    return data[start : start + length]


def _best_partition(
    sample: Any, row_size: int, compressed_size: CompressedSize
) -> tuple[tuple[int, int] | None, Any, int]:
    """Find what tells rows of two kinds from each other: a byte that often is the same, as others are in these rows.

    :return: the partition, if one is worthwhile; the sample, partitioned; and how small it becomes, shuffled.
    """
    import numpy as np

    keys: dict[bytes, tuple[int, int]] = {}
    counts_of_masks: Counter[bytes] = Counter()
    for offset, plane in enumerate(np.ascontiguousarray(np.frombuffer(sample, "u1").reshape(-1, row_size).T)):
        counts = np.bincount(plane)
        value = int(counts.argmax())
        if _PARTITION_SHARE[0] <= counts[value] / len(plane) <= _PARTITION_SHARE[1]:
            first = plane == value
            mask = np.packbits(first if first[0] else ~first).tobytes()
            keys[mask] = offset, value
            counts_of_masks[mask] += 1
    shuffle = Transform(Kind.SHUFFLE, row_size)
    best, best_sample, smallest = None, sample, _transformed_size(shuffle, sample, compressed_size)
    for mask, _ in counts_of_masks.most_common(_PARTITIONS_TRIED):
        _, partitioned = transforms.partition(sample, row_size, keys[mask])
        size = _transformed_size(shuffle, partitioned, compressed_size) + compressed_size(mask)
        if size < _WORTHWHILE * smallest:
            best, best_sample, smallest = keys[mask], bytes(partitioned), size
    return best, best_sample, smallest


def _best_transform(
    sample: Any, number_widths: tuple[int, ...], compressed_size: CompressedSize
) -> tuple[Transform, int]:
    """Find the best transform of a column, and how small it becomes.

    :param number_widths: the bytes that its numbers may have.
    """
    best, smallest = Transform(Kind.PLAIN), compressed_size(sample)
    for transform in _candidates(sample, number_widths):
        size = _transformed_size(transform, sample, compressed_size)
        if size < _WORTHWHILE * smallest:
            best, smallest = transform, size
    return best, smallest


def _transformed_size(transform: Transform, sample: Any, compressed_size: CompressedSize) -> int:
    return compressed_size(transforms.apply_one(transform, sample)[1])


def _candidates(sample: Any, number_widths: tuple[int, ...]) -> Iterator[Transform]:
    for width in number_widths:
        yield Transform(Kind.SHUFFLE, width)
        yield Transform(Kind.DELTA, width)
    if 8 in number_widths and len(sample) % 8 == 0:
        digits = _decimal_digits(sample)
        if digits is not None:
            yield Transform(Kind.DECIMAL, digits)


def _decimal_digits(sample: Any) -> int | None:
    """Count the digits of the decimals that most of the doubles are; None if they are none."""
    import numpy as np

    with np.errstate(all="ignore"):
        values = np.frombuffer(sample, "<f8", min(_DECIMAL_SAMPLE, len(sample) // 8))
        scales = 10.0 ** np.arange(_MAX_DIGITS)[:, None]
        exact = np.count_nonzero(np.rint(values * scales) / scales == values, axis=1)
    enough = np.flatnonzero(8 * exact >= 7 * len(values))
    return int(enough[0]) if len(enough) else None
