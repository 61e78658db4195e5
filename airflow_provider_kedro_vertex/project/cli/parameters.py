"""``--param key=value``: text becomes a value of the type that the project's parameter has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.parameters import nested

_MISSING = object()


def typed(given: Iterable[str], project: Mapping[str, Any]) -> dict[str, Any]:
    """Read parameters, by dotted names, each ``key=value`` (or ``key:value``, kedro-vertexai's older form).

    A value is read as the project's own parameter of that name is typed: a number for a number, JSON for a list or a
    mapping, text for text. Where the project has null there, JSON is read if it is JSON, else text.

    :param project: the project's parameters.
    :return: nested parameters, as :func:`.parameters.nested`.
    :raises ConfigError: no separator, a name that the project does not have, or a value of another type.
    """
    values: dict[str, Any] = {}
    for item in given:
        name, separator, text = item.partition("=")
        if not separator:
            name, separator, text = item.partition(":")
        name = name.strip()
        if not separator or not name:
            raise ConfigError(f"--param {item!r} must be key=value.")
        values[name] = _value(name, text, _find(name, project))
    return nested(values)


def _find(name: str, project: Mapping[str, Any]) -> Any:
    found: Any = project
    path: list[str] = []
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            close = did_you_mean(part, found) if isinstance(found, Mapping) else ""
            where = f" in {'.'.join(path)!r}" if path else ""
            raise ConfigError(f"The project has no parameter {name!r}: {part!r} is not{where or ' there'}.{close}")
        found = found[part]
        path.append(part)
    return found


def _value(name: str, text: str, old: Any) -> Any:
    if isinstance(old, str):
        return text
    try:
        value: Any = json.loads(text, parse_constant=lambda word: _MISSING)
    except (ValueError, RecursionError):
        value = {"true": True, "false": False}.get(text.lower(), _MISSING)
    if old is None:
        return text if value is _MISSING else value
    if value is None or _same_type(value, old):
        return value
    kind = (
        "a number"
        if _is_number(old)
        else {bool: "true or false", list: "a JSON list", dict: "a JSON object"}[type(old)]
    )
    raise ConfigError(
        f"Parameter {name!r} is {json.dumps(old)[:60]} in the project: give {kind} for it, not {text!r:.60}."
    )


def _same_type(value: Any, old: Any) -> bool:
    if _is_number(old):
        # A whole number may take the place of a fraction; a fraction in place of a count is most likely a mistake.
        return isinstance(value, int | float if isinstance(old, float) else int) and not isinstance(value, bool)
    return isinstance(value, type(old))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
