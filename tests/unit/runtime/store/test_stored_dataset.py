"""Stored datasets on several filesystems: whole or not there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.core import url_to_fs
from kedro.io import DatasetError

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.storage import StorageError
from airflow_provider_kedro_vertex.runtime.store import (
    CorruptDatasetError,
    NotStorableError,
    StoredDataset,
    compression_level,
)


@pytest.fixture(params=["local", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    url = {"local": str(tmp_path), "file": tmp_path.as_uri(), "memory": f"memory://{uuid.uuid4().hex}"}[request.param]
    yield url
    filesystem, path = url_to_fs(url)
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def _files(folder: str) -> list[str]:
    filesystem, path = url_to_fs(folder)
    return sorted(name.rpartition("/")[2] for name in filesystem.find(path))


def test_a_value_comes_back_and_is_replaced(folder: str) -> None:
    dataset = StoredDataset("table", f"{folder}/deep/table.bin")
    assert not dataset.exists()
    dataset.save({"first": 1})
    assert dataset.exists()
    dataset.save({"second": [1, 2]})
    assert StoredDataset("table", f"{folder}/deep/table.bin").load() == {"second": [1, 2]}
    assert _files(folder) == ["table.bin"]


class _Large:
    """Larger than what is sent at once, and not to be pickled to its end."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Large, (bytearray(40_000_000), (value for value in "x")))


@pytest.mark.parametrize("value", [(value for value in "x"), {"large": _Large()}])
def test_a_value_that_cannot_be_pickled_leaves_the_old_one(tmp_path: Path, value: object) -> None:
    folder = str(tmp_path)
    dataset = StoredDataset("table", f"{folder}/table.bin", None)
    dataset.save("old")
    with pytest.raises(NotStorableError, match=r"'table'.*generator.*Declare 'table' in the catalog"):
        dataset.save(value)
    assert dataset.load() == "old"
    assert _files(folder) == ["table.bin"]


def test_a_damaged_one_is_refused(folder: str) -> None:
    dataset = StoredDataset("table", f"{folder}/table.bin")
    dataset.save(list(range(1000)))
    filesystem, path = url_to_fs(f"{folder}/table.bin")
    filesystem.pipe_file(path, filesystem.cat_file(path)[:-40])
    with pytest.raises(CorruptDatasetError, match=r"'table'.*table\.bin is damaged.*cut short in block"):
        dataset.load()


def test_a_missing_one(folder: str) -> None:
    with pytest.raises(DatasetError) as caught:
        StoredDataset("table", f"{folder}/table.bin").load()
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_value_whose_class_is_not_here(tmp_path: Path) -> None:
    dataset = StoredDataset("table", str(tmp_path / "table.bin"))
    dataset.save(_Elsewhere())
    with pytest.raises(DatasetError, match=r"'table'.*no_such_module.*other packages"):
        dataset.load()


class _Elsewhere:
    def __reduce__(self) -> tuple[Any, ...]:
        return (__import__, ("no_such_module",))


def test_storage_that_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    dataset = StoredDataset("table", str(tmp_path / "file" / "table.bin"))
    with pytest.raises(StorageError, match=r"file/table\.bin failed: \w+"):
        dataset.save(1)
    with pytest.raises(StorageError, match="NotADirectoryError"):
        dataset.load()


@pytest.mark.parametrize(("text", "level"), [("", 1), ("none", None), ("1", 1), ("-7", -7), ("22", 22)])
def test_compression(text: str, level: int | None) -> None:
    assert compression_level(text) == level


@pytest.mark.parametrize("text", ["lz4", "23", "-8", "1.5"])
def test_compression_that_is_wrong(text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        compression_level(text)
