"""What an experiment shows of a run's parameters, and of what its nodes return."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DataCatalog, MemoryDataset

from airflow_provider_kedro_vertex.runtime.experiment import values


def test_parameters_are_flat_and_plain() -> None:
    params = {
        "run_date": "2013-06-01",
        "model": {"regressor": {"loss": "poisson", "rate": 0.1}, "none": {}},
        "days": 14,
        "dry": True,
        "months": [1, 2],
        "nothing": None,
        "endless": math.inf,
        "huge": 10**400,
        "long": "x" * 501,
    }
    assert values.parameters(params) == {
        "run_date": "2013-06-01",
        "model.regressor.loss": "poisson",
        "model.regressor.rate": 0.1,
        "model.none": "{}",
        "days": 14,
        "dry": True,
        "months": "[1, 2]",
        "nothing": "null",
        "endless": "Infinity",
        "huge": "1" + "0" * 400,
        "long": "x" * 498 + "..",
    }


@pytest.mark.parametrize(
    ("name", "are"),
    [
        ("metrics", True),
        ("train_metrics", True),
        ("model.metrics", True),
        ("Train-Metrics", True),
        ("metrics#json", True),
        ("metrics@pandas", True),
        ("biometrics", False),
        ("metrics_plot", False),
        ("metric", False),
        ("scores", False),
    ],
)
def test_a_name_says_that_numbers_are_metrics(name: str, are: bool) -> None:
    assert values.are_metrics(name, MemoryDataset()) is are
    assert values.are_metrics(name, None) is are


def test_a_catalog_entry_says_so_or_denies_it() -> None:
    entry = {"type": "json.JSONDataset", "filepath": "data/x.json"}
    catalog = DataCatalog.from_config(
        {
            "scores": {**entry, "metadata": {"kedro-vertex": {"metrics": True}}},
            "metrics": {**entry, "metadata": {"kedro-vertex": {"metrics": False}}},
            "my_metrics": {**entry, "metadata": {"kedro-viz": {"layer": "reporting"}}},
            "others": {**entry, "metadata": {"kedro-vertex": "metrics"}},
        }
    )
    assert {name: values.are_metrics(name, catalog[name]) for name in catalog} == {
        "scores": True,
        "metrics": False,
        "my_metrics": True,
        "others": False,
    }


@pytest.mark.parametrize("kind", ["MetricsDataset", "MlflowMetricDataset"])
def test_a_type_says_so(kind: str) -> None:
    assert values.are_metrics("scores", type(kind, (SimpleNamespace,), {})())


def test_numbers_of_every_kind_and_nothing_else() -> None:
    data: dict[Any, Any] = {
        "mae": np.float32(0.5),
        "rows": np.int64(3),
        "half": Fraction(1, 2),
        "good": True,
        "kind": "linear",
        "nan": math.nan,
        "endless": np.float64("inf"),
        "by_airline": {"AA": 1, "per": {3: 2.5}},
        "list": [1, 2],
        "complex": 1j,
        "huge": Fraction(10**400, 3),
        "huge_too": 10**400,
    }
    expected = {"mae": 0.5, "rows": 3, "half": 0.5, "by_airline.AA": 1, "by_airline.per.3": 2.5}
    assert values.metrics("metrics#json", data) == expected
    assert values.metrics("test_metrics", data) == {f"test_metrics.{name}": value for name, value in expected.items()}
    assert values.metrics("scores", 0.25) == {"scores": 0.25}
    assert values.metrics("metrics", [1, 2]) == values.metrics("metrics", None) == values.metrics("metrics", {}) == {}


@given(st.dictionaries(st.text(), st.integers() | st.floats() | st.text() | st.booleans() | st.none(), max_size=50))
def test_whatever_comes_of_it_is_json_and_fits(data: dict[str, Any]) -> None:
    for found in (values.metrics("metrics", data), values.parameters(data)):
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_first_ones_are_told_where_there_are_too_many() -> None:
    found = values.metrics("metrics", {f"number_{number}": number for number in range(10_000)})
    assert list(found.values()) == list(range(len(found)))
    assert 40_000 < len(json.dumps(found)) < 50_000
