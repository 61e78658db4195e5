"""Columns of texts: they come back as they were, and are stored without a copy."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_kedro_vertex.runtime import store
from airflow_provider_kedro_vertex.runtime.store.reducers import reducers

of_arrow = pytest.mark.skipif(pd.__version__.startswith("2."), reason="the texts of pandas 2 are Python objects")

TEXTS = [None if number % 7 == 0 else f"text {number % 1000}" for number in range(50_000)]
COLUMNS = {
    "one chunk": pd.Series(TEXTS, dtype="str"),
    "chunks": pd.concat([pd.Series(TEXTS, dtype="str")] * 3, ignore_index=True),
    "small chunks": pd.concat([pd.Series(TEXTS[:10], dtype="str")] * 5, ignore_index=True),
    "a slice": pd.Series(TEXTS, dtype="str")[1000:40_000],
    "chosen": pd.Series(TEXTS, dtype="str")[::3],
    "no rows": pd.Series([], dtype="str"),
    "nothing": pd.Series([None] * 50_000, dtype="str"),
    "numbers of Arrow": pd.Series(range(50_000), dtype="int64[pyarrow]"),
    "dictionary": pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    "lists": pd.Series([[number] * 3 for number in range(50_000)], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
}


def stored(value: Any) -> bytes:
    file = io.BytesIO()
    store.dump(value, file, None)
    return file.getvalue()


def chunks(column: pd.Series[Any]) -> int:
    return int(column.array.__arrow_array__().num_chunks)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_come_back(name: str) -> None:
    column = COLUMNS[name]
    back = store.load(io.BytesIO(stored({"column": column, "again": column, "index": pd.Index(column)})))
    pd.testing.assert_series_equal(back["column"], column)
    assert back["again"] is back["column"]
    pd.testing.assert_index_equal(back["index"], pd.Index(column))


@of_arrow
def test_only_chunks_that_are_whole_and_not_small_are_kept() -> None:
    assert reducers().keys() == {pd.arrays.ArrowStringArray, pd.arrays.ArrowExtensionArray}
    kept = {name: chunks(store.load(io.BytesIO(stored(column)))) for name, column in COLUMNS.items()}
    assert kept["chunks"] == chunks(COLUMNS["chunks"]) == 3
    assert kept["small chunks"] == 1 < chunks(COLUMNS["small chunks"])


@of_arrow
def test_a_part_of_a_column_is_stored_alone() -> None:
    whole = pd.Series(TEXTS * 10, dtype="str")
    assert len(stored(whole[:5000])) * 90 < len(stored(whole))
    assert len(stored(whole[:400_000])) * 10 < len(stored(whole)) * 8.1


PEAK = """
import re
from pathlib import Path
import pandas, pyarrow
from airflow_provider_kedro_vertex.runtime import store

class Nowhere:
    def write(self, data):
        pass

def memory(name):
    return 1024 * int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

texts = pyarrow.array([f"text number {number}" for number in range(100_000)], pyarrow.large_string())
table = pandas.DataFrame({n: pandas.Series(pyarrow.chunked_array([texts] * 20), dtype="str") for n in "abcd"}).copy()
size = table.memory_usage(deep=True).sum()
store.dump(table[:1000], Nowhere())  # imports what there is to import
pyarrow.default_memory_pool().release_unused()
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = memory("VmRSS")
store.dump(table, Nowhere())
print(size, (memory("VmHWM") - before) / size)
"""


@of_arrow
def test_a_table_of_texts_is_stored_without_a_copy() -> None:
    done = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True, timeout=120)
    size, times = map(float, done.stdout.split())
    assert size > 100_000_000
    assert times < 0.5, "one column, a quarter, and what waits to be written"
