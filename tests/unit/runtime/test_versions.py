"""Versions that an earlier try saved make room, and come back when the new try fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import CachedDataset, MemoryDataset, Version
from kedro_datasets.json import JSONDataset
from kedro_datasets.text import TextDataset

from airflow_provider_kedro_vertex.runtime.node_group import versions

VERSION = "2013-01-01T00.00.00.000Z-0123456789"


@pytest.fixture
def dataset(tmp_path: Path) -> JSONDataset:
    return JSONDataset(filepath=str(tmp_path / "total.json"), version=Version(None, VERSION))


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_pinned_dataset_does_not_see_a_later_version(tmp_path: Path, dataset: JSONDataset) -> None:
    JSONDataset(filepath=str(tmp_path / "total.json"), version=Version(None, "2014-01-01")).save("later")
    versions.pin(dataset, VERSION)
    dataset.save("own")
    assert dataset.load() == "own"


def test_pinning_reaches_through_a_cache_and_spares_what_has_no_versions(tmp_path: Path, dataset: JSONDataset) -> None:
    versions.pin(CachedDataset(dataset), VERSION)
    assert dataset.resolve_load_version() == VERSION
    plain = TextDataset(filepath=str(tmp_path / "plain.txt"))
    for other in (plain, MemoryDataset()):
        versions.pin(other, VERSION)
        assert versions.put_aside(other) is None
    assert plain.resolve_load_version() is None


def test_there_is_nothing_to_put_aside_at_first(dataset: JSONDataset) -> None:
    assert versions.put_aside(dataset) is None


def test_the_earlier_one_is_discarded_after_a_save(tmp_path: Path, dataset: JSONDataset) -> None:
    dataset.save("first")
    earlier = versions.put_aside(CachedDataset(dataset))
    assert earlier is not None
    dataset.save("second")
    earlier.discard()
    assert dataset.load() == "second"
    assert _files(tmp_path) == [f"total.json/{VERSION}/total.json"]


@pytest.mark.parametrize("half_written", [True, False])
def test_the_earlier_one_comes_back_after_a_failure(tmp_path: Path, dataset: JSONDataset, half_written: bool) -> None:
    dataset.save("first")
    earlier = versions.put_aside(dataset)
    assert earlier is not None
    if half_written:
        Path(earlier.path).write_text('"seco')
    earlier.restore()
    assert dataset.load() == "first"
    assert _files(tmp_path) == [f"total.json/{VERSION}/total.json"]


@pytest.mark.parametrize("half_written", [True, False])
def test_a_try_that_was_killed_in_between(tmp_path: Path, dataset: JSONDataset, half_written: bool) -> None:
    dataset.save("first")
    killed = versions.put_aside(dataset)
    assert killed is not None
    if half_written:
        Path(killed.path).write_text('"seco')
    earlier = versions.put_aside(dataset)
    assert earlier is not None
    earlier.restore()
    assert dataset.load() == "first"
    assert _files(tmp_path) == [f"total.json/{VERSION}/total.json"]


def test_a_version_that_is_a_folder(tmp_path: Path, dataset: JSONDataset) -> None:
    folder = tmp_path / "total.json" / VERSION / "total.json"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "1").write_text("first")
    earlier = versions.put_aside(dataset)
    assert earlier is not None
    assert not folder.exists()
    earlier.restore()
    assert _files(tmp_path) == [f"total.json/{VERSION}/total.json/part/1"]
