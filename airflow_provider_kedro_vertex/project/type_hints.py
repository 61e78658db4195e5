"""What the nodes' type hints tell of the project's parameters: Kedro's typed parameters, and plain hints.

Kedro 1.3 and later make a pydantic model or a dataclass of a parameter whose node asks for one. Their fields tell what
values a trigger form may offer, and so do ``Literal``, ``Enum`` and the simple types. A hint that cannot be read, or
that the project's own value is against, tells nothing: it is Kedro that refuses a value.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.core.project.parameters import ANY
from airflow_provider_kedro_vertex.core.project.trigger_form import misfit

Keywords = dict[str, Any]

_PREFIX = "params:"
_SIMPLE: Mapping[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
_KEPT = ("description", "enum", "maximum", "minimum")
_FORMATS = ("date", "date-time", "time")
#: Models may have themselves in them.
_DEPTH = 6


def with_type_hints(parameters: Mapping[str, Parameter], nodes: Iterable[Any]) -> dict[str, Parameter]:
    """Add what the type hints of nodes tell of parameters. Where two of them disagree, neither counts.

    :param nodes: Kedro's.
    """
    told: dict[str, list[Keywords]] = defaultdict(list)
    for node in nodes:
        for name, keywords in _of_node(node):
            if keywords and keywords not in told[name]:
                told[name].append(keywords)
    return {name: _with(parameter, told.get(name, [])) for name, parameter in parameters.items()}


def _with(parameter: Parameter, told: list[Keywords]) -> Parameter:
    if not told:
        return parameter
    schema = {key: value for key, value in told[0].items() if all(other.get(key) == value for other in told)}
    kind = schema.pop("type", None)
    if kind is not None and (parameter.type in ("null", ANY) or (parameter.type, kind) == ("integer", "number")):
        schema["type"] = kind
    if parameter.default is not None and misfit(parameter.default, {"type": parameter.type, **schema}):
        schema = {key: value for key, value in schema.items() if key == "description"}
    return replace(parameter, schema=dict(sorted(schema.items())))


def _of_node(node: Any) -> Iterator[tuple[str, Keywords]]:
    try:
        hints = typing.get_type_hints(node.func, include_extras=True)
        inputs = node._inputs
        if isinstance(inputs, Mapping):
            bound = inspect.signature(node.func).bind(**inputs)
        else:
            bound = inspect.signature(node.func).bind(*([inputs] if isinstance(inputs, str) else inputs or ()))
        for argument, dataset in bound.arguments.items():
            if isinstance(dataset, str) and dataset.startswith(_PREFIX) and argument in hints:
                yield from _of_hint(dataset.removeprefix(_PREFIX), hints[argument], _DEPTH)
    except Exception:  # a hint may be any expression
        return


def _of_hint(name: str, hint: Any, depth: int) -> Iterator[tuple[str, Keywords]]:
    hint = _without_extras(hint)
    if depth and hasattr(hint, "model_json_schema"):
        schema = hint.model_json_schema()
        yield from _of_schema(name, schema, schema.get("$defs", {}), depth)
    elif depth and isinstance(hint, type) and dataclasses.is_dataclass(hint):
        for field, inner in typing.get_type_hints(hint, include_extras=True).items():
            yield from _of_hint(f"{name}.{field}", inner, depth - 1)
    elif typing.get_origin(hint) is typing.Literal:
        yield name, _choices(typing.get_args(hint))
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        yield name, _choices([member.value for member in hint])
    elif hint in _SIMPLE:
        yield name, {"type": _SIMPLE[hint]}


def _without_extras(hint: Any) -> Any:
    """The hint within ``Annotated`` and ``Optional``."""
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        elif typing.get_origin(hint) in (typing.Union, types.UnionType):
            inner = [each for each in typing.get_args(hint) if each is not type(None)]
            if len(inner) != 1:
                return None
            hint = inner[0]
        else:
            return hint


def _of_schema(name: str, schema: Any, models: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Keywords]]:
    """What a pydantic model's JSON Schema tells."""
    choices = [each for each in schema.get("anyOf", schema.get("allOf", ())) if each.get("type") != "null"]
    if len(choices) == 1:
        schema = {**schema, **choices[0]}
    if "$ref" in schema:
        schema = {**models[schema["$ref"].rpartition("/")[2]], **schema}
    if "properties" in schema:
        for field, inner in schema["properties"].items() if depth else ():
            yield from _of_schema(f"{name}.{field}", inner, models, depth - 1)
        return
    kept = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        kept |= _choices([schema["const"]])
    if isinstance(schema.get("type"), str):
        kept["type"] = schema["type"]
    if schema.get("format") in _FORMATS:
        kept["format"] = schema["format"]
    if kept.get("type") == "integer" and "exclusiveMinimum" in schema:
        kept["minimum"] = schema["exclusiveMinimum"] + 1
    if kept.get("type") == "integer" and "exclusiveMaximum" in schema:
        kept["maximum"] = schema["exclusiveMaximum"] - 1
    yield name, kept


def _choices(values: Iterable[Any]) -> Keywords:
    found = [value for value in values if value is not None]
    return {"enum": found} if found and all(isinstance(value, bool | int | float | str) for value in found) else {}
