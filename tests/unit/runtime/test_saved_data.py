"""What a container tells of the data that it saved, where that is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.saved import MARK, Saved, from_lines
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from airflow_provider_kedro_vertex.runtime.node_group.saved_data import SavedData, describe
from tests.unit.runtime.containers import Project

TELLING = ("--settings", json.dumps({"report_data": True}))


def told(project: Project, *nodes: str, pipeline: str, options: tuple[str, ...] = TELLING) -> list[str]:
    result = project.command(*project.arguments(*nodes, pipeline=pipeline), *options)
    assert result.code == 0, result.log
    return [line for line in result.lines if line.startswith(MARK)]


def test_a_container_tells_once_what_the_catalog_saved_and_nothing_of_what_stays_in_the_run(shop: Project) -> None:
    lines = told(shop, "make_memo", "make_cached", "make_pattern_file", "make_hooked", pipeline="kinds")
    assert len(lines) == 1
    assert from_lines(lines) == {"cached": Saved(3), "pattern_file": Saved(3), "hooked": Saved(3)}


def test_nothing_is_told_where_nobody_asks_or_nothing_can_be_said(shop: Project) -> None:
    assert RuntimeSettings().report_data is False
    assert told(shop, "make_cached", pipeline="kinds", options=()) == []
    assert told(shop, "look", pipeline="look") == []  # saves a dict
    assert told(shop, "numbers", pipeline="__default__") == []  # stored for other containers


def test_data_tells_its_columns_and_rows_itself() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"day": [1, 2], 7: ["a", "b"]})
    assert describe(frame) == Saved(2, (("day", "int64"), ("7", str(frame.dtypes[7]))))
    assert describe(frame["day"]) == Saved(2, (("day", "int64"),))
    table = pyarrow.table({"a": [1.5]})
    assert describe(table) == Saved(1, (("a", "double"),))
    assert describe([1, 2]) == Saved(2)
    assert describe({"a": 1}) == describe("text") == describe(None) == Saved()


class DataFrame:
    """Spark's, as far as it is asked here, which fails."""

    __module__ = "pyspark.sql"

    @property
    def dtypes(self) -> Any:
        raise RuntimeError("no columns")


def test_data_that_cannot_be_described_fails_nothing_and_pieces_have_no_number_of_rows() -> None:
    hook = SavedData()
    hook.before_pipeline_run({"rows": object()})  # type: ignore[arg-type]
    hook.after_dataset_saved("rows", DataFrame())
    assert hook._saved == {}
    hook.after_dataset_saved("rows", [1])
    hook.after_dataset_saved("rows", [2, 3])
    assert hook._saved == {"rows": Saved()}
