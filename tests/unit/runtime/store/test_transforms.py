"""Rearranged numbers come back bit by bit, and compress better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.runtime.store import selection as choosing
from airflow_provider_kedro_vertex.runtime.store import transforms as filters
from airflow_provider_kedro_vertex.runtime.store.transforms import Choice, Form, Layout


def size(data: Any) -> int:
    return len(zstandard.ZstdCompressor(level=1).compress(data))


def stored(array: np.ndarray, *widths: int) -> tuple[int, int]:
    """The form of an array and its size in it, after a check that it comes back."""
    data = memoryview(array.tobytes())
    layout = Layout(widths)
    form, parameter, content = filters.done(data, layout, choosing.chosen(data, layout, size))
    assert came_back(data, form, parameter, content)
    return form, size(content)


def came_back(data: memoryview, form: int, parameter: int, content: Any) -> bool:
    back = bytearray(len(data))
    filters.undone(form, parameter, memoryview(bytes(content)), memoryview(back))
    return back == bytes(data)


WIDTHS = st.sampled_from([1, 2, 4, 8, 16, 24, 56, 5, 256]).map(lambda width: (width,)) | st.lists(
    st.sampled_from([1, 2, 3, 4, 5, 8]), min_size=2, max_size=20
).map(tuple)


@given(st.binary(max_size=3000), WIDTHS, st.integers(1, 400))
def test_bytes_of_any_kind_come_back(piece: bytes, widths: tuple[int, ...], times: int) -> None:
    stored(np.frombuffer(piece * times, "u1"), *widths)


@given(st.binary(max_size=3000), st.binary(max_size=3000), WIDTHS, st.integers(1, 100))
def test_forms_that_were_chosen_for_other_bytes_lose_nothing(
    one: bytes, other: bytes, widths: tuple[int, ...], times: int
) -> None:
    layout = Layout(widths)
    choice = choosing.chosen(memoryview(one * times * layout.row), layout, size)
    data = memoryview(other * times * layout.row)
    assert came_back(data, *filters.done(data, layout, choice))


FLOATS = st.floats() | st.decimals(-1000, 1000, places=2, allow_nan=False).map(float) | st.just(-0.0)


@given(st.lists(FLOATS, min_size=1, max_size=50), st.integers(1, 200), st.sampled_from([(1,), (8,), (8, 8)]))
def test_floats_of_any_kind_come_back(values: list[float], times: int, widths: tuple[int, ...]) -> None:
    stored(np.array(values * times, "f8"), *widths)


@pytest.mark.parametrize("most", [0.0, 255.0, 256.0, 65_535.0, 65_536.0, 4294967295.0, 4294967296.0, 9e18])
@pytest.mark.parametrize("least", [0.0, -9e18])
def test_decimals_of_any_range_come_back(least: float, most: float) -> None:
    data = memoryview(np.resize([least, most], 99).tobytes())
    form, parameter, content = filters.done(data, Layout((8,)), Choice((Form(filters.DECIMAL, 0),)))
    assert form == filters.DECIMAL
    assert came_back(data, form, parameter, content)


NUMBERS = np.random.default_rng(7)
DECIMALS = NUMBERS.normal(size=50_000).round(2)


@pytest.mark.parametrize(
    ("array", "widths", "form", "better"),
    [
        (NUMBERS.normal(size=50_000).round(3), (8,), filters.DECIMAL, 0.7),
        (np.where(NUMBERS.random(50_000) < 0.05, np.nan, DECIMALS), (8,), filters.DECIMAL, 0.8),
        (np.cumsum(NUMBERS.integers(0, 40, 50_000)), (1,), filters.DELTA, 0.6),
        (NUMBERS.normal(size=50_000), (8,), filters.SHUFFLE, 0.97),
        (NUMBERS.integers(0, 1000, (5_000, 8)) * np.arange(1, 9) ** 9, (8,) * 8, filters.COLUMNS, 0.7),
    ],
)
def test_the_form_that_suits(array: np.ndarray, widths: tuple[int, ...], form: int, better: float) -> None:
    found, smaller = stored(array, *widths)
    assert found == form
    assert smaller < better * size(array.tobytes())


def test_the_fields_of_records_and_the_items_of_short_rows_lie_side_by_side() -> None:
    record = np.dtype([("number", "i4"), ("value", "f8"), ("flag", "u1")], align=True)
    assert filters.layout(memoryview(np.zeros(3, record)), 1) == Layout((4, 4, 8, 1, 7), records=True)
    assert filters.layout(memoryview(np.zeros((3, 2), record)), 2) == Layout((4, 4, 8, 1, 7) * 2, records=True)
    assert filters.layout(memoryview(np.zeros((3, 4))), 4) == Layout((8,) * 4)
    assert filters.layout(memoryview(np.zeros((3, 400))), 400) == Layout((8,))
    assert filters.layout(memoryview(np.zeros((3, 400), "S300")), 400) == Layout((300,))
    assert filters.layout(memoryview(np.zeros(3, "S100000")), 1) == Layout((1,))


def test_a_records_columns_have_forms_of_their_own() -> None:
    record = np.dtype([("place", "i8"), ("price", "f8"), ("flag", "u1")])
    array = np.zeros(5000, record)
    array["place"], array["price"] = np.cumsum(NUMBERS.integers(0, 40, 5000)), DECIMALS[:5000]
    layout = filters.layout(memoryview(array), 1)
    choice = choosing.chosen(memoryview(array.tobytes()), layout, size)
    assert choice.forms == (Form(filters.DELTA, 8), Form(filters.DECIMAL, 2), Form(filters.PLAIN))


def tree(nodes: int) -> np.ndarray:
    """The nodes of a tree as scikit-learn keeps them, leaves and branches as they come."""
    leaf = NUMBERS.random(nodes) < 0.5
    array = np.zeros(nodes, np.dtype([("left", "i8"), ("threshold", "f8"), ("value", "f8"), ("is_leaf", "u1")]))
    array["left"] = np.where(leaf, -1, np.arange(nodes))
    array["threshold"] = np.where(leaf, -2.0, NUMBERS.normal(size=nodes))
    array["value"], array["is_leaf"] = NUMBERS.normal(size=nodes), leaf
    return array


@pytest.mark.parametrize("nodes", [5000, 100_000])
def test_the_leaves_of_a_tree_are_put_apart(nodes: int) -> None:
    array = tree(nodes)
    data, layout = memoryview(array.tobytes()), filters.layout(memoryview(array), 1)
    choice = choosing.chosen(data, layout, size)
    assert choice.key is not None
    place, number = choice.key
    found = np.frombuffer(data, "u1")[place :: layout.row] == number
    assert np.array_equal(found == found[0], array["is_leaf"] == array["is_leaf"][0])
    form, parameter, content = filters.done(data, layout, choice)
    assert form == filters.PARTED
    assert came_back(data, form, parameter, content)
    mixed = filters.done(data, layout, choice._replace(key=None))[2]
    assert size(content) < 0.95 * min(size(mixed), size(data))


@given(st.integers(0, 300), st.integers(0, 255), st.integers(0, 24), st.booleans())
def test_rows_that_are_put_apart_come_back(count: int, number: int, place: int, whole: bool) -> None:
    layout = Layout((8, 8, 8, 1))
    data = memoryview(NUMBERS.integers(0, 3, count * layout.row, "u1").tobytes())
    forms = (Form(filters.SHUFFLE, layout.row),) if whole else (Form(filters.DELTA, 8),) * 3 + (Form(filters.PLAIN),)
    assert came_back(data, *filters.done(data, layout, Choice(forms, (place, number))))


def test_text_stays_as_it_is() -> None:
    text = np.frombuffer("".join(f"order {number} of day {number % 365}, " for number in range(5000)).encode(), "u1")
    assert stored(text, 1)[0] == filters.PLAIN
