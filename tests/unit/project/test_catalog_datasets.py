from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project.manifest import UNDECLARED, Dataset
from airflow_provider_kedro_vertex.project.datasets import resolve_datasets

PROJECT = Path("/home/somebody/project")


def resolve(name: str, catalog: dict[str, Any]) -> Dataset:
    credentials = {"file_db": {"con": "sqlite:///data/x.db"}, "open_db": {"con": "${oc.env:DB}"}}
    return resolve_datasets([name], catalog, PROJECT, lambda path: "conf/base/catalog.yml, line 1", credentials)[name]


def csv(filepath: str) -> dict[str, Any]:
    return {"type": "pandas.CSVDataset", "filepath": filepath}


def test_what_the_catalog_does_not_name_is_in_memory() -> None:
    assert resolve("x", {}) == Dataset("x", UNDECLARED, None, "memory", False)


@pytest.mark.parametrize("kind", ["MemoryDataset", "kedro.io.MemoryDataset", "kedro.io.SharedMemoryDataset"])
def test_memory_datasets_by_name(kind: str) -> None:
    assert resolve("x", {"x": {"type": kind}}) == Dataset("x", kind, None, "memory", False)


@pytest.mark.parametrize(
    ("behind", "scope"), [({"type": "MemoryDataset"}, "memory"), ({"type": "pandas.SQLTableDataset"}, "remote")]
)
def test_a_cached_dataset_keeps_what_the_one_behind_it_keeps(behind: dict[str, Any], scope: str) -> None:
    assert resolve("x", {"x": {"type": "kedro.io.CachedDataset", "dataset": behind}}).scope == scope


@pytest.mark.parametrize(
    ("filepath", "location", "scope"),
    [
        ("data/a.csv", "data/a.csv", "local"),
        ("./data//a.csv", "data/a.csv", "local"),
        ("/mnt/a.csv", "/mnt/a.csv", "local"),
        (f"{PROJECT}/data/a.csv", "data/a.csv", "local"),
        (f"file://{PROJECT}/data/a.csv", "data/a.csv", "local"),
        ("gs://bucket/a.csv", "gs://bucket/a.csv", "remote"),
        ("S3://bucket/a.csv", "S3://bucket/a.csv", "remote"),
        ("gs://bucket/a?b#c", "gs://bucket/a", "remote"),
        ("https://shop.test/a.csv", "https://shop.test/a.csv", "remote"),
        ("https://user:secret@shop.test/a.csv", "https://shop.test/a.csv", "remote"),
        ("https://secret@shop.test/a.csv?sig=secret", "https://shop.test/a.csv", "remote"),
        ("https://shop.test/b/2024-01-01/train_x.parquet", "https://shop.test/b/2024-01-01/train_x.parquet", "remote"),
        ("https://hooks.slack.com/services/T1/B1/secret", "https://hooks.slack.com/***", "remote"),
        ("https://shop.test/api/webhooks/1/secret", "https://shop.test/api/webhooks/***", "remote"),
        ("https://shop.test/v1/bot1:secret/send", "https://shop.test/v1/***", "remote"),
        ("https://shop.test/v1/0123456789abcdef0123/rows", "https://shop.test/v1/***", "remote"),
        ("https://shop.test/CustomerLifetimeValues.csv", "https://shop.test/CustomerLifetimeValues.csv", "remote"),
        ("https://shop.test/aBcDeFgHiJkLmNoPq/rows", "https://shop.test/***", "remote"),
        ("zip::" * 5000 + "gs://b/a.csv", "gs://b/a.csv", "remote"),
        ("https://shop.test/p/1fa85f64-5717-4562-b3fc-2c963f66afa6/a", "https://shop.test/p/***", "remote"),
        ("https://shop.test/a.csv#secret", "https://shop.test/a.csv", "remote"),
        ("abfss://container@shop.test/a.csv", "abfss://container@shop.test/a.csv", "remote"),
        ("abfss://user:secret@shop.test/a.csv", "abfss://shop.test/a.csv", "remote"),
        ("https://[secret/a.csv", None, "remote"),
        ("memory://a.csv", "memory://a.csv", "memory"),
    ],
)
def test_places(filepath: str, location: str | None, scope: str) -> None:
    dataset = resolve("x", {"x": csv(filepath)})
    assert (dataset.location, dataset.scope) == (location, scope)


@pytest.mark.parametrize(
    ("config", "location", "scope", "versioned"),
    [
        (
            {"type": "partitions.PartitionedDataset", "path": "gs://b/p", "dataset": csv("x")},
            "gs://b/p",
            "remote",
            False,
        ),
        ({"type": "CachedDataset", "dataset": csv("data/a.csv")}, "data/a.csv", "local", False),
        ({"type": "pandas.CSVDataset", "filepath": Path("data/a.csv")}, "data/a.csv", "local", False),
        ({"type": "CachedDataset", "versioned": True, "dataset": csv("gs://b/a")}, "gs://b/a", "remote", True),
        ({"type": "CachedDataset", "dataset": {**csv("gs://b/a"), "versioned": True}}, "gs://b/a", "remote", True),
        ({"type": "api.APIDataset", "url": "https://shop.test"}, "https://shop.test", "remote", False),
        ({"type": "pandas.SQLTableDataset", "table_name": "t", "credentials": "db"}, None, "remote", False),
        ({"type": "pandas.SQLTableDataset", "credentials": "file_db"}, None, "local", False),
        ({"type": "pandas.SQLTableDataset", "credentials": "open_db"}, None, "remote", False),
        ({"type": "pandas.SQLTableDataset", "credentials": {"con": "sqlite:///data/x.db"}}, None, "local", False),
        ({"type": "pandas.SQLTableDataset", "con": "sqlite:///data/x.db"}, "data/x.db", "local", False),
        ({"type": "spark.SparkJDBCDataset", "url": "jdbc:sqlite:gs:/x/y"}, None, "remote", False),
        ({"type": "neo4j.Dataset", "url": "bolt://u:secret@127.0.0.1:7687"}, "bolt://127.0.0.1:7687", "local", False),
        (
            {"type": "ibis.TableDataset", "connection": {"backend": "duckdb", "database": "data/x.duckdb"}},
            "data/x.duckdb",
            "local",
            False,
        ),
        ({"type": "ibis.TableDataset", "connection": {"backend": "duckdb"}}, ":memory:", "memory", False),
        (
            {
                "type": "ibis.TableDataset",
                "connection": {"backend": "postgres", "host": "db.corp", "password": "secret"},
            },
            "postgres://db.corp",
            "remote",
            False,
        ),
        (
            {"type": "ibis.TableDataset", "credentials": {"backend": "postgres", "host": "localhost"}},
            None,
            "local",
            False,
        ),
        ({**csv("gs://b/a"), "versioned": True}, "gs://b/a", "remote", True),
        ({**csv("gs://b/a"), "versioned": False}, "gs://b/a", "remote", False),
        ({**csv("gs://b/a"), "credentials": {"token": {"deep": "x"}}}, "gs://b/a", "remote", False),
    ],
)
def test_kinds_of_datasets(config: dict[str, Any], location: str | None, scope: str, versioned: bool) -> None:
    described = resolve("x", {"x": config})
    assert described == Dataset("x", config["type"], location, scope, versioned, table=described.table)


@pytest.mark.parametrize(
    ("config", "table"),
    [
        ({"type": "pandas.GBQTableDataset", "project": "p", "dataset": "d", "table_name": "t"}, "p.d.t"),
        ({"type": "pandas.GBQTableDataset", "dataset": "d", "table_name": "t"}, "d.t"),
        ({"type": "pandas.SQLTableDataset", "table_name": "t", "credentials": "db"}, "t"),
        ({"type": "pandas.SQLTableDataset", "table_name": "t", "save_args": {"schema": "s"}}, "s.t"),
        ({"type": "pandas.SQLTableDataset", "table_name": "t", "load_args": {"schema": "s"}}, "s.t"),
        ({"type": "pandas.CSVDataset", "filepath": "x.csv", "table_name": "t"}, None),
    ],
)
def test_tables(config: dict[str, Any], table: str | None) -> None:
    assert resolve("x", {"x": config}).table == table


def test_patterns_are_matched_as_kedro_does() -> None:
    catalog = {
        "{name}": csv("any/{name}"),
        "{area}.{name}": csv("gs://b/{area}/{name}"),
        "{area}.model_{name}": {"type": "{name}.Dataset", "filepath": "gs://b/m", "versioned": True},
        "sales.model_fixed": csv("gs://b/fixed"),
        "{name}@spark": {"type": "spark.SparkDataset", "filepath": "gs://b/{name}"},
    }
    names = ["plain", "sales.rows", "sales.model_tree", "sales.model_fixed", "rows@spark"]
    datasets = resolve_datasets(names, catalog, PROJECT, lambda path: "")
    assert {name: (dataset.type, dataset.location) for name, dataset in datasets.items()} == {
        "plain": ("pandas.CSVDataset", "any/plain"),
        "sales.rows": ("pandas.CSVDataset", "gs://b/sales/rows"),
        "sales.model_tree": ("tree.Dataset", "gs://b/m"),
        "sales.model_fixed": ("pandas.CSVDataset", "gs://b/fixed"),
        "rows@spark": ("spark.SparkDataset", "gs://b/rows"),
    }
    assert list(datasets) == sorted(names)


MAPPING = (
    "conf/base/catalog.yml, line 1: the catalog's entry 'x' must be a mapping with a type, such as "
    "{type: pandas.ParquetDataset, filepath: gs://bucket/name.parquet}."
)


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        ({"x": 1}, MAPPING),
        ({"x": {"filepath": "a"}}, MAPPING),
        ({"x": {"type": 5}}, MAPPING),
        (
            {"{a}": csv("{b}")},
            "The catalog is wrong: Incorrect dataset configuration provided. Keys used in the configuration {'{b}'} "
            "should present in the dataset pattern name {a}.",
        ),
        (
            {"{a}": csv("x"), "{b}": csv("x")},
            "The catalog is wrong: Multiple catch-all patterns found in the catalog: {a}, {b}. Only one catch-all "
            "pattern is allowed, remove the extras.",
        ),
    ],
)
def test_a_wrong_catalog_is_one_line(catalog: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("x", catalog)
    assert str(caught.value) == said
