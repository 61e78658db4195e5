"""Cloud Logging's ``entries.list`` (v2) over the containers' logs, in the shape that Vertex AI's jobs write them.

A container's line is an entry of the resource ``ml_job`` with the labels ``job_id`` (the CustomJob's number),
``project_id`` and ``task_name`` (its replica, as ``workerpool0-0``), and with the text in ``jsonPayload.message``;
stdout is INFO and stderr is ERROR. What the emulator itself says of a container has the ``task_name`` ``service``.

The filter is the logging query language (https://cloud.google.com/logging/docs/view/logging-query-language) over the
fields of :data:`FIELDS`: comparisons, AND, OR, NOT, parentheses. Not read, and refused: bare words, regular
expressions, functions, and several values in parentheses after one field. Only lists of projects are served as
``resourceNames``. A log goes when its CustomJob is deleted, where Cloud Logging keeps it.

The messages of Cloud Logging are not part of google-cloud-aiplatform, so its requests are checked here by hand.
"""

from __future__ import annotations

import asyncio
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.emulator.api.filters import Kind, Predicate, Row, compile_filter
from airflow_provider_kedro_vertex.emulator.api.paging import read_token, token_key, write_token
from airflow_provider_kedro_vertex.emulator.executors.base import PRIMARY
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Violation,
    invalid_argument,
    invalid_value,
    unimplemented,
    unknown_name,
)
from airflow_provider_kedro_vertex.emulator.resources.names import json_name, proto_name
from airflow_provider_kedro_vertex.emulator.storage.logs import Entry, log_path, other_logs, read_log
from airflow_provider_kedro_vertex.emulator.storage.store import Store

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
"""``google.logging.type.LogSeverity``, from the least on."""

FIELDS: Mapping[str, Kind] = {
    "resource.type": "has",
    "resource.labels.job_id": "has",
    "resource.labels.project_id": "has",
    "resource.labels.task_name": "has",
    "logName": "has",
    "severity": "rank",
    "timestamp": "time",
    "insertId": "has",
    "jsonPayload.message": "has",
    "textPayload": "has",
}
"""The fields that a filter may name."""

LIST_LOG_ENTRIES = "ListLogEntries"
"""The RPC's name."""

DEFAULT_PAGE = 50
LARGEST_PAGE = 1000
MOST_RESOURCES = 100

_PROJECT = re.compile(r"projects/([a-z0-9][-a-z0-9.:]{0,61}[a-z0-9])")
_OTHER_RESOURCE = re.compile(
    r"(organizations|billingAccounts|folders)/[^/]+|[a-zA-Z]+/[^/]+/locations/[^/]+/buckets/[^/]+/views/[^/]+"
)
_TYPES: Mapping[str, type] = {
    "resourceNames": list, "projectIds": list, "filter": str, "orderBy": str, "pageSize": int, "pageToken": str,
}  # fmt: skip
_TYPE_NAMES = {list: "TYPE_STRING", str: "TYPE_STRING", int: "TYPE_INT32"}
_ORDERS = {"": False, "timestamp asc": False, "timestamp desc": True}
_SEVERITY = {"stdout": "INFO", "stderr": "ERROR", "emulator": "ERROR"}


class LogEntries:
    """The log entries of one emulator.

    :param data: the emulator's data folder, which has the logs.
    """

    def __init__(self, store: Store, data: Path) -> None:
        self._store = store
        self._data = data

    async def list(self, request: Any) -> dict[str, Any]:
        """``LoggingServiceV2.ListLogEntries``. The logs are read in a thread: all of them together may be long.

        :raises ApiError: INVALID_ARGUMENT with what is wrong; UNIMPLEMENTED for resources other than projects.
        """
        question = read_question(request)
        jobs = [(name.split("/")[1], name.rpartition("/")[2]) for name in self._store.custom_job_names()]
        jobs = [(project, number) for project, number in jobs if may_match(question, project, number)]
        return await asyncio.to_thread(answer, question, jobs, self._data)


@dataclass(frozen=True)
class Question:
    """A checked ``ListLogEntriesRequest``."""

    projects: tuple[str, ...]
    matches: Predicate
    descending: bool
    size: int
    key: str
    after: tuple[int, str] | None
    """The place of the last entry that was given: its time in microseconds and its insert id."""


def read_question(data: Any) -> Question:
    """Check the body of a request.

    :raises ApiError: INVALID_ARGUMENT with what is wrong; UNIMPLEMENTED for resources other than projects.
    """
    given = _fields(data)
    projects = _projects([*given.get("resourceNames", []), *(f"projects/{p}" for p in given.get("projectIds", []))])
    text, order, size = given.get("filter", ""), given.get("orderBy", ""), given.get("pageSize", 0)
    if order not in _ORDERS:
        raise _fault("order_by", f'"{order[:100]}" is neither "timestamp asc" nor "timestamp desc".')
    if not 0 <= size <= LARGEST_PAGE:
        raise _fault("page_size", f"{size} is not between 0 (for {DEFAULT_PAGE}) and {LARGEST_PAGE}.")
    matches = compile_filter(text, FIELDS, SEVERITIES)
    key, token = token_key([*projects, text, order]), given.get("pageToken", "")
    after = read_token(token, key, [int, str]) if token else None
    return Question(
        projects, matches, _ORDERS[order], size or DEFAULT_PAGE, key, (after[0], after[1]) if after else None
    )


def may_match(question: Question, project: str, number: str) -> bool:
    """True if a container's log has to be read to answer."""
    return project in question.projects and question.matches(_job_row(project, number)) is not False


def answer(question: Question, jobs: Sequence[tuple[str, str]], data: Path) -> dict[str, Any]:
    """Read the logs and choose one page; as many entries as the page has are kept in memory.

    :param jobs: project and number of each container whose log may match.
    :param data: the emulator's data folder.
    :return: a ``ListLogEntriesResponse``.
    """
    choose = heapq.nlargest if question.descending else heapq.nsmallest
    found = choose(question.size + 1, _matching(question, jobs, data), key=lambda one: one[0])
    entries = [_entry(row) for _, row in found[: question.size]]
    response: dict[str, Any] = {"entries": entries} if entries else {}
    if len(found) > question.size:
        response["nextPageToken"] = write_token(question.key, found[question.size - 1][0])
    return response


def _matching(question: Question, jobs: Sequence[tuple[str, str]], data: Path) -> Iterator[tuple[tuple[int, str], Row]]:
    others = other_logs(data)
    for project, number in jobs:
        job_row = _job_row(project, number)
        for replica, index, entry in _job_lines(data, number, others.get(number, ())):
            row = {**job_row, **_line_row(entry, project, number, replica, index)}
            place = (row["timestamp"], row["insertId"])
            if question.after is not None:
                seen = place >= question.after if question.descending else place <= question.after
                if seen:
                    continue
            if question.matches(row):
                yield place, row


def _job_lines(data: Path, number: str, others: Sequence[str]) -> Iterator[tuple[str, int, Entry]]:
    """Each line of a job's logs, with the replica and the number of the line."""
    for replica, name in ((PRIMARY, number), *((other, f"{number}-{other}") for other in others)):
        for index, entry in enumerate(_lines(log_path(data, name))):
            yield replica, index, entry


def _lines(path: Path) -> Iterator[Entry]:
    offset = 0
    while True:
        entries, following = read_log(path, offset)
        if following == offset:
            return
        yield from entries
        offset = following


def _job_row(project: str, number: str) -> dict[str, Any]:
    return {
        "resource.type": "ml_job",
        "resource.labels.project_id": project,
        "resource.labels.job_id": number,
    }


def _line_row(entry: Entry, project: str, number: str, replica: str, index: int) -> dict[str, Any]:
    service = entry.stream == "emulator"
    moment = datetime.strptime(entry.time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return {
        "resource.labels.task_name": "service" if service else replica,
        "logName": f"projects/{project}/logs/{f'ml.googleapis.com%2F{number}' if service else replica}",
        "severity": _SEVERITY[entry.stream],
        "timestamp": (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // datetime.resolution,
        "insertId": f"{number}-{index:09d}" if replica == PRIMARY else f"{number}-{replica}-{index:09d}",
        "jsonPayload.message": None if service else entry.text,
        "textPayload": entry.text if service else None,
        "time": entry.time,
    }


def _entry(row: Row) -> dict[str, Any]:
    message = row["jsonPayload.message"]
    payload: dict[str, Any] = (
        {"textPayload": row["textPayload"]}
        if message is None
        else {"jsonPayload": {"message": message, "levelname": row["severity"]}}
    )
    return {
        "insertId": row["insertId"],
        **payload,
        "resource": {
            "type": row["resource.type"],
            "labels": {label: row[f"resource.labels.{label}"] for label in ("job_id", "project_id", "task_name")},
        },
        "timestamp": row["time"],
        "severity": row["severity"],
        "logName": row["logName"],
        "receiveTimestamp": row["time"],
    }


def _fields(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _fault("", "Invalid JSON payload received: no object.")
    given: dict[str, Any] = {}
    faults = []
    for name, value in data.items():
        key = json_name(name)
        if key not in _TYPES:
            faults.append(unknown_name(name, ""))
        elif type(value) is not _TYPES[key] or (isinstance(value, list) and any(type(v) is not str for v in value)):
            faults.append(invalid_value(proto_name(key), _TYPE_NAMES[_TYPES[key]], str(value)[:100]))
        else:
            given[key] = value
    if faults:
        raise invalid_argument(*faults)
    return given


def _projects(resources: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(resources) <= MOST_RESOURCES:
        raise _fault("resource_names", f"{len(resources)} names; there must be 1 to {MOST_RESOURCES}.")
    projects = []
    for name in resources:
        match = _PROJECT.fullmatch(name)
        if match is None:
            if _OTHER_RESOURCE.fullmatch(name):
                raise unimplemented(f'The resource name "{name[:100]}" (only projects/{{project}} is served)')
            raise _fault("resource_names", f'"{name[:100]}" is not of the form projects/{{project}}.')
        projects.append(match[1])
    return tuple(projects)


def _fault(field: str, what: str) -> Exception:
    return invalid_argument(Violation(field, what))
