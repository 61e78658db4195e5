"""The places of datasets as URIs: the same in each run and project, without anything of a run or a secret."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import AIRFLOW, Asset, make_asset
from airflow_provider_kedro_vertex.core.project.assets import asset_uri
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Scope

pytestmark = pytest.mark.usefixtures("uri_handlers")

DAY = "<storage>/<day>/rows.parquet"


def uri(location: str | None, scope: Scope = "remote", params: Any = None, **more: Any) -> str | None:
    return asset_uri(
        Dataset("rows", more.pop("type", "p.ParquetDataset"), location, scope, **more), params or {}, "mine"
    )


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("gs://bucket/a/b.parquet", "gs://bucket/a/b.parquet"),
        ("gcs://bucket/a/", "gs://bucket/a"),
        ("GS://bucket//a//b", "gs://bucket/a/b"),
        ("gs://bucket/<run_id>/b", "gs://bucket/{run_id}/b"),
        ("gs://bucket/ä b", None),
        ("gs://bucket/ä", "gs://bucket/%C3%A4"),
        ("gs://bucket", "gs://bucket/"),
        ("s3a://bucket/a", "s3://bucket/a"),
        ("abfss://container@account.test/a", "abfss://container@account.test/a"),
        ("https://shop.test/rows", "https://shop.test/rows"),
        ("postgresql+psycopg2://host/db", "postgres://host/db"),
        ("<storage>/a", None),
        ("gs:///a", None),
        (None, None),
    ],
)
def test_places(location: str | None, expected: str | None) -> None:
    assert uri(location) == expected


def test_what_is_in_a_container_alone_is_no_asset_and_a_mounted_bucket_is_one() -> None:
    assert uri("data/rows.csv", "local") is None
    assert uri(None, "memory") is None
    assert uri("/tmp/rows.csv", "local") is None
    assert uri("/gcs/bucket/rows.csv", "local") == "gs://bucket/rows.csv"


def test_values_of_one_run_are_left_out_and_those_of_all_runs_say_where() -> None:
    day = {"runtime_params": ("storage", "day"), "pattern": DAY}
    location = "gs://bucket/2013-06-01/rows.parquet"
    assert uri(location, **day) == "gs://bucket/{day}/rows.parquet"
    assert uri(location, params={"day": "{{ ds }}", "storage": None}, **day) == "gs://bucket/{day}/rows.parquet"
    assert uri(location, params={"storage": "gs://other/x"}, **day) == "gs://other/x/{day}/rows.parquet"
    assert uri(location, params={"day": "fixed"}, **day) == "gs://bucket/fixed/rows.parquet"
    assert uri("gs://bucket/elsewhere", **day) is None
    # A path that is relative at home.
    assert uri("data/2013-06-01/rows.parquet", "local", **day) is None
    assert uri("data/x/rows.parquet", "local", {"storage": "gs://b"}, **day) == "gs://b/{day}/rows.parquet"
    inner = {"runtime_params": ("day",), "pattern": "gs://bucket/<day>/rows"}
    assert uri("gs://bucket/2013-06-01/rows", **inner) == "gs://bucket/{day}/rows"


def test_tables() -> None:
    gbq = {"type": "pandas.GBQTableDataset", "table": "sales.orders"}
    assert uri(None, **gbq) == "bigquery://mine/sales/orders"
    assert uri(None, **{**gbq, "table": "other.sales.orders"}) == "bigquery://other/sales/orders"
    sql = {"type": "pandas.SQLTableDataset", "table": "orders"}
    assert uri("postgresql://host/shop", **sql) == "postgres://host:5432/shop/public/orders"
    assert uri("postgresql://host:1/shop", **{**sql, "table": "x.orders"}) == "postgres://host:1/shop/x/orders"
    assert uri("mysql+pymysql://host/shop", **sql) == "mysql://host:3306/shop/orders"
    assert uri("oracle://host/shop", **sql) is None
    assert uri(None, **sql) is None


@pytest.mark.parametrize(
    "text",
    [
        "gs://bucket/a/{day}/b.parquet",
        "gs://bucket/%C3%A4",
        "bigquery://mine/sales/orders",
        "postgres://host:5432/shop/public/orders",
        "mysql://host:3306/shop/orders",
        "s3://bucket/a",
        "https://shop.test/rows",
        pytest.param(
            "abfss://container@account.test/a",
            marks=pytest.mark.skipif(AIRFLOW < (3, 0), reason="Airflow 2 takes a container for a user, and drops it"),
        ),
    ],
)
def test_an_asset_is_the_one_that_airflow_makes_of_its_uri(text: str) -> None:
    assert make_asset(text) == Asset(text)
    assert make_asset(text).uri == Asset(text).uri == text
    if AIRFLOW != (3, 1):  # whose assets have no hash
        assert hash(make_asset(text)) == hash(Asset(text))
