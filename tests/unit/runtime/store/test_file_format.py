"""The file format of stored datasets: values come back as they were, or not at all."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.runtime import store
from airflow_provider_kedro_vertex.runtime.store import file_format

LEVELS = st.sampled_from([None, -1, store.DEFAULT_LEVEL])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)
RECORD = np.dtype([("number", "i4"), ("value", "f8"), ("flag", "u1"), ("text", "S3"), ("pair", "2f4")], align=True)
ARRAYS = st.builds(
    lambda shape, kind, order: np.asarray(np.arange(int(np.prod(shape))).reshape(shape), dtype=kind, order=order),
    st.lists(st.integers(0, 5), max_size=3),
    st.sampled_from(["int8", "float64", "complex128", "datetime64[s]", "U3", "object", RECORD, RECORD["pair"].base]),
    st.sampled_from(["C", "F"]),
)


def dumped(value: Any, level: int | None = store.DEFAULT_LEVEL) -> bytes:
    file = io.BytesIO()
    store.dump(value, file, level)
    return file.getvalue()


def loaded(data: bytes) -> Any:
    return store.load(io.BytesIO(data))


@given(VALUES, LEVELS)
def test_values_come_back(value: Any, level: int | None) -> None:
    # Pickled again, so that NaN equals itself and 1 does not equal True.
    assert pickle.dumps(loaded(dumped(value, level))) == pickle.dumps(pickle.loads(pickle.dumps(value)))


@given(ARRAYS, LEVELS)
def test_arrays_come_back(array: Any, level: int | None) -> None:
    back = loaded(dumped(array, level))
    assert (back.dtype, back.shape, back.flags.f_contiguous) == (array.dtype, array.shape, array.flags.f_contiguous)
    assert np.array_equal(back, array)
    assert back.flags.writeable


def test_tables_come_back() -> None:
    table = pd.DataFrame(
        {
            "float": np.linspace(0, 1, 1000),
            "text": [f"row {i}" for i in range(1000)],
            "category": pd.Categorical(["a", "b"] * 500),
            "time": pd.date_range("2013-01-01", periods=1000, tz="UTC"),
        },
        index=pd.RangeIndex(1000, name="row"),
    )
    back = loaded(dumped({"table": table, "part": table.iloc[::3]}))
    pd.testing.assert_frame_equal(back["table"], table)
    pd.testing.assert_frame_equal(back["part"], table.iloc[::3])


def test_what_is_larger_than_a_block() -> None:
    value = {"bytes": bytes(5_000_000), "array": np.arange(1_000_000), "texts": [str(i) for i in range(200_000)]}
    back = loaded(dumped(value))
    assert np.array_equal(back.pop("array"), value.pop("array"))
    assert back == value


def test_small_arrays_that_share_blocks() -> None:
    arrays = [np.arange(start, start + 1000).astype(RECORD) for start in range(150)]
    arrays += [np.arange(start, dtype=kind) for start in range(300) for kind in ("f4", "f8", "i8")]
    for back, array in zip(loaded(dumped(arrays)), arrays, strict=True):
        assert np.array_equal(back, array)


def test_records_whose_fields_have_any_names() -> None:
    array = np.arange(1000).astype([("a:b", "f8"), ("ć d", "i4")])
    back = loaded(dumped(array))
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


def test_numbers_that_change_their_nature_on_the_way() -> None:
    random = np.random.default_rng(1)
    column = np.concatenate([np.arange(200_000) / 10, random.random(200_000), np.zeros(1000), random.random(200_000)])
    table = np.stack([column, column[::-1], np.arange(len(column))])
    for value in (column, table, table.T, np.ascontiguousarray(table.T)):
        assert np.array_equal(loaded(dumped(value)), value)


def test_code_of_the_project_comes_back() -> None:
    factor = 3
    back = loaded(dumped(lambda value: value * factor))
    assert back(2) == 6


def test_objects_that_are_one_stay_one() -> None:
    array = np.arange(10)
    first, second = loaded(dumped([array, array]))
    assert first is second


def test_arrays_are_neither_copied_into_the_pickle_nor_out_of_it() -> None:
    array = np.arange(1_000_000)
    file = dumped(array, None)
    assert len(file) < array.nbytes + 10_000
    back = loaded(file)
    owner = _owner(back)
    assert isinstance(owner, np.ndarray), "it keeps the memory it was read into"
    assert (owner.dtype, owner.nbytes) == ("u1", array.nbytes)
    assert back.flags.writeable


def _owner(array: Any) -> Any:
    owner = array.obj if isinstance(array, memoryview) else array.base if isinstance(array, np.ndarray) else None
    return array if owner is None else _owner(owner)


def test_arrays_that_share_memory_lie_where_processors_want_them() -> None:
    pieces = [np.arange(size, dtype=kind) for size in (33, 1001, 4099) for kind in ("u1", "f8", "u2", "c16")]
    arrays = [*pieces, *(np.arange(999).astype(RECORD) for _ in range(3)), np.array(["a" * 90, "b"] * 99)]
    arrays += [array.copy() for array in arrays]
    for back, array in zip(loaded(dumped(arrays)), arrays, strict=True):
        assert back.flags.aligned
        assert np.array_equal(back, array)
        back[...] = back[::-1].copy()  # their own, and nobody else's
    table = pd.DataFrame({"text": pd.array(["ä", None, "xyz"] * 70, dtype="string[pyarrow]"), "int": range(210)})
    pd.testing.assert_frame_equal(loaded(dumped([table, table]))[1], table)


DAMAGEABLE = st.sampled_from(
    [list(range(100)), [np.arange(300).astype(RECORD), np.arange(100.0), np.arange(9)], np.zeros(200_000)]
)


@given(st.data())
def test_a_file_that_is_cut_short_is_refused(data: st.DataObject) -> None:
    whole = dumped(data.draw(DAMAGEABLE), data.draw(LEVELS))
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(store.CorruptFileError):
        loaded(whole[:length])


@given(st.data())
def test_a_file_that_is_damaged_is_refused(data: st.DataObject) -> None:
    whole = bytearray(dumped(data.draw(DAMAGEABLE), data.draw(LEVELS)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(store.CorruptFileError):
        loaded(bytes(whole))


def test_a_file_out_of_order_or_put_together_from_two_is_refused() -> None:
    for kind in (bytes, np.zeros):
        one, other = dumped(kind(4 << 20), None), dumped(kind(4 << 20), None)
        size = (len(dumped(kind(16 << 20), None)) - len(dumped(kind(8 << 20), None))) // (64 if kind is np.zeros else 8)
        begin = len(file_format.MAGIC) + 16 + size
        first, second = slice(begin, begin + size), slice(begin + size, begin + 2 * size)
        assert loaded(one[: first.start] + one[first] + one[second] + one[second.stop :]) is not None
        for wrong in (
            one[second] + one[first],
            one[first] + one[first],
            one[second],
            other[first] + one[second],
        ):
            with pytest.raises(store.CorruptFileError):
                loaded(one[: first.start] + wrong + one[second.stop :])


def test_a_file_of_another_kind_or_with_more_in_it_is_refused() -> None:
    for data in (b"", pickle.dumps(1), dumped(1) + dumped(2)[6:]):
        if data.startswith(file_format.MAGIC):
            assert loaded(data) == 1, "what follows the end is not read"
        else:
            with pytest.raises(store.CorruptFileError):
                loaded(data)


def test_nothing_of_a_damaged_block_is_unpickled(tmp_path: Path) -> None:
    whole = bytearray(dumped(_Touch(tmp_path / "unpickled"), None))
    loaded(bytes(whole))
    (tmp_path / "unpickled").unlink()
    whole[-10] ^= 1
    with pytest.raises(store.CorruptFileError):
        loaded(bytes(whole))
    assert (tmp_path / "unpickled").exists(), "only the end was damaged"
    (tmp_path / "unpickled").unlink()
    whole[20] ^= 1
    with pytest.raises(store.CorruptFileError):
        loaded(bytes(whole))
    assert not (tmp_path / "unpickled").exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


PEAK = """
import re, sys
from pathlib import Path
import numpy
from airflow_provider_kedro_vertex.runtime import store

dataset = store.StoredDataset("big", sys.argv[2])
dataset.save(numpy.arange(10))  # imports what there is to import
dataset.load()

def peak():
    # Not getrusage: a new process inherits the peak of the one that started it.
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

before = peak()
if sys.argv[1] == "save":
    dataset = store.StoredDataset("big", sys.argv[3])
    dataset.save(numpy.random.default_rng(0).random(100_000_000 // 8))
else:
    value = store.StoredDataset("big", sys.argv[3]).load()
    assert value.nbytes == 100_000_000
print((peak() - before) / 100_000_000)
"""


def test_memory_stays_within_one_and_a_half_times_the_value(tmp_path: Path) -> None:
    for action in ("save", "load"):
        arguments = [sys.executable, "-c", PEAK, action, str(tmp_path / "small.bin"), str(tmp_path / "big.bin")]
        times = float(subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=120).stdout)
        assert 0.9 < times < 1.5, action
