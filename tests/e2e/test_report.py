"""What the demo prints."""

from __future__ import annotations

from datetime import date

import pytest

from tools.demo.airflow import Run, Task
from tools.demo.report import Progress, table
from tools.demo.vertex import VertexJob

RUN = Run("backfill__1", date(2013, 6, 1), "running", None)
TASKS = [Task("submit", "success"), Task("wait", "none")]


def job(*states: str) -> VertexJob:
    nodes = {f"n{number}": state for number, state in enumerate(states)}
    return VertexJob("job-1", "flights", RUN.run_id, "RUNNING", nodes, "http://127.0.0.1/job-1")


def test_a_run_is_printed_when_something_changed(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.show(RUN, TASKS, None)
    progress.show(RUN, TASKS, job("SUCCEEDED", "RUNNING", "PENDING"))
    progress.show(RUN, TASKS, job("SUCCEEDED", "RUNNING", "PENDING"))
    progress.show(RUN, TASKS, job("SUCCEEDED", "FAILED", "PENDING"))
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()] == [
        "run running | submit success",
        "run running | submit success | nodes 1/3 | running: n1",
        "run running | submit success | nodes 1/3 | failed: n1",
    ]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("run", "day"), [("a", "2013-06-01"), ("long", "")]).splitlines() == [
        "run   day",
        "----  ----------",
        "a     2013-06-01",
        "long",
    ]
