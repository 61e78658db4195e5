"""Order and pages of list requests, as in https://google.aip.dev/132 and https://google.aip.dev/158.

A page token names the last job given, and the question it answers: it stays right while jobs come and go, and is
refused with another filter or order.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from airflow_provider_kedro_vertex.emulator.api.filters import Predicate, Row
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Violation, invalid_argument

DEFAULT_PAGE = 100
LARGEST_PAGE = 100

Order = tuple[tuple[str, bool], ...]
"""Fields to sort by, each with whether it is descending."""

_NEWEST_FIRST: Order = (("create_time", True),)


def parse_order(text: str, fields: Collection[str]) -> Order:
    """Read ``order_by``: ``create_time desc, end_time``. Empty means newest first.

    :raises ApiError: INVALID_ARGUMENT for a field that cannot be sorted by.
    """
    if not text.strip():
        return _NEWEST_FIRST
    order = []
    for part in text.split(","):
        words = part.split()
        if len(words) not in (1, 2) or words[0] not in fields or (len(words) == 2 and words[1] not in ("asc", "desc")):
            known = ", ".join(fields)
            raise invalid_argument(
                Violation("order_by", f'"{part.strip()[:100]}" is not one of {known}, with " desc" or not.')
            )
        order.append((words[0], words[1:] == ["desc"]))
    return tuple(order)


def page_size(asked: int, largest: int = LARGEST_PAGE) -> int:
    """The size of the page that is given: 100 by default.

    :param largest: what is given at most.
    :raises ApiError: INVALID_ARGUMENT for a negative size.
    """
    if asked < 0:
        raise invalid_argument(Violation("page_size", f"{asked} is negative."))
    return min(asked or DEFAULT_PAGE, largest)


def page(
    rows: Sequence[Row], matches: Predicate, order: Order, size: int, token: str, question: Sequence[str]
) -> tuple[list[Row], str]:
    """Choose the rows of one page.

    :param question: the request's parent, filter and order: a token serves only the question that gave it.
    :return: the rows, and the token of the next page, empty at the end.
    :raises ApiError: INVALID_ARGUMENT for a token that this question did not give.
    """
    key, shape = token_key(question), [int] * len(order) + [str]
    found = sorted((row for row in rows if matches(row)), key=lambda row: _position(row, order))
    start = (
        bisect.bisect_right(found, read_token(token, key, shape), key=lambda row: _position(row, order)) if token else 0
    )
    chosen = found[start : start + size]
    if start + size >= len(found):
        return chosen, ""
    return chosen, write_token(key, _position(chosen[-1], order))


def _position(row: Row, order: Order) -> tuple[int | str, ...]:
    # A job without that time (it has not ended) sorts as if it had the least one. The name makes places unique.
    return (*(-(row[field] or 0) if descending else (row[field] or 0) for field, descending in order), row["name"])


def token_key(question: Sequence[str]) -> str:
    """The key that ties a token to the question that gave it."""
    return hashlib.sha256("\0".join(question).encode()).hexdigest()[:16]


def write_token(key: str, position: tuple[Any, ...]) -> str:
    """A token that names the last place that was given."""
    return base64.urlsafe_b64encode(json.dumps([key, *position]).encode()).decode().rstrip("=")


def read_token(token: str, key: str, shape: Sequence[type]) -> tuple[Any, ...]:
    """The place that a token names.

    :param shape: the types of the place's parts.
    :raises ApiError: INVALID_ARGUMENT for a token that this question did not give.
    """
    try:
        found, *position = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError):
        raise _bad_token("it is not one that this server gave.") from None
    if found != key:
        raise _bad_token("it was given for another parent, filter or order_by.")
    if [type(part) for part in position] != list(shape):
        raise _bad_token("it is not one that this server gave.")
    return tuple(position)


def _bad_token(why: str) -> ApiError:
    return invalid_argument(Violation("page_token", why))
