"""The ``filter`` of list requests: a subset of https://google.aip.dev/160, which Cloud Logging's language is too.

    state="PIPELINE_STATE_RUNNING" AND (labels.env=prod OR labels.tier:*) AND NOT display_name:"*test*"

As in the AIP, OR binds closer than AND, two terms side by side mean AND, and ``-`` before a term means NOT. A
comparison with something that the job does not have (its end time while it runs, a label it lacks) is false, also for
``!=``. A bare word is refused: Vertex AI has no full-text search over jobs.

A predicate may be asked with a part of the row only. Then it tells None if the rest decides, so that a log whose job
is not asked for is never read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Violation, invalid_argument

MOST_CHARACTERS = 10_000
DEEPEST = 50

Kind = Literal[
    "name", "text", "state", "time", "optional time", "labels", "has", "rank", "metadata", "members", "function"
]
"""The kind of a field. ``has`` finds a part of a text, and both ignore case; ``rank`` is a name with an order; ``:*``
asks whether there is an ``optional time``. ``metadata`` is an object: ``metadata.key.number_value > 1``; ``members``
are names, and ``parent_contexts:"a","b"`` asks for all of them; a ``function`` asks for one: ``in_context("a")``."""
Row = Mapping[str, Any]
"""A job as a filter sees it: strings, states by name, times in microseconds since 1970 or None, labels as a dict."""
Predicate = Callable[[Row], bool | None]
"""Tells if a row matches; None if a field that decides it is not in the row yet."""

COMPARATORS: Mapping[Kind, tuple[str, ...]] = {
    "name": ("=", "!="),
    "text": ("=", "!=", ":"),
    "state": ("=", "!="),
    "time": ("=", "!=", "<", ">", "<=", ">="),
    "optional time": ("=", "!=", "<", ">", "<=", ">=", ":"),
    "labels": ("=", "!=", ":"),
    "has": ("=", "!=", ":"),
    "rank": ("=", "!=", "<", ">", "<=", ">="),
    "metadata": ("=", "!=", "<", ">", "<=", ">="),
    "members": (":",),
}

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<comparator><=|>=|!=|=~|!~|=|<|>|:)
      | (?P<dot>\.)
      | (?P<open>\()
      | (?P<close>\))
      | (?P<minus>-(?=[A-Za-z_("']))
      | (?P<text>[^\s"'<>=!:.()]+)
    )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def compile_filter(text: str, fields: Mapping[str, Kind], states: Sequence[str]) -> Predicate:
    """Turn a filter into a function over rows.

    :param text: the filter; empty means that every job matches.
    :param fields: the fields of this kind of job.
    :param states: the names that a ``state`` or ``rank`` field may be compared with, the latter in this order.
    :raises ApiError: INVALID_ARGUMENT, with the place of the fault.
    """
    if not text.strip():
        return lambda row: True
    if len(text) > MOST_CHARACTERS:
        raise _fault(f"{len(text)} characters; at most {MOST_CHARACTERS} are read.")
    return _Parser(_tokens(text), fields, states).whole()


class _Parser:
    """Recursive descent over AIP-160's grammar; each method reads one rule and returns its predicate."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, Kind], states: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._fields = fields
        self._states = states

    def whole(self) -> Predicate:
        predicate = self._expression()
        if self._peek().kind != "end":
            raise self._unexpected()
        return predicate

    def _expression(self) -> Predicate:
        parts = [self._factor()]
        while self._peek().kind not in ("end", "close"):
            if self._is_word("AND"):
                self._next()
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else _all(parts)

    def _factor(self) -> Predicate:
        parts = [self._term()]
        while self._is_word("OR"):
            self._next()
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else _any(parts)

    def _term(self) -> Predicate:
        if self._is_word("NOT") or self._peek().kind == "minus":
            self._next()
            inner = self._simple()
            return lambda row: None if (found := inner(row)) is None else not found
        return self._simple()

    def _simple(self) -> Predicate:
        if self._peek().kind != "open":
            return self._restriction()
        self._depth += 1
        if self._depth > DEEPEST:
            raise _fault(f"more than {DEEPEST} nested parentheses.")
        self._next()
        inner = self._expression()
        if self._next().kind != "close":
            raise _fault("a parenthesis is not closed.")
        self._depth -= 1
        return inner

    def _restriction(self) -> Predicate:
        start = self._peek()
        path = [self._member()]
        while self._peek().kind == "dot":
            self._next()
            path.append(self._member())
        name = ".".join(path)
        if path[0] in ("labels", "metadata") and self._fields.get(path[0]) == path[0]:
            kind: Kind | None = self._fields[path[0]]
        else:
            kind = self._fields.get(name)
        if kind is None:
            raise _fault(f'unknown field "{name}" at position {start.position}; known: {", ".join(self._fields)}.')
        if kind == "function":
            wanted = self._argument(name)
            return lambda row: wanted in row[name]
        comparator = self._next()
        if comparator.kind != "comparator":
            raise _fault(f'"{name}" at position {start.position} is not compared with anything.')
        if comparator.text not in COMPARATORS[kind]:
            allowed = " ".join(COMPARATORS[kind])
            raise _fault(
                f'"{name}" does not take {comparator.text} (position {comparator.position}); it takes {allowed}.'
            )
        if kind == "labels":
            return _label_predicate(path[1:], comparator.text, self._value())
        if kind == "metadata":
            return _metadata_predicate(path[1:], comparator.text, self._value())
        if kind == "members":
            members = self._values()
            return lambda row: all(one in row[name] for one in members)
        decide = self._field_predicate(name, kind, comparator.text, self._value())
        return lambda row: decide(row) if name in row else None

    def _field_predicate(self, name: str, kind: Kind, comparator: str, value: str) -> Predicate:
        if kind == "optional time" and comparator == ":":
            if value != "*":
                raise _fault(f'"{name}" takes no "{value}" after the colon; {name}:* asks whether there is one.')
            return lambda row: row[name] is not None
        if kind in ("time", "optional time"):
            return _compare(name, comparator, _microseconds(value))
        if kind in ("state", "rank") and value not in self._states:
            raise _fault(f'"{value}" is no {name}; known: {", ".join(self._states)}.')
        if kind == "rank":
            return _compare(name, comparator, self._states.index(value), self._states.index)
        if kind == "has":
            folded = value.casefold()
            if comparator == ":":
                return lambda row: row[name] is not None and folded in row[name].casefold()
            return _compare(name, comparator, folded, str.casefold)
        if comparator == ":":
            pieces = value.split("*")
            return lambda row: row[name] is not None and _like(row[name], pieces)
        return _compare(name, comparator, value)

    def _member(self) -> str:
        token = self._next()
        if token.kind == "quoted":
            return _unquoted(token.text)
        if token.kind != "text":
            raise self._unexpected(token)
        return token.text

    def _value(self) -> str:
        # Unquoted values may hold dots and colons (a version, a time), which are tokens of their own elsewhere.
        token = self._next()
        if token.kind == "quoted":
            return _unquoted(token.text)
        if token.kind not in ("text", "minus"):
            raise _fault(f"a value is missing at position {token.position}.")
        text, end = token.text, token.position + len(token.text)
        while (after := self._peek()).position == end and after.kind in ("text", "dot", "minus", "comparator"):
            if after.kind == "comparator" and after.text != ":":
                break
            text, end = text + after.text, end + len(after.text)
            self._next()
        return text

    def _values(self) -> list[str]:
        """Values with commas between them."""
        found = [self._value()]
        while self._is_word(","):
            self._next()
            found.append(self._value())
        return found

    def _argument(self, function: str) -> str:
        opened, value, closed = self._next(), self._next(), self._next()
        if (opened.kind, value.kind, closed.kind) != ("open", "quoted", "close"):
            raise _fault(f'"{function}" takes one name in quotes, as in {function}("name").')
        return _unquoted(value.text)

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _is_word(self, word: str) -> bool:
        token = self._peek()
        return token.kind == "text" and token.text == word

    def _unexpected(self, token: _Token | None = None) -> ApiError:
        found = token or self._peek()
        if found.kind == "end":
            return _fault("it ends too early.")
        return _fault(f'unexpected "{found.text}" at position {found.position}.')


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _fault(f'unexpected "{text[at : at + 20].strip()}" at position {at}.')
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    return [*tokens, _Token("end", "", end)]


def _label_predicate(path: list[str], comparator: str, value: str) -> Predicate:
    if not path:
        # labels:key asks for presence.
        if comparator != ":":
            raise _fault('"labels" needs a key, as in labels.key=value or labels:key.')
        return lambda row: value in row["labels"]
    key = ".".join(path)
    if comparator == "=":
        return lambda row: row["labels"].get(key) == value
    if comparator == "!=":
        return lambda row: key in row["labels"] and row["labels"][key] != value
    pieces = value.split("*")
    return lambda row: key in row["labels"] and _like(row["labels"][key], pieces)


def _metadata_predicate(path: list[str], comparator: str, text: str) -> Predicate:
    key, kind = ".".join(path[:-1]), path[-1] if path else ""
    value: Any = text
    if not key or kind not in ("string_value", "number_value", "bool_value"):
        raise _fault('"metadata" needs a key and a type: metadata.key.string_value, .number_value or .bool_value.')
    if kind == "bool_value":
        if text not in ("true", "false"):
            raise _fault(f'"{text}" is neither true nor false.')
        value = text == "true"
    elif kind == "number_value":
        try:
            value = float(text)
        except ValueError:
            raise _fault(f'"{text}" is no number.') from None

    def decide(row: Row) -> bool:
        found = row["metadata"].get(key)
        if isinstance(found, int) and not isinstance(found, bool):
            found = float(found)
        return type(found) is type(value) and bool(_compare(key, comparator, value)({key: found}))

    return decide


def _all(parts: Sequence[Predicate]) -> Predicate:
    def decide(row: Row) -> bool | None:
        open_ = False
        for part in parts:
            found = part(row)
            if found is False:
                return False
            open_ = open_ or found is None
        return None if open_ else True

    return decide


def _any(parts: Sequence[Predicate]) -> Predicate:
    def decide(row: Row) -> bool | None:
        open_ = False
        for part in parts:
            found = part(row)
            if found:
                return True
            open_ = open_ or found is None
        return None if open_ else False

    return decide


def _compare(name: str, comparator: str, value: Any, key: Callable[[Any], Any] | None = None) -> Predicate:
    compare: Callable[[Any], bool] = {
        "=": lambda found: found == value,
        "!=": lambda found: found != value,
        "<": lambda found: found < value,
        ">": lambda found: found > value,
        "<=": lambda found: found <= value,
        ">=": lambda found: found >= value,
    }[comparator]
    if key is not None:
        return lambda row: row[name] is not None and bool(compare(key(row[name])))
    return lambda row: row[name] is not None and bool(compare(row[name]))


def _like(text: str, pieces: list[str]) -> bool:
    # The pieces between the stars must follow each other, the first and last at the ends. Taking each at its first
    # place is enough, and linear, where a regular expression could be made to run for ever.
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _microseconds(value: str) -> int:
    try:
        # RFC 3339 writes UTC as Z, which fromisoformat reads only since Python 3.11; it also wants 3 or 6 digits.
        text = re.sub(r"[zZ]$", "+00:00", value)
        text = re.sub(r"\.(\d+)", lambda m: f".{m[1][:6]:<06}", text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _fault(f'"{value}" is no time in RFC 3339 form, such as 2026-01-31T06:00:00Z.') from None
    if moment.tzinfo is None:
        raise _fault(f'the time "{value}" has no offset; write Z for UTC.')
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // _MICROSECOND


_MICROSECOND = datetime.resolution


def _fault(what: str) -> ApiError:
    return invalid_argument(Violation("filter", what))
