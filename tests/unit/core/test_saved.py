"""The line by which a container tells what it saved."""

from __future__ import annotations

import json

import pytest

from airflow_provider_kedro_vertex.core.jobs.marked import LENGTH
from airflow_provider_kedro_vertex.core.jobs.saved import MARK, Saved, from_lines, to_line

SMALL = {"table": Saved(3, (("day", "int64"), ("ümlaut", "object"))), "result": Saved(None, (("x", "float"),))}


def test_what_was_written_is_read() -> None:
    line = to_line(SMALL)
    assert line.isascii()
    assert "\n" not in line
    assert from_lines(["something else", line]) == SMALL
    assert from_lines([to_line({"table": Saved(1)}), line])["table"].rows == 3


def test_a_long_line_loses_columns_before_rows_and_the_widest_first() -> None:
    wide = Saved(7, tuple((f"column_{number}", "float64") for number in range(2000)))
    line = to_line({**SMALL, "wide": wide})
    assert len(line) <= LENGTH
    assert from_lines([line]) == {**SMALL, "wide": Saved(7)}


def test_more_datasets_than_the_line_takes_are_left_out() -> None:
    many = {f"dataset_{number}": Saved(number) for number in range(2000)}
    read = from_lines([to_line(many)])
    assert 100 < len(read) < 2000
    assert read.items() <= many.items()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[1]",
        json.dumps({"table": 1}),
        json.dumps({"table": {"rows": 1}}) + " " * LENGTH,
        "[" * 10_000,
    ],
)
def test_what_is_not_of_its_form_is_left_out(text: str) -> None:
    assert from_lines([MARK + text]) == {}


def test_values_of_another_kind_are_left_out() -> None:
    told = {"rows": -1, "columns": [["a", "int"], ["b"], ["c", 1], "d", ["e" * 300, "int"]]}
    assert from_lines([MARK + json.dumps({"t": told})]) == {"t": Saved(None, (("a", "int"), ("e" * 200, "int")))}
    assert from_lines([MARK + json.dumps({"t": {"rows": True, "columns": {}}})]) == {"t": Saved()}
