"""The line of a container's log that tells what the container saved: columns, their types, and rows; no values.

``kedro-vertex saved: {"metrics": {"rows": 3, "columns": [["day", "int64"], ["mean", "float64"]]}}``. The container
writes it once, when all of its nodes have run, and Airflow's side reads it for OpenLineage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.marked import LENGTH, objects

#: How the line begins.
MARK = "kedro-vertex saved: "
#: The most signs of a column's name and of its type.
NAME_LENGTH = 200


@dataclass(frozen=True)
class Saved:
    """A dataset that was saved.

    :param rows: None where they cannot be told without work.
    :param columns: names and types, in their order; empty where it has none, or too many for the line.
    """

    rows: int | None = None
    columns: tuple[tuple[str, str], ...] = ()


def to_line(saved: Mapping[str, Saved]) -> str:
    """Write the line. What does not fit is left out: first the columns of datasets with the most, then datasets."""
    told = {
        name: {"rows": each.rows, "columns": [list(column) for column in each.columns]} for name, each in saved.items()
    }
    text = json.dumps(told)
    for name in sorted(told, key=lambda name: -len(saved[name].columns)):
        if len(MARK) + len(text) <= LENGTH:
            break
        told[name]["columns"] = []
        text = json.dumps(told)
    while len(MARK) + len(text) > LENGTH:
        told.popitem()
        text = json.dumps(told)
    return MARK + text


def from_lines(lines: Iterable[str]) -> dict[str, Saved]:
    """Read the lines of some containers, by the datasets' names; the last one counts.

    Any program can write such a line, so what is not of its form is left out.
    """
    found: dict[str, Saved] = {}
    for told in objects(lines, MARK):
        found |= {name: _saved(each) for name, each in told.items() if isinstance(each, dict)}
    return found


def _saved(told: Mapping[str, Any]) -> Saved:
    rows, columns = told.get("rows"), told.get("columns")
    return Saved(
        rows if isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0 else None,
        tuple(
            (column[0][:NAME_LENGTH], column[1][:NAME_LENGTH])
            for column in (columns if isinstance(columns, list) else ())
            if isinstance(column, list) and len(column) == 2 and all(isinstance(part, str) for part in column)
        ),
    )
