"""Rearranged numbers come back bit by bit, and compress better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.runtime.store import transforms
from airflow_provider_kedro_vertex.runtime.store.selection import choose
from airflow_provider_kedro_vertex.runtime.store.transforms import Choice, Kind, Layout, Transform


def size(data: Any) -> int:
    return len(zstandard.ZstdCompressor(level=1).compress(data))


def stored(array: np.ndarray, *widths: int) -> tuple[Kind, int]:
    """The transform of an array and its size with it, after a check that it comes back."""
    data = memoryview(array.tobytes())
    layout = Layout(widths)
    transform, content = transforms.apply(data, layout, choose(data, layout, size))
    assert came_back(data, transform, content)
    return transform.kind, size(content)


def came_back(data: memoryview, transform: Transform, content: Any) -> bool:
    back = bytearray(len(data))
    transforms.invert(transform, memoryview(bytes(content)), memoryview(back))
    return back == bytes(data)


WIDTHS = st.sampled_from([1, 2, 4, 8, 16, 24, 56, 5, 256]).map(lambda width: (width,)) | st.lists(
    st.sampled_from([1, 2, 3, 4, 5, 8]), min_size=2, max_size=20
).map(tuple)


@given(st.binary(max_size=3000), WIDTHS, st.integers(1, 400))
def test_bytes_of_any_kind_come_back(piece: bytes, widths: tuple[int, ...], times: int) -> None:
    stored(np.frombuffer(piece * times, "u1"), *widths)


@given(st.binary(max_size=3000), st.binary(max_size=3000), WIDTHS, st.integers(1, 100))
def test_transforms_that_were_chosen_for_other_bytes_lose_nothing(
    one: bytes, other: bytes, widths: tuple[int, ...], times: int
) -> None:
    layout = Layout(widths)
    choice = choose(memoryview(one * times * layout.row_size), layout, size)
    data = memoryview(other * times * layout.row_size)
    assert came_back(data, *transforms.apply(data, layout, choice))


FLOATS = st.floats() | st.decimals(-1000, 1000, places=2, allow_nan=False).map(float) | st.just(-0.0)


@given(st.lists(FLOATS, min_size=1, max_size=50), st.integers(1, 200), st.sampled_from([(1,), (8,), (8, 8)]))
def test_floats_of_any_kind_come_back(values: list[float], times: int, widths: tuple[int, ...]) -> None:
    stored(np.array(values * times, "f8"), *widths)


@pytest.mark.parametrize("most", [0.0, 255.0, 256.0, 65_535.0, 65_536.0, 4294967295.0, 4294967296.0, 9e18])
@pytest.mark.parametrize("least", [0.0, -9e18])
def test_decimals_of_any_range_come_back(least: float, most: float) -> None:
    data = memoryview(np.resize([least, most], 99).tobytes())
    transform, content = transforms.apply(data, Layout((8,)), Choice((Transform(Kind.DECIMAL, 0),)))
    assert transform.kind == Kind.DECIMAL
    assert came_back(data, transform, content)


NUMBERS = np.random.default_rng(7)
DECIMALS = NUMBERS.normal(size=50_000).round(2)


@pytest.mark.parametrize(
    ("array", "widths", "kind", "better"),
    [
        (NUMBERS.normal(size=50_000).round(3), (8,), Kind.DECIMAL, 0.7),
        (np.where(NUMBERS.random(50_000) < 0.05, np.nan, DECIMALS), (8,), Kind.DECIMAL, 0.8),
        (np.cumsum(NUMBERS.integers(0, 40, 50_000)), (1,), Kind.DELTA, 0.6),
        (NUMBERS.normal(size=50_000), (8,), Kind.SHUFFLE, 0.97),
        (NUMBERS.integers(0, 1000, (5_000, 8)) * np.arange(1, 9) ** 9, (8,) * 8, Kind.COLUMNS, 0.7),
    ],
)
def test_the_transform_that_suits(array: np.ndarray, widths: tuple[int, ...], kind: Kind, better: float) -> None:
    found, smaller = stored(array, *widths)
    assert found == kind
    assert smaller < better * size(array.tobytes())


def test_the_fields_of_records_and_the_items_of_short_rows_lie_side_by_side() -> None:
    record = np.dtype([("number", "i4"), ("value", "f8"), ("flag", "u1")], align=True)
    assert transforms.layout_of(memoryview(np.zeros(3, record)), 1) == Layout((4, 4, 8, 1, 7), is_record=True)
    assert transforms.layout_of(memoryview(np.zeros((3, 2), record)), 2) == Layout((4, 4, 8, 1, 7) * 2, is_record=True)
    assert transforms.layout_of(memoryview(np.zeros((3, 4))), 4) == Layout((8,) * 4)
    assert transforms.layout_of(memoryview(np.zeros((3, 400))), 400) == Layout((8,))
    assert transforms.layout_of(memoryview(np.zeros((3, 400), "S300")), 400) == Layout((300,))
    assert transforms.layout_of(memoryview(np.zeros(3, "S100000")), 1) == Layout((1,))


def test_a_records_columns_have_transforms_of_their_own() -> None:
    record = np.dtype([("place", "i8"), ("price", "f8"), ("flag", "u1")])
    array = np.zeros(5000, record)
    array["place"], array["price"] = np.cumsum(NUMBERS.integers(0, 40, 5000)), DECIMALS[:5000]
    layout = transforms.layout_of(memoryview(array), 1)
    choice = choose(memoryview(array.tobytes()), layout, size)
    assert choice.transforms == (Transform(Kind.DELTA, 8), Transform(Kind.DECIMAL, 2), Transform(Kind.PLAIN))


def tree(nodes: int) -> np.ndarray:
    """The nodes of a tree as scikit-learn keeps them, leaves and branches as they come."""
    leaf = NUMBERS.random(nodes) < 0.5
    array = np.zeros(nodes, np.dtype([("left", "i8"), ("threshold", "f8"), ("value", "f8"), ("is_leaf", "u1")]))
    array["left"] = np.where(leaf, -1, np.arange(nodes))
    array["threshold"] = np.where(leaf, -2.0, NUMBERS.normal(size=nodes))
    array["value"], array["is_leaf"] = NUMBERS.normal(size=nodes), leaf
    return array


@pytest.mark.parametrize("nodes", [5000, 100_000])
def test_the_leaves_of_a_tree_are_partitioned(nodes: int) -> None:
    array = tree(nodes)
    data, layout = memoryview(array.tobytes()), transforms.layout_of(memoryview(array), 1)
    choice = choose(data, layout, size)
    assert choice.partition is not None
    offset, value = choice.partition
    found = np.frombuffer(data, "u1")[offset :: layout.row_size] == value
    assert np.array_equal(found == found[0], array["is_leaf"] == array["is_leaf"][0])
    transform, content = transforms.apply(data, layout, choice)
    assert transform.kind == Kind.PARTITIONED
    assert came_back(data, transform, content)
    _, mixed = transforms.apply(data, layout, choice._replace(partition=None))
    assert size(content) < 0.95 * min(size(mixed), size(data))


@given(st.integers(0, 300), st.integers(0, 255), st.integers(0, 24), st.booleans())
def test_partitioned_rows_come_back(count: int, number: int, place: int, whole: bool) -> None:
    layout = Layout((8, 8, 8, 1))
    data = memoryview(NUMBERS.integers(0, 3, count * layout.row_size, "u1").tobytes())
    chosen = (
        (Transform(Kind.SHUFFLE, layout.row_size),)
        if whole
        else (Transform(Kind.DELTA, 8),) * 3 + (Transform(Kind.PLAIN),)
    )
    assert came_back(data, *transforms.apply(data, layout, Choice(chosen, (place, number))))


def test_text_stays_as_it_is() -> None:
    text = np.frombuffer("".join(f"order {number} of day {number % 365}, " for number in range(5000)).encode(), "u1")
    assert stored(text, 1)[0] == Kind.PLAIN
