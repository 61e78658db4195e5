"""The project's parameters, as its manifest has them: which there are, and how a text becomes a value of one."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Parameter

# A whole number may take the place of a fraction; a fraction in place of a count is most likely a mistake.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "integer": ((int,), "a number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "array": ((list,), "a JSON list"),
    "object": ((dict,), "a JSON object"),
}
_MISSING = object()

#: The type of a parameter that exists only when a run gives it.
ANY = "any"


def known_parameters(manifest: Manifest) -> dict[str, Parameter]:
    """The project's parameters, and those of any type that exist only when a run gives them.

    These are what the configuration reads as ``${runtime_params:NAME}``, and what nodes take as ``params:NAME`` though
    no file has it.
    """
    read = {
        name.removeprefix("params:")
        for pipeline in manifest.pipelines.values()
        for node in pipeline.nodes
        for name in node.inputs
        if name.startswith("params:")
    }
    parents = {name[:at] for name in manifest.parameters for at, sign in enumerate(name) if sign == "."}
    given = (read | manifest.runtime_params.keys()) - parents
    return {**dict.fromkeys(given, Parameter(ANY)), **manifest.parameters}


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
            if parent is not None and parent.type in ("object", ANY):
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

    JSON is read for a list or a mapping, and ``null`` for all but text. Where the project has null, a type that JSON
    does not have, or nothing, JSON is read if it is JSON, else the text.

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
    if value is None or _is(kind, value):
        return value
    default = parameter.default if parameter else None
    old = f"of type {kind}" if default is None else json.dumps(default)[:60]
    raise ConfigError(f"Parameter {name!r} is {old} in the project: give {_TYPES[kind][1]} for it, not {text!r:.60}.")


def from_template(name: str, value: Any, parameter: Parameter | None) -> Any:
    """Turn what a template gave into a value of the project's type: a template gives text, as Python writes it.

    :param value: not always text: Airflow can let templates give Python's own objects.
    :param parameter: the project's; None if its type is not known, and then the value stays as it is.
    :raises ConfigError: the text is no value of this type.
    """
    kind = parameter.type if parameter else ANY
    if kind == "string" and isinstance(value, int | float):
        return str(value)
    if kind not in _TYPES or not isinstance(value, str):
        return value
    try:
        return from_text(name, value, parameter)
    except ConfigError:
        try:
            literal = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            literal = _MISSING
        if literal is None or _is(kind, literal):
            return literal
        raise


def from_data(name: str, value: Any, parameter: Parameter | None) -> Any:
    """Turn text into a value of the project's type if it is one; else it stays, since a person wrote it as text."""
    try:
        return from_template(name, value, parameter) if isinstance(value, str) else value
    except ConfigError:
        return value


def _is(kind: str, value: Any) -> bool:
    return isinstance(value, _TYPES[kind][0]) and (kind == "boolean" or not isinstance(value, bool))


def same_value(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are the same; 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
