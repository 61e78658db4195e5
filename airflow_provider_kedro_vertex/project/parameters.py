"""A project's parameters as its manifest has them: names, types, and the defaults that stand in the project's files.

A value that an interpolation gives (an environment variable, a runtime parameter, a resolver of the project) may be a
secret, so it is never described by more than its type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.checks.container import may_be_secret
from airflow_provider_kedro_vertex.core.project.locations import placeholder, without_secrets
from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.core.project.parameters import ANY

#: Kedro's template keeps this environment out of the repository: what stands there is a person's own.
PRIVATE_ENV = "local"

#: A manifest has at most so many names below the first level, so that data among the parameters does not fill it.
MAX_NAMES = 1000
#: Characters of JSON that a default has at most.
MAX_DEFAULT = 200

# How many values a mapping may hold to be described name by name; the first limit by which the names are few is taken.
_LIMITS = (MAX_NAMES, 100, 10, 0)

Path = tuple[Any, ...]


def describe_parameters(
    values: Mapping[Any, Any], written: Iterable[tuple[str, Any]], left_open: Iterable[str] = ()
) -> dict[str, Parameter]:
    """Describe parameters by their dotted names. A mapping is there by what is in it, unless that is nothing or much.

    :param values: the parameters as the project's config loader gives them, of any type.
    :param written: each file's environment and its content before interpolations are resolved, the strongest first.
    :param left_open: runtime parameters of which the values have the placeholder; they are of any type.
    """
    files, unknown = tuple(written), {placeholder(name) for name in left_open}
    for limit in _LIMITS:
        found = [leaf for key, value in values.items() for leaf in _leaves(value, (key,), limit)]
        if len(found) <= max(MAX_NAMES, len(values)):
            break
    return {
        ".".join(map(str, path)): Parameter(ANY)
        if isinstance(value, str) and value in unknown
        else Parameter(_type_of(value), _default(path, value, files))
        for path, value in found
    }


def _leaves(value: Any, path: Path, limit: int) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and 0 < _count(value, limit + 1) <= limit:
        for key, item in value.items():
            yield from _leaves(item, (*path, key), limit)
    else:
        yield path, value


def _count(value: Any, enough: int) -> int:
    """How many values there are in a mapping at any depth, lists being one; not more than enough."""
    if not isinstance(value, Mapping):
        return 1
    found = 0
    for item in value.values():
        found += _count(item, enough - found)
        if found >= enough:
            break
    return found


def _type_of(value: Any) -> str:
    """JSON Schema's name of a value's type; Python's for what JSON does not have."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case Mapping():
            return "object"
    return type(value).__name__


def _default(path: Path, value: Any, files: Iterable[tuple[str, Any]]) -> Any:
    """The value if a file has it as it is, and it is short; else None."""
    if not isinstance(value, bool | int | float | str | list | Mapping) or any(
        may_be_secret(str(key), "x") for key in path
    ):
        return None
    literal = _json(_written(path, files))
    # A loader of the project's own may change what it reads, and only what stands in the repository is no secret.
    return value if literal is not None and literal == _json(value) else None


def _written(path: Path, files: Iterable[tuple[str, Any]]) -> Any:
    for env, content in files:
        at = content
        for key in path:
            if not isinstance(at, Mapping):
                return None  # an interpolation gives all that is here, or the file could not be read
            if key not in at:
                break  # a weaker file may have it
            at = at[key]
        else:
            return at if env != PRIVATE_ENV else None
    return None


def _json(value: Any) -> str | None:
    """A literal as JSON; None if it is long, has an interpolation or a secret in a URL, or is no JSON."""
    if isinstance(value, str | list | Mapping) and len(value) > MAX_DEFAULT:
        return None
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= MAX_DEFAULT and "${" not in text and without_secrets(text) == text else None
