"""Containers that start together create a file once."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Barrier
from typing import Any

import fsspec
import pytest

from airflow_provider_kedro_vertex.runtime.mlflow.create_once import read_or_create
from airflow_provider_kedro_vertex.runtime.storage import StorageError
from tests.storage import storage_emulator


class Container:
    """One that creates the file with its own id, and notes what becomes of that."""

    def __init__(self, together: Barrier | None = None) -> None:
        self.own = {"run_id": uuid.uuid4().hex}
        self.discarded: list[Mapping[str, Any]] = []
        self.created = 0
        self._together = together

    def _create(self) -> Mapping[str, Any]:
        self.created += 1
        if self._together:
            self._together.wait(120)
        return self.own

    def read_or_create(self, url: str) -> dict[str, Any]:
        return read_or_create(url, self._create, self.discarded.append)


def test_the_first_is_kept_and_later_ones_create_nothing(tmp_path: Path) -> None:
    url = f"{tmp_path}/folder/shared.json"
    first, second = Container(), Container()
    assert first.read_or_create(url) == second.read_or_create(url) == first.own
    assert (first.discarded, second.discarded, second.created) == ([], [], 0)
    assert os.listdir(tmp_path / "folder") == ["shared.json"]


@pytest.mark.parametrize("number", range(20))
def test_all_get_the_first_and_each_other_discards_its_own(tmp_path: Path, number: int) -> None:
    url = f"{tmp_path}/shared.json"
    containers = [Container(together) for together in [Barrier(8)] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(lambda one: one.read_or_create(url), containers))
    assert all(one == shared[0] for one in shared)
    (winner,) = [one for one in containers if one.own == shared[0]]
    assert winner.discarded == []
    assert all(one.discarded == [one.own] for one in containers if one is not winner)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a storage emulator, which gcsfs in this process finds."""
    # Else gcsfs 2026 asks the bucket for its kind, over an API that the emulator lacks.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    with storage_emulator("bucket") as url:
        monkeypatch.setitem(fsspec.config.conf, "gs", {"endpoint_url": url, "token": "anon"})
        yield "gs://bucket"


@pytest.mark.skipif(
    tuple(map(int, version("gcsfs").split(".")[:2])) < (2024, 12),
    reason="the extra `mlflow` wants gcsfs 2024.12, the first that creates and does not overwrite",
)
def test_in_cloud_storage_the_first_is_kept(bucket: str) -> None:
    first, second = Container(), Container()
    assert (
        first.read_or_create(f"{bucket}/run/shared.json")
        == second.read_or_create(f"{bucket}/run/shared.json")
        == first.own
    )
    assert second.created == 0


def test_a_storage_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/shared\.json failed: NotADirectoryError"):
        Container().read_or_create(f"{tmp_path}/file/shared.json")
