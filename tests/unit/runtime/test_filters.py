"""Rearranged numbers come back bit by bit, and compress better."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.runtime import filters


def size(data: Any) -> int:
    return len(zstandard.ZstdCompressor(level=1).compress(data))


def stored(array: np.ndarray, row: int) -> tuple[int, int]:
    """The form of an array and its size in it, after a check that it comes back."""
    data = memoryview(array.tobytes())
    form, parameter, content = filters.chosen(data, row, size)
    back = filters.undone(form, parameter, memoryview(bytes(content)), len(data))
    assert bytes(back) == bytes(data)
    return form, size(content)


@given(st.binary(max_size=3000), st.sampled_from([1, 2, 4, 8, 16, 24, 56, 5, 256]), st.integers(1, 400))
def test_bytes_of_any_kind_come_back(piece: bytes, row: int, times: int) -> None:
    stored(np.frombuffer(piece * times, "u1"), row)


FLOATS = st.floats() | st.decimals(-1000, 1000, places=2, allow_nan=False).map(float) | st.just(-0.0)


@given(st.lists(FLOATS, min_size=1, max_size=50), st.integers(1, 200), st.sampled_from([1, 8, 16]))
def test_floats_of_any_kind_come_back(values: list[float], times: int, row: int) -> None:
    stored(np.array(values * times, "f8"), row)


NUMBERS = np.random.default_rng(7)
DECIMALS = NUMBERS.normal(size=50_000).round(2)


@pytest.mark.parametrize(
    ("array", "row", "form", "better"),
    [
        (NUMBERS.normal(size=50_000).round(3), 8, filters.DECIMAL, 0.7),
        (np.where(NUMBERS.random(50_000) < 0.05, np.nan, DECIMALS), 8, filters.DECIMAL, 0.8),
        (np.cumsum(NUMBERS.integers(0, 40, 50_000)), 1, filters.DELTA, 0.6),
        (NUMBERS.normal(size=50_000), 8, filters.SHUFFLE, 0.97),
        (NUMBERS.integers(0, 1000, (5_000, 8)) * np.arange(1, 9) ** 9, 64, filters.COLUMNS, 0.7),
    ],
)
def test_the_form_that_suits(array: np.ndarray, row: int, form: int, better: float) -> None:
    found, smaller = stored(array, row)
    assert found == form
    assert smaller < better * size(array.tobytes())


def test_text_stays_as_it_is() -> None:
    text = np.frombuffer("".join(f"order {number} of day {number % 365}, " for number in range(5000)).encode(), "u1")
    assert stored(text, 1)[0] == filters.PLAIN
