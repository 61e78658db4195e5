"""The project's parameters, as its manifest has them: which there are, and how a text becomes a value of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.project.manifest import Parameter

# A whole number may take the place of a fraction; a fraction in place of a count is most likely a mistake.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "integer": ((int,), "a number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "array": ((list,), "a JSON list"),
    "object": ((dict,), "a JSON object"),
}
_MISSING = object()


def parameter_of(name: str, project: Mapping[str, Parameter]) -> Parameter | None:
    """Find a parameter of the project by its dotted name.

    :param project: by dotted names; a mapping is there by what is in it, or as an ``object`` that is left open.
    :return: None for a name in an object that is left open.
    :raises ConfigError: the project does not have it; the message has the closest name.
    """
    if name in project:
        return project[name]
    path: list[str] = []
    for part in name.split("."):
        inside = {known[len(".".join([*path, ""])) :].partition(".")[0] for known in _inside(path, project)}
        if part not in inside:
            parent = project.get(".".join(path))
            if parent is not None and parent.type == "object":
                return None
            where = f" in {'.'.join(path)!r}" if path else " there"
            raise ConfigError(
                f"The project has no parameter {name!r}: {part!r} is not{where}.", did_you_mean(part, inside)
            )
        path.append(part)
    return Parameter("object")


def _inside(path: list[str], project: Mapping[str, Parameter]) -> list[str]:
    start = ".".join([*path, ""])
    return [name for name in project if name.startswith(start)]


def from_text(name: str, text: str, parameter: Parameter | None) -> Any:
    """Read the value of a parameter as the project's own is typed: a number for a number, text for text.

    JSON is read for a list or a mapping, and ``null`` for all but text. Where the project has null, or a type that JSON
    does not have, JSON is read if it is JSON, else the text.

    :param parameter: the project's; None if its type is not known.
    :raises ConfigError: the text is no value of this type.
    """
    kind = parameter.type if parameter else "null"
    if kind == "string":
        return text
    try:
        value: Any = json.loads(text, parse_constant=lambda word: _MISSING)
    except (ValueError, RecursionError):
        value = {"true": True, "false": False}.get(text.lower(), _MISSING)
    if kind not in _TYPES:
        return text if value is _MISSING else value
    types, wanted = _TYPES[kind]
    if value is None or (isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))):
        return value
    default = parameter.default if parameter else None
    old = f"of type {kind}" if default is None else json.dumps(default)[:60]
    raise ConfigError(f"Parameter {name!r} is {old} in the project: give {wanted} for it, not {text!r:.60}.")
