"""Runtime parameters: what a run says over the project's parameters, as ``kedro run --params`` would."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.text import json_argument

#: Longer texts travel as an object in Cloud Storage: Linux takes 128 KiB for one argument of a process
#: (MAX_ARG_STRLEN), and an argument may get a few words more on its way.
MAX_ARGUMENT_LENGTH = 100 * 1024
#: More than this is data, and no parameters.
MAX_LENGTH = 16 * 1024 * 1024

# What a key that is no text looks like as one.
_NO_TEXT = re.compile(r"[-+]?[0-9][0-9.eE+-]*|true|false", re.IGNORECASE)
# JSON has text keys alone: a mapping with others travels as a list of pairs, below a key that no person writes.
_PAIRS = ""

#: An Airflow param of this name says how a run goes on after a failure, and is no parameter of Kedro's.
FORCE_FULL_RUN = "force_full_run"


@dataclass(frozen=True)
class FormValues:
    """What stands in the fields of a DAG's trigger form while nobody changes it.

    Airflow hands all fields of a form to the run, and puts their values into the DAG's own params.

    :param project: of the fields that show the project's parameters; such a value is not given to Kedro.
    :param author: of the params that the DAG's author gives, as they are written: templates are not rendered.
    :param run: the names of the fields that are about the run, and no parameters of Kedro's.
    """

    project: Mapping[str, Any] = field(default_factory=dict)
    author: Mapping[str, Any] = field(default_factory=dict)
    run: frozenset[str] = frozenset()


def nested(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested ones, as Kedro's command line does: ``{"a.b": 1}`` is ``{"a": {"b": 1}}``.

    Mappings are merged at every depth; the argument stays as it is.

    :raises ConfigError: two names contradict each other, such as ``a`` and ``a.b``.
    """
    result: dict[str, Any] = {}
    for name, value in parameters.items():
        _place(result, name.split("."), value, name)
    return result


def _place(branch: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    *parents, last = path
    for parent in parents:
        branch = branch.setdefault(parent, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"Parameter {name!r} contradicts parameter {parent!r}: one of them must go.")
    if isinstance(value, Mapping) and isinstance(branch.setdefault(last, {}), dict):
        for key, item in value.items():
            _place(branch[last], [key], item, f"{name}.{key}")
    elif last in branch:
        raise ConfigError(f"Parameter {name!r} is given twice, once nested and once by its dotted name.")
    else:
        branch[last] = value


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested parameters at every depth; where both have another value than a mapping, ``own`` counts."""
    merged = dict(base)
    for name, value in own.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = merge(below, value)
        merged[name] = value
    return merged


def to_json(parameters: Mapping[str, Any]) -> str:
    """Write runtime parameters as JSON text that keeps their types; dates become ISO 8601.

    The text travels as one string, since a protobuf Struct would turn 1 into 1.0. :func:`from_json` reads it.

    :raises ConfigError: a value is of a type that JSON does not have, and the message names the parameter; or the text
        is longer than :data:`MAX_LENGTH`.
    """
    written = {}
    for name, value in parameters.items():
        try:
            written[name] = _with_text_keys(value)
            json.dumps(written[name], sort_keys=True, default=_date)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"Parameter {name!r} cannot be passed to the nodes: {error}.") from None
    text = json_argument(json.dumps(written, sort_keys=True, default=_date))
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            f"The runtime parameters take {len(text):,} bytes, and {MAX_LENGTH:,} are taken at most.",
            "Put large values into a dataset, and pass where it is.",
        )
    return text


def from_json(value: Any) -> Any:
    """Read what :func:`to_json` wrote, once JSON is read."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_PAIRS} and isinstance(value[_PAIRS], list):
        return {key: from_json(item) for key, item in value[_PAIRS]}
    return {key: from_json(item) for key, item in value.items()}


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_with_text_keys(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if all(isinstance(key, str) and key != _PAIRS for key in value):
        return {key: _with_text_keys(item) for key, item in value.items()}
    if odd := [key for key in value if not isinstance(key, str | int | float)]:
        raise TypeError(f"its key {odd[0]!r} is neither text nor a number")
    return {_PAIRS: [[key, _with_text_keys(item)] for key, item in value.items()]}


def without_number_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out, at every depth, what has a key that may be meant as a number or a truth value."""
    return {
        key: without_number_keys(value) if isinstance(value, Mapping) else value
        for key, value in given.items()
        if not (isinstance(key, str) and _NO_TEXT.fullmatch(key))
    }


def with_keys_of(project: Mapping[Any, Any], given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Give keys the types that the project's own have, at every depth: ``7``, where a command line has ``"7"`` alone.

    In a mapping of the project's that has integers alone for keys, a new key of digits is one too.

    :param project: the project's parameters.
    :param given: runtime parameters.
    """
    own = {str(key).lower(): key for key in project if isinstance(key, int | float)}
    integers = bool(project) and all(isinstance(key, int) and not isinstance(key, bool) for key in project)
    result: dict[Any, Any] = {}
    for key, value in given.items():
        if isinstance(key, str) and key not in project:
            is_new = integers and re.fullmatch(r"-?[0-9]{1,100}", key)
            key = own.get(key.lower(), int(key) if is_new else key)
        below = project.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = with_keys_of(below, value) if both else value  # type: ignore[arg-type]
    return result


def is_long(text: str) -> bool:
    """Tell whether JSON text is too long for an argument, so that it must be stored where the nodes read it."""
    # Inside of the executor input its quotes are escaped once more; see :mod:`.launcher`.
    return len(json.dumps(text)) > MAX_ARGUMENT_LENGTH


def stored_at(folder: str, text: str) -> str:
    """Where JSON text is stored that is too long for an argument, which then is ``@`` and this place.

    The name has the digest of the text, so that it may be written again and is checked when it is read.

    :param folder: of the run; see :func:`.identity.temp_folder`.
    """
    return f"{folder}/params-{hashlib.sha256(text.encode()).hexdigest()}.json"


def _date(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is not a JSON value")
