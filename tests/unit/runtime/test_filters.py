"""Rearranged numbers come back bit by bit, and compress better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.runtime import filters
from airflow_provider_kedro_vertex.runtime.filters import Form, Layout


def size(data: Any) -> int:
    return len(zstandard.ZstdCompressor(level=1).compress(data))


def stored(array: np.ndarray, *widths: int) -> tuple[int, int]:
    """The form of an array and its size in it, after a check that it comes back."""
    data = memoryview(array.tobytes())
    layout = Layout(widths)
    form, parameter, content = filters.done(data, layout, filters.chosen(data, layout, size))
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
    forms = filters.chosen(memoryview(one * times * layout.row), layout, size)
    data = memoryview(other * times * layout.row)
    assert came_back(data, *filters.done(data, layout, forms))


FLOATS = st.floats() | st.decimals(-1000, 1000, places=2, allow_nan=False).map(float) | st.just(-0.0)


@given(st.lists(FLOATS, min_size=1, max_size=50), st.integers(1, 200), st.sampled_from([(1,), (8,), (8, 8)]))
def test_floats_of_any_kind_come_back(values: list[float], times: int, widths: tuple[int, ...]) -> None:
    stored(np.array(values * times, "f8"), *widths)


@pytest.mark.parametrize("most", [0.0, 255.0, 256.0, 65_535.0, 65_536.0, 4294967295.0, 4294967296.0, 9e18])
@pytest.mark.parametrize("least", [0.0, -9e18])
def test_decimals_of_any_range_come_back(least: float, most: float) -> None:
    data = memoryview(np.resize([least, most], 99).tobytes())
    form, parameter, content = filters.done(data, Layout((8,)), (Form(filters.DECIMAL, 0),))
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
        (np.where(NUMBERS.random(50_000) < 0.5, -2.0, NUMBERS.normal(size=50_000)), (8,), filters.SPARSE, 0.94),
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
    forms = filters.chosen(memoryview(array.tobytes()), layout, size)
    assert forms == (Form(filters.DELTA, 8), Form(filters.DECIMAL, 2), Form(filters.PLAIN))


def test_the_leaves_of_a_tree_are_left_out_of_each_column() -> None:
    leaf = NUMBERS.random(5000) < 0.5
    array = np.zeros(5000, np.dtype([("left", "i8"), ("threshold", "f8"), ("value", "f8")]))
    array["left"], array["threshold"] = np.where(leaf, -1, np.arange(5000)), np.where(leaf, -2.0, DECIMALS[:5000])
    array["value"] = NUMBERS.normal(size=5000)
    layout = filters.layout(memoryview(array), 1)
    forms = filters.chosen(memoryview(array.tobytes()), layout, size)
    constants = [form.constant for form in forms]
    assert constants == [2**64 - 1, int(np.array(-2.0).view("u8")), None]
    data = memoryview(array.tobytes())
    form, parameter, content = filters.done(data, layout, forms)
    assert came_back(data, form, parameter, content)
    assert size(content) < 0.8 * size(array.tobytes())


@given(st.lists(st.sampled_from([0, 1, 2**63]), min_size=1, max_size=100), st.integers(1, 100), st.integers(0, 2))
def test_a_number_that_is_left_out_comes_back_however_often_it_is(values: list[int], times: int, constant: int) -> None:
    data = memoryview(np.array(values * times, "u8").tobytes())
    for inner in (Form(filters.PLAIN), Form(filters.SHUFFLE, 8), Form(filters.DELTA, 8), Form(filters.DECIMAL, 0)):
        assert came_back(data, *filters.done(data, Layout((8,)), (inner._replace(constant=constant),)))


def test_text_stays_as_it_is() -> None:
    text = np.frombuffer("".join(f"order {number} of day {number % 365}, " for number in range(5000)).encode(), "u1")
    assert stored(text, 1)[0] == filters.PLAIN
