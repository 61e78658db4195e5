"""Containers that start together agree on one proposal."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import fsspec
import pytest

from airflow_provider_kedro_vertex.runtime.mlflow.create_once import agree
from airflow_provider_kedro_vertex.runtime.storage import StorageError
from tests.storage import storage_emulator


class Container:
    """One that proposes itself, and notes what becomes of that."""

    def __init__(self, together: Barrier | None = None) -> None:
        self.own = {"run_id": uuid.uuid4().hex}
        self.withdrawn: list[Mapping[str, Any]] = []
        self.proposed = 0
        self._together = together

    def _propose(self) -> Mapping[str, Any]:
        self.proposed += 1
        if self._together:
            self._together.wait(120)
        return self.own

    def agree(self, url: str) -> dict[str, Any]:
        return agree(url, self._propose, self.withdrawn.append)


def test_the_first_is_kept_and_later_ones_need_no_proposal(tmp_path: Path) -> None:
    url = f"{tmp_path}/folder/agreed.json"
    first, second = Container(), Container()
    assert first.agree(url) == second.agree(url) == first.own
    assert (first.withdrawn, second.withdrawn, second.proposed) == ([], [], 0)
    assert os.listdir(tmp_path / "folder") == ["agreed.json"]


@pytest.mark.parametrize("number", range(20))
def test_all_agree_and_each_loser_withdraws(tmp_path: Path, number: int) -> None:
    url = f"{tmp_path}/agreed.json"
    containers = [Container(together) for together in [Barrier(8)] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        agreed = list(pool.map(lambda one: one.agree(url), containers))
    assert all(one == agreed[0] for one in agreed)
    (winner,) = [one for one in containers if one.own == agreed[0]]
    assert winner.withdrawn == []
    assert all(one.withdrawn == [one.own] for one in containers if one is not winner)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a storage emulator, which gcsfs in this process finds."""
    # Else gcsfs 2026 asks the bucket for its kind, over an API that the emulator lacks.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    with storage_emulator("bucket") as url:
        monkeypatch.setitem(fsspec.config.conf, "gs", {"endpoint_url": url, "token": "anon"})
        yield "gs://bucket"


def test_in_cloud_storage_the_first_is_kept(bucket: str) -> None:
    first, second = Container(), Container()
    assert first.agree(f"{bucket}/run/agreed.json") == second.agree(f"{bucket}/run/agreed.json") == first.own
    assert second.proposed == 0


def test_a_storage_that_fails_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/agreed\.json failed: NotADirectoryError"):
        Container().agree(f"{tmp_path}/file/agreed.json")
