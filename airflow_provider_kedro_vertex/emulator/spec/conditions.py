"""The condition of a task's trigger policy: the part of CEL that kfp's ``dsl.If``, ``Elif`` and ``Else`` write.

    !(inputs.parameter_values['x'] == 'heads') && int(inputs.parameter_values['n']) > 4

Literals, inputs, ``int()``, ``double()``, ``string()`` and ``bool()``, comparisons, ``!``, ``&&``, ``||`` and
parentheses, with CEL's own rules (https://github.com/google/cel-spec): numbers of both kinds compare, values of
different types are never equal and have no order, and a condition is true or false and nothing else.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:
      inputs\.parameter_values\[(?:'(?P<single>[^'\\]*)'|"(?P<double>[^"\\]*)")\]
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
    | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<sign>==|!=|<=|>=|&&|\|\||[<>!()])
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_EQUAL: Mapping[str, bool] = {"==": True, "!=": False}
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_DEEPEST = 100

Values = Mapping[str, Any]
_Expression = Callable[[Values], Any]


class ConditionError(ValueError):
    """A condition that cannot be read, or that has no value for these inputs; the text says why."""


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    :param inputs: the names of the input parameters that it looks at.
    """

    text: str
    inputs: tuple[str, ...]
    expression: _Expression

    def holds(self, values: Values) -> bool:
        """Evaluate it for these input parameters.

        :raises ConditionError: if it has no value for them.
        """
        return _boolean(self.expression(values), "the condition")


@lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Read a condition.

    :raises ConditionError: if it is no CEL, or a part of CEL that is not run.
    """
    reader = _Reader(text)
    expression = reader.either()
    if reader.symbol:
        raise reader.unexpected()
    return Condition(text, tuple(dict.fromkeys(reader.inputs)), expression)


class _Reader:
    """A recursive descent over the tokens: ``||``, then ``&&``, then a comparison, then ``!`` and what is single."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._deep = 0
        self.inputs: list[str] = []
        self.kind, self.symbol = "", ""
        self._next()

    def either(self) -> _Expression:
        terms = [self._both()]
        while self.symbol == "||":
            self._next()
            terms.append(self._both())
        return terms[0] if len(terms) == 1 else lambda values: any(_boolean(term(values), "||") for term in terms)

    def _both(self) -> _Expression:
        terms = [self._comparison()]
        while self.symbol == "&&":
            self._next()
            terms.append(self._comparison())
        return terms[0] if len(terms) == 1 else lambda values: all(_boolean(term(values), "&&") for term in terms)

    def _comparison(self) -> _Expression:
        left, sign = self._single(), self.symbol
        if self.kind != "sign" or sign not in (*_EQUAL, *_ORDER):
            return left
        self._next()
        right = self._single()
        if sign in _EQUAL:
            return lambda values: _equal(left(values), right(values)) == _EQUAL[sign]
        return lambda values: _ordered(sign, left(values), right(values))

    def _single(self) -> _Expression:
        self._deep += 1
        if self._deep > _DEEPEST:
            raise ConditionError(f"it is nested more than {_DEEPEST} times")
        expression = self._operand()
        self._deep -= 1
        return expression

    def _operand(self) -> _Expression:
        kind, symbol = self.kind, self.symbol
        self._next()
        if kind == "input":
            self.inputs.append(symbol)
            return lambda values: _value(values, symbol)
        if kind == "number":
            number = _converted("double" if re.search("[.eE]", symbol) else "int", symbol)
            return lambda values: number
        if kind == "text":
            text = re.sub(r"\\(.)", _unescaped, symbol[1:-1])
            return lambda values: text
        if kind == "word" and symbol in ("true", "false"):
            return lambda values: symbol == "true"
        if kind == "word" and symbol in _CONVERSIONS and self.symbol == "(":
            inner = self._parenthesis()
            return lambda values: _converted(symbol, inner(values))
        if symbol == "!":
            term = self._single()
            return lambda values: not _boolean(term(values), "!")
        if symbol == "(":
            return self._closed()
        if kind == "word":
            raise ConditionError(f'"{symbol}" is not run')
        raise self.unexpected(symbol)

    def _parenthesis(self) -> _Expression:
        self._next()
        return self._closed()

    def _closed(self) -> _Expression:
        inner = self.either()
        if self.symbol != ")":
            raise self.unexpected()
        self._next()
        return inner

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            if rest := self._text[self._at :].strip():
                raise ConditionError(f'"{rest[:50]}" cannot be read')
            self.kind, self.symbol = "end", ""
            return
        self._at = match.end()
        kind = str(match.lastgroup)
        self.kind, self.symbol = "input" if kind in ("single", "double") else kind, match[kind]

    def unexpected(self, symbol: str | None = None) -> ConditionError:
        found = self.symbol if symbol is None else symbol
        return ConditionError(f'"{found[:50]}" is not expected here' if found else "it ends too early")


def _unescaped(match: re.Match[str]) -> str:
    if match[1] not in _ESCAPES:
        raise ConditionError(f'the escape "{match[0]}" is not run')
    return _ESCAPES[match[1]]


def _value(values: Values, name: str) -> Any:
    if values.get(name) is None:
        raise ConditionError(f'the input "{name}" has no value')
    return values[name]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def _equal(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) and bool(left == right)


def _ordered(sign: str, left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right) or _kind(left) not in ("bool", "number", "str"):
        raise ConditionError(f"a {_kind(left)} and a {_kind(right)} have no order")
    return _ORDER[sign](left, right)


def _boolean(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise ConditionError(f"{what} needs true or false, not a {_kind(value)}")
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return _boolean(value, "bool()")


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"int": int, "double": float, "string": _text, "bool": _bool}


def _converted(name: str, value: Any) -> Any:
    try:
        return _CONVERSIONS[name](value)
    except (TypeError, ValueError, OverflowError):
        raise ConditionError(f"{name}() cannot convert {str(value)[:50]!r}") from None
