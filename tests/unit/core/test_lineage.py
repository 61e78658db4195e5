"""OpenLineage's names of datasets, and what nodes read and wrote by them."""

from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.core.project.lineage import DatasetName, Flow, dataset_name, flow
from airflow_provider_kedro_vertex.core.project.manifest import Node


@pytest.mark.parametrize(
    ("uri", "kind", "parts"),
    [
        ("gs://bucket/a/b.csv", "GCS", {"bucket_name": "bucket", "object_key": "a/b.csv"}),
        ("s3://bucket/a/b.csv", "S3", {"bucket_name": "bucket", "object_key": "a/b.csv"}),
        (
            "abfss://box@shop.dfs.core.windows.net/a/b",
            "ABFSS",
            {"container": "box", "service": "shop", "path": "a/b"},
        ),
        ("hdfs://node:8020/a/b", "HDFS", {"namenode_host": "node", "namenode_port": "8020", "path": "a/b"}),
        ("bigquery://p/d/t", "BigQuery", {"project_id": "p", "dataset_name": "d", "table_name": "t"}),
        (
            "postgres://db.test:5432/shop/public/orders",
            "Postgres",
            {"host": "db.test", "port": "5432", "database": "shop", "schema": "public", "table": "orders"},
        ),
        (
            "mysql://db.test:3306/shop/orders",
            "MySQL",
            {"host": "db.test", "port": "3306", "database": "shop", "table": "orders"},
        ),
    ],
)
def test_names_are_those_of_openlineages_own_client(uri: str, kind: str, parts: dict[str, str]) -> None:
    naming = pytest.importorskip("openlineage.client.naming.dataset", reason="OpenLineage's client is not installed")
    judge = getattr(naming, kind)(**parts)
    assert dataset_name(uri) == DatasetName(judge.get_namespace(), judge.get_name())


def test_other_places_keep_their_address() -> None:
    assert dataset_name("gs://bucket/") == DatasetName("gs://bucket", "/")
    assert dataset_name("https://shop.test/rows?#") == DatasetName("https://shop.test", "rows?#")


def test_what_nodes_hand_to_each_other_was_written() -> None:
    nodes = (
        Node("make", ("raw", "params:x"), ("table@pandas", "notes")),
        Node("report", ("table@spark",), ("result",)),
    )
    uris = {"raw": "gs://b/raw", "table@pandas": "gs://b/t", "table@spark": "gs://b/t", "result": "gs://b/x"}
    raw, table, result = (DatasetName("gs://b", name) for name in ("raw", "t", "x"))
    assert flow(nodes, uris) == Flow({raw: ("raw",)}, {table: ("table@pandas",), result: ("result",)})
    assert flow(nodes[1:], uris) == Flow({table: ("table@spark",)}, {result: ("result",)})
    assert flow(nodes, {}) == Flow({}, {})
