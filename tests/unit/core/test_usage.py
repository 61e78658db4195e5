"""The line by which a container tells what it used."""

from __future__ import annotations

import json

import pytest

from airflow_provider_kedro_vertex.core.jobs.marked import LENGTH
from airflow_provider_kedro_vertex.core.jobs.usage import MARK, NodeSeconds, Usage, from_lines, to_line

USED = Usage(700 << 20, 2 << 30, 21.4, 1.9, 14.2, {"train": NodeSeconds(1.2, 10.4, 0.3), "ümlaut": NodeSeconds()})


def test_what_was_written_is_read_and_the_last_line_counts() -> None:
    line = to_line(USED)
    assert line.isascii()
    assert "\n" not in line
    assert from_lines(["something else", to_line(Usage(1, None, 0, 0, 0)), line, "more"]) == USED
    assert from_lines([to_line(Usage(1, None, 2, 3, 4))]) == Usage(1, None, 2, 3, 4)


def test_more_nodes_than_the_line_takes_are_left_out() -> None:
    line = to_line(Usage(1, 2, 3, 4, 5, {f"node_{number}": NodeSeconds() for number in range(2000)}))
    assert len(line) <= LENGTH
    assert from_lines([line]) == Usage(1, 2, 3, 4, 5)


WHOLE = {"memory": 1, "limit": None, "cpu_seconds": 1.0, "cores": 1.0, "seconds": 1.0, "nodes": {}}


@pytest.mark.parametrize(
    "told",
    [
        "{}",
        "[1]",
        "no JSON",
        json.dumps({**WHOLE, "memory": -1}),
        json.dumps({**WHOLE, "memory": "much"}),
        json.dumps({**WHOLE, "memory": True}),
        json.dumps({**WHOLE, "limit": "none"}),
        json.dumps({**WHOLE, "seconds": float("inf")}),
        json.dumps({**WHOLE, "nodes": []}),
        json.dumps({**WHOLE, "nodes": {"a": {"load": 1}}}),
        json.dumps({**WHOLE, "nodes": {"a": 1}}),
        json.dumps(WHOLE) + " " * LENGTH,
    ],
)
def test_a_line_of_another_form_is_left_out(told: str) -> None:
    assert from_lines([MARK + told]) is None
    assert from_lines([to_line(USED), MARK + told]) == USED
    assert from_lines([MARK + json.dumps(WHOLE)]) == Usage(1, None, 1, 1, 1)
