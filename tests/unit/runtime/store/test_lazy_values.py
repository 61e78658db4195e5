"""Values that are pickled without their data: refused, unless every container reaches the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pytest

from airflow_provider_kedro_vertex.runtime.store import NotStorableError, StoredDataset


@pytest.fixture
def dataset(tmp_path: Path) -> StoredDataset:
    return StoredDataset("rows", str(tmp_path / "rows.bin"))


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def refused(dataset: StoredDataset, value: Any, what: str) -> None:
    for each in (value, {"nested": [value]}):
        with pytest.raises(NotStorableError, match=rf"'rows'.*{what}.*Declare 'rows' in the catalog"):
            dataset.save(each)
        assert not dataset.exists()


def test_a_pyarrow_dataset(dataset: StoredDataset, parquet: Path, tmp_path: Path) -> None:
    refused(dataset, ds.dataset(str(parquet)), r"pyarrow dataset that reads .*x\.parquet")
    in_a_bucket = pyarrow.fs.SubTreeFileSystem(str(tmp_path), pyarrow.fs.LocalFileSystem())
    dataset.save(ds.dataset("x.parquet", filesystem=in_a_bucket))
    assert dataset.load().to_table().to_pydict() == {"a": [1, 2]}
    dataset.save(ds.dataset(pa.table({"a": [1]})).to_table())
    assert dataset.load().to_pydict() == {"a": [1]}


def test_a_polars_frame(dataset: StoredDataset, parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl = pytest.importorskip("polars")
    monkeypatch.chdir(parquet.parent)
    refused(dataset, pl.scan_parquet("x.parquet").filter(pl.col("a") > 1), "polars LazyFrame that reads .*parquet")
    refused(dataset, pl.scan_parquet([parquet, parquet]), "polars LazyFrame")
    for value in (pl.scan_parquet("gs://bucket/x.parquet"), pl.DataFrame({"a": [1]}).lazy(), pl.DataFrame({"a": [1]})):
        dataset.save(value)
        assert type(dataset.load()) is type(value)


def test_an_ibis_expression(dataset: StoredDataset, tmp_path: Path) -> None:
    ibis = pytest.importorskip("ibis")
    rows = pa.table({"a": [1, 2]})
    memory, file = ibis.duckdb.connect(), ibis.duckdb.connect(tmp_path / "x.duckdb")
    refused(dataset, memory.create_table("t", rows), "duckdb database in this container's memory")
    refused(dataset, file.create_table("t", rows).filter(ibis._.a > 1).a.sum(), r"duckdb database in .*x\.duckdb")
    dataset.save(ibis.memtable(rows))
    assert dataset.load().execute()["a"].tolist() == [1, 2]
