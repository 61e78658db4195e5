"""The DAG file that ``kedro vertex schedule`` writes, and updates without touching what a person added to it."""

from __future__ import annotations

import ast
import io
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError

_NAME = "SCHEDULES"
_NEW = '''"""Runs the pipelines of the Kedro project {project} on Vertex AI, by their schedules."""

import pendulum

from airflow_provider_kedro_vertex import kedro_vertex_dag

# `kedro vertex schedule` writes this list; everything else in this file is yours.
{schedules}

for each in SCHEDULES:
    zone = each["timezone"]
    dag = kedro_vertex_dag(
        pipeline=each["pipeline"],
        manifest={manifest},
        schedule=each["schedule"],
        start_date=pendulum.parse(each["start"], tz=zone),
        end_date=pendulum.parse(each["end"], tz=zone) if each["end"] else None,
        catchup=False,
        max_active_runs=each["max_active_runs"],
        params=each["params"],
    )
    globals()[dag.dag_id] = dag
'''


@dataclass(frozen=True)
class Entry:
    """The schedule of one pipeline.

    :param schedule: a cron expression of five fields, or a preset such as ``@daily``.
    :param timezone: of the cron expression, and of the dates without one of their own.
    :param start: ISO 8601.
    :param end: ISO 8601 or None.
    :param params: runtime parameters.
    """

    pipeline: str
    schedule: str
    timezone: str
    start: str
    end: str | None
    max_active_runs: int
    params: dict[str, Any]


def entries_of(text: str, where: str) -> tuple[Entry, ...]:
    """Read the schedules of a DAG file.

    :param where: the file's name, for the message.
    :raises ConfigError: the file has no such list, or not as it was written.
    """
    try:
        entries = tuple(Entry(**entry) for entry in ast.literal_eval(_assignment(text).value))
        if not all(isinstance(each.pipeline, str) and isinstance(each.start, str) for each in entries):
            raise TypeError
        return entries
    except (SyntaxError, LookupError, TypeError, ValueError, RecursionError):
        raise ConfigError(
            f"{where} is not a file that `kedro vertex schedule` wrote: it has no list {_NAME}.",
            "Choose another file with --output, or write over it with --force.",
        ) from None


def updated(text: str, entries: tuple[Entry, ...]) -> str:
    """Replace the schedules of a DAG file, and leave the rest of it as it is."""
    found = _assignment(text)
    lines = list(io.StringIO(text, newline=""))  # Python's lines; str.splitlines knows more ends than these
    return "".join([*lines[: found.lineno - 1], _list(entries), "\n", *lines[found.end_lineno or found.lineno :]])


def new(project: str, manifest: str, entries: tuple[Entry, ...]) -> str:
    """A DAG file.

    :param manifest: path of the manifest, from the DAG file's folder.
    """
    return _NEW.format(
        project=project.replace('"', "'").replace("\\", ""), manifest=_literal(manifest), schedules=_list(entries)
    )


def _assignment(text: str) -> ast.Assign:
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == _NAME for target in statement.targets
        ):
            return statement
    raise LookupError(_NAME)


def _list(entries: tuple[Entry, ...]) -> str:
    lines = [f"{_NAME} = ["]
    for entry in entries:
        lines += [
            "    {",
            *(f"        {_literal(key)}: {_literal(value)}," for key, value in asdict(entry).items()),
            "    },",
        ]
    return "\n".join([*lines, "]"])


def _literal(value: Any) -> str:
    """A Python literal, with the double quotes that formatters prefer where that is easy."""
    text = repr(value)
    return f'"{value}"' if isinstance(value, str) and value.isprintable() and not set(value) & set("\"'\\") else text
