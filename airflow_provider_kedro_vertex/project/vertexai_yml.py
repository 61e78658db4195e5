"""``vertexai.yml`` becomes settings: checked by its schema, old forms turned into new ones."""

from __future__ import annotations

import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from airflow_provider_kedro_vertex.core.errors import CombinedConfigError, ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT
from airflow_provider_kedro_vertex.project.schema import (
    GKE_ACCELERATOR,
    GROUPERS,
    OLD_GPU,
    OLD_NETWORK,
    Ignored,
    RunConfigSection,
    Section,
    VertexAIFile,
)

KeyPath = tuple[str | int, ...]

#: Says where a key stands, such as ``conf/base/vertexai.yml, line 3``.
Locate = Callable[[KeyPath], str]

#: What kedro-vertexai asks for when nothing is said.
DEFAULT_RESOURCES = {"cpu": "500m", "memory": "1024Mi"}
#: kedro-vertexai's ``max_cache_staleness`` for: never take an earlier result.
_NO_CACHING = "P0D"


class ConfigWarning(UserWarning):
    """A setting is accepted and does not do what it may seem to do."""


def dotted(path: KeyPath) -> str:
    """Write a key's path as messages do, on one line: ``run_config.resources.train.cpu``."""
    return ".".join(" ".join(str(part).split()) or repr(part) for part in path)


def read_run_config(content: Mapping[str, Any], locate: Locate) -> RunConfig:
    """Check the content of ``vertexai.yml`` and turn it into settings. An empty file leaves every setting open.

    Warns with :class:`ConfigWarning` of each key that is ignored or has another name by now.

    :param content: the file as loaded, interpolations resolved.
    :param locate: see :data:`Locate`.
    :raises ConfigError: one line for each problem, each with its place, its key and what to do.
    """
    try:
        file = VertexAIFile.model_validate(content)
    except ValidationError as error:
        problems = (ConfigError(_problem(item, locate)) for item in error.errors(include_url=False))
        raise CombinedConfigError(problems) from None
    for path, remark in _remarks(file, content):
        warnings.warn(f"{locate(path)}: {dotted(path)} {remark}.", ConfigWarning, stacklevel=2)
    if not content:
        return RunConfig()
    settings = _new_form(file.run_config.model_dump(exclude_unset=True))
    return RunConfig.from_dict({"project_id": file.project_id, "region": file.region, **settings})


def _new_form(settings: dict[str, Any]) -> dict[str, Any]:
    """Turn the old forms of the section ``run_config`` into the new ones."""
    settings = {name: value for name, value in settings.items() if name not in _ignored(RunConfigSection)}
    resources = settings.setdefault("resources", {})
    resources.setdefault(DEFAULT, DEFAULT_RESOURCES)
    for selector, labels in settings.pop("node_selectors", {}).items():
        accelerator = labels.get(GKE_ACCELERATOR)
        wanted = resources.setdefault(selector, {})
        if accelerator and not wanted.get("accelerator_type"):
            wanted["accelerator_type"] = accelerator.upper().replace("-", "_")
    # The container reads them from the file itself, where the hook that takes them finds the project.
    settings.get("mlflow", {}).pop("request_header_provider_params", None)
    if settings.pop("max_cache_staleness", None) == _NO_CACHING:
        settings.setdefault("nodes", {}).setdefault(DEFAULT, {}).setdefault("caching", False)
    if settings.pop("node_merge_strategy", None) == "full" and not settings.get("grouping"):
        settings["grouping"] = {"kind": "pipeline"}
    if settings.get("grouping") is not None:
        settings["grouping"] = _grouping(settings["grouping"])
    return settings


def _grouping(said: dict[str, Any]) -> dict[str, Any]:
    old = said.pop("cls", None)
    if old is None:
        return {**said, "kind": said.get("kind") or "none"}
    prefix = said.get("params", {}).get("tag_prefix")
    return {"kind": GROUPERS[old], "tag_prefix": [prefix] if prefix else None}


def _ignored(section: type[Section]) -> dict[str, str]:
    """The keys of a section that are accepted and change nothing, and why."""
    return {
        name: mark.why
        for name, field in section.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Ignored)
    }


def _remarks(file: VertexAIFile, content: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """What is accepted and does not do what it may seem to do."""
    run = file.run_config
    for name, why in _ignored(VertexAIFile).items():
        if name in file.model_fields_set:
            yield (name,), f"is ignored: {why}"
    for name, why in _ignored(RunConfigSection).items():
        if name in run.model_fields_set:
            yield ("run_config", name), f"is ignored: {why}"
    if OLD_NETWORK in (content.get("run_config") or {}):
        yield ("run_config", OLD_NETWORK), "is called network by now"
    if run.max_cache_staleness not in (None, _NO_CACHING):
        yield ("run_config", "max_cache_staleness"), "is ignored: set nodes.<selector>.caching"
    for selector, labels in run.node_selectors.items():
        for label in labels:
            if label != GKE_ACCELERATOR:
                why = f"of node selectors Vertex AI has {GKE_ACCELERATOR} alone"
                yield ("run_config", "node_selectors", selector, label), f"is ignored: {why}"
    for pipeline, schedule in run.schedules.items():
        if schedule.max_run_count is not None:
            yield (
                ("run_config", "schedules", pipeline, "max_run_count"),
                ("is ignored: Airflow counts no runs; set end_time"),
            )
        if schedule.allow_queueing is not None:
            yield (
                ("run_config", "schedules", pipeline, "allow_queueing"),
                ("is ignored: Airflow always queues a run that may not start yet"),
            )


def _problem(error: Any, locate: Locate) -> str:
    path: KeyPath = error["loc"]
    if path and path[-1] == "[key]":
        return f"{locate(path[:-2])}: the key {dotted(path[:-1])} must be a string."
    place, key, value = locate(path), dotted(path) or "the file", f"{error['input']!r:.80}"
    match error["type"]:
        case "extra_forbidden" if path[-1] == OLD_GPU:
            return f"{place}: {key} is the old name of gpu, and both are given. Remove one of them."
        case "extra_forbidden" if path[-1] == OLD_NETWORK:
            return f"{place}: {key} is the old name of network, and both are given. Remove one of them."
        case "extra_forbidden":
            return f"{place}: unknown key {key}.{did_you_mean(str(path[-1]), _section_at(path[:-1]).model_fields)}"
        case "value_error":
            return f"{place}: {key} {error['ctx']['error']}"
        case "missing":
            return f"{place}: {key} is missing."
        case "string_type":
            return f"{place}: {key} must be a string, not {value}."
        case "list_type":
            return f"{place}: {key} must be a list, not {value}."
        case "invalid_key":
            return f"{place}: the key {key} must be a string."
        case _:
            return f"{place}: {key} must be a mapping, not {value}."


def _section_at(path: KeyPath) -> type[Section]:
    """The section that a path leads to: keys lead into sections, selectors and indexes stay in theirs."""
    section: type[Section] = VertexAIFile
    parts = iter(path)
    for part in parts:
        name = "network" if part == OLD_NETWORK else part
        if isinstance(name, str) and name in section.model_fields:
            inner, many = nested(section.model_fields[name].annotation)
            section = inner or section
            if many:
                next(parts, None)
    return section


def nested(annotation: Any) -> tuple[type[Section] | None, bool]:
    """The section inside the type of a field, and whether the field holds many of them."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    many = typing.get_origin(annotation) in (dict, list)
    for argument in typing.get_args(annotation):
        section, _ = nested(argument)
        if section is not None:
            return section, many
    return None, many
