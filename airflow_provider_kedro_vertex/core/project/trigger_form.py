"""The trigger form of a pipeline: which of the project's parameters are fields of it, and what each field takes.

A field is described by the keywords of JSON Schema, as Airflow's ``Param`` takes them. Its first value is the project's
own where the manifest has it; else the field is empty, which leaves the parameter to the project.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from fnmatch import fnmatchcase
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node, Parameter
from airflow_provider_kedro_vertex.core.project.parameters import ANY, known_parameters, same_value

#: A form that nobody chose the fields of has so many at most.
MAX_FIELDS = 40

_PREFIX = "params:"
_SCALARS = ("boolean", "integer", "number", "string")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_FORMATS: Mapping[str, Callable[[Any], object]] = {
    "date": date.fromisoformat,
    "date-time": datetime.fromisoformat,
    "time": time.fromisoformat,
}

#: Which parameters a form has: those that suit one, none, or some by their names and patterns.
Choice = bool | str | Sequence[str]


@dataclass(frozen=True)
class Field:
    """One field of a form.

    :param value: what stands in it when it is opened; None for an empty one.
    :param schema: the keywords of JSON Schema, and Airflow's ``section``.
    """

    value: Any
    schema: Mapping[str, Any]


def choose_fields(manifest: Manifest, pipeline: str, choice: Choice, given: Collection[str] = ()) -> dict[str, Field]:
    """Make the fields of a pipeline's form, those without a section first.

    :param choice: True takes the scalars and short lists that the pipeline's nodes take and the configuration reads as
        runtime parameters, the first :data:`MAX_FIELDS` of them; names and patterns (``training.*``) take what they
        match, but for parameters that other pipelines' nodes alone take; False takes none.
    :param given: names that the DAG's author gives values for: they, and what is in them, get no field.
    :raises ConfigError: a name or pattern matches nothing in the project, or ``form`` in the settings does not fit a
        parameter that has a field.
    """
    if choice is False:
        return {}
    known = known_parameters(manifest)
    shown = sorted(known, key=lambda name: ("." in name, name))
    if choice is True:
        taken = {*_taken(manifest.pipeline(pipeline).nodes, shown), *manifest.runtime_params}
        shown = [name for name in shown if name in taken and _suits(manifest, name, known[name])][:MAX_FIELDS]
    else:
        patterns = (choice,) if isinstance(choice, str) else tuple(choice)
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise ConfigError(f"form: the project has no parameter {pattern!r}.", did_you_mean(pattern, known))
        others = _of_others_alone(manifest, pipeline, shown)
        shown = [
            name for name in shown if name not in others and any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
    return {name: _field(manifest, name, known[name]) for name in shown if not _overlaps(name, given)}


def schema_of(manifest: Manifest, name: str, parameter: Parameter) -> dict[str, Any]:
    """Describe what a parameter takes.

    :raises ConfigError: what ``form`` in the settings says of it does not fit its value in the project.
    """
    told = manifest.config.form.get(name)
    schema = {"type": _field_type(parameter), **_items(parameter.default), **parameter.schema}
    schema |= told.to_dict() if told else {}
    if "." in name:
        section, _, title = name.partition(".")
        schema = {"title": title, **schema, "section": section}
    if parameter.default is not None and (problem := misfit(parameter.default, schema)):
        value = f"{parameter.default!r:.80}"
        raise ConfigError(
            f"run_config.form.{name} does not fit the value {value} in the project's parameters, which {problem}.",
            "Change the one or the other.",
        )
    return schema


def or_empty(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes null too, which an empty field is."""
    choices = {"enum": [None, *schema["enum"]]} if "enum" in schema else {}
    return {**schema, "type": ["null", schema["type"]], **choices}


def misfit(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Tell what of a field's schema a value is against, as the end of a sentence; None if it fits."""
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return f"is no {kind}"
    if "enum" in schema and not any(same_value(value, choice) for choice in schema["enum"]):
        return "is none of its enum"
    if kind in ("integer", "number"):
        if value < schema.get("minimum", value):
            return f"is below its minimum {schema['minimum']}"
        if value > schema.get("maximum", value):
            return f"is above its maximum {schema['maximum']}"
    if kind == "string" and schema.get("format") in _FORMATS:
        try:
            _FORMATS[schema["format"]](value)
        except ValueError:
            return f"is no {schema['format']}"
    return None


def _field(manifest: Manifest, name: str, parameter: Parameter) -> Field:
    schema = schema_of(manifest, name, parameter)
    if parameter.default == "":  # Airflow's form would ask for more
        return Field("", or_empty(schema))
    if parameter.default is not None:
        return Field(parameter.default, schema)
    return Field(None, {"description": "Left empty, it is what the project says.", **or_empty(schema)})


def _taken(nodes: Iterable[Node], names: Iterable[str]) -> set[str]:
    """Those of some parameters that nodes take, by themselves or with all that is around them."""
    inputs = {name for node in nodes for name in node.inputs}
    if "parameters" in inputs:
        return set(names)
    wanted = {name.removeprefix(_PREFIX) for name in inputs if name.startswith(_PREFIX)}
    return {name for name in names if _overlaps(name, wanted)}


def _of_others_alone(manifest: Manifest, pipeline: str, names: Collection[str]) -> set[str]:
    own = _taken(manifest.pipeline(pipeline).nodes, names)
    return {name for other in manifest.pipelines.values() for name in _taken(other.nodes, names)} - own


def _overlaps(name: str, others: Collection[str]) -> bool:
    """Whether a dotted name is one of others, is in one of them, or has one of them in it."""
    if name in others:
        return True
    path = name.split(".")
    return any(".".join(path[:end]) in others for end in range(1, len(path))) or any(
        other.startswith(f"{name}.") for other in others
    )


def _suits(manifest: Manifest, name: str, parameter: Parameter) -> bool:
    """Whether a parameter is a scalar or a short list, so that a form has it without being asked."""
    if name in manifest.config.form or parameter.type in (*_SCALARS, ANY) or "type" in parameter.schema:
        return True
    return isinstance(parameter.default, list) and all(
        isinstance(item, bool | int | float | str) for item in parameter.default
    )


def _field_type(parameter: Parameter) -> str:
    return parameter.type if parameter.type in _TYPES else "string"


def _items(value: Any) -> dict[str, Any]:
    """What a list has in it; where nothing is said, Airflow's form has a text for it, each line an item."""
    if not isinstance(value, list):
        return {}
    for kind in _SCALARS:
        if value and all(misfit(item, {"type": kind}) is None for item in value):
            return {"items": {"type": kind}}
    return {"items": {"type": ["null", *_TYPES]}}
