"""The schema of ``vertexai.yml``, kedro-vertexai's configuration file (0.1.0 to 1.0.0).

The classes name keys as the file does. What this version reads becomes a :class:`.RunConfig`; the other keys that
kedro-vertexai and kedro-kubeflow knew are accepted with a warning, so that existing files load; any further key is an
error. As kedro-vertexai's pydantic 1 releases did, numbers are taken for strings (``cpu: 8``), and its template's
``none`` means null.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from airflow_provider_kedro_vertex.core.config import RunConfig
from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.quantities import accelerators, cores, gigabytes, storage_root

KeyPath = tuple[str | int, ...]

#: Says where a key stands, such as ``conf/base/vertexai.yml, line 3``.
Locate = Callable[[KeyPath], str]


def dotted(path: KeyPath) -> str:
    """Write a key's path as messages do: ``run_config.resources.train.cpu``."""
    return ".".join(map(str, path))


class ConfigWarning(UserWarning):
    """A setting is accepted but changes nothing."""


def _quantity(read: Callable[[str, str], object]) -> AfterValidator:
    def check(value: str | None) -> str | None:
        if value is not None:
            try:
                read(value, "it")
            except ConfigError as error:
                raise ValueError(str(error).removeprefix("it ")) from None
        return value

    return AfterValidator(check)


def _root(value: str | None) -> str | None:
    try:
        return None if value is None else storage_root(value)
    except ConfigError as error:
        raise ValueError(str(error).removeprefix("root ")) from None


# kedro-vertexai 0.1 and 0.2 passed Kubernetes' own name through, and its documents still show it.
_OLD_GPU = "nvidia.com/gpu"

_UNUSED = "unused"
#: A key that is known and not used by this version.
Unused = Annotated[Any, _UNUSED]


class Section(BaseModel):
    """One mapping of the file: unknown keys are errors, numbers are taken for strings."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, frozen=True)


class ResourcesSection(Section):
    """``run_config.resources.<node name, tag or __default__>``."""

    cpu: Annotated[str | None, _quantity(cores)] = None
    memory: Annotated[str | None, _quantity(gigabytes)] = None
    gpu: Annotated[str | None, _quantity(accelerators)] = Field(
        default=None, validation_alias=AliasChoices("gpu", _OLD_GPU)
    )
    accelerator_type: str | None = None


def _empty_for_null(value: Any) -> Any:
    return {} if value is None else value


class RunConfigSection(Section):
    """``run_config``."""

    image: str | None = None
    root: Annotated[str | None, AfterValidator(_root)] = None
    experiment_name: str | None = None
    description: str | None = None
    service_account: str | None = None
    resources: Annotated[
        dict[str, Annotated[ResourcesSection, BeforeValidator(_empty_for_null)]], BeforeValidator(_empty_for_null)
    ] = Field(default_factory=dict)

    # kedro-vertexai 1.0.0
    dynamic_config_providers: Unused = None
    experiment_description: Unused = None
    grouping: Unused = None
    mlflow: Unused = None
    network: Unused = None
    node_selectors: Unused = None
    schedules: Unused = None
    scheduled_run_name: Unused = None
    ttl: Unused = None
    # Older releases of kedro-vertexai
    image_pull_policy: Unused = None
    max_cache_staleness: Unused = None
    node_merge_strategy: Unused = None
    on_exit_pipeline: Unused = None
    store_kedro_outputs_as_kfp_artifacts: Unused = None
    vertex_ai_networking: Unused = None
    # kedro-kubeflow, whose file it grew from
    run_name: Unused = None
    volume: Unused = None
    wait_for_completion: Unused = None


class VertexAIFile(Section):
    """The whole file."""

    project_id: str | None = None
    region: str | None = None
    run_config: Annotated[RunConfigSection, BeforeValidator(_empty_for_null)] = Field(default_factory=RunConfigSection)

    # kedro-kubeflow and kedro-vertexai 0.1
    host: Unused = None


def read_run_config(content: Mapping[str, Any], locate: Locate) -> RunConfig:
    """Check the content of ``vertexai.yml`` and turn it into settings. An empty file leaves every setting open.

    Warns with :class:`ConfigWarning` for each key that is known and not used.

    :param content: the file as loaded, interpolations resolved.
    :param locate: see :data:`Locate`.
    :raises ConfigError: one line for each problem, each with its place, its key and what to do.
    """
    try:
        file = VertexAIFile.model_validate(_without_none(content))
    except ValidationError as error:
        raise ConfigError("\n".join(_problem(item, locate) for item in error.errors(include_url=False))) from None
    for path in _unused(file):
        warnings.warn(f"{locate(path)}: {dotted(path)} is not used by this version.", ConfigWarning, stacklevel=2)
    run = file.run_config
    return RunConfig.from_dict(
        {
            "project_id": file.project_id,
            "region": file.region,
            "image": run.image,
            "root": run.root,
            "experiment_name": run.experiment_name,
            "description": run.description,
            "service_account": run.service_account,
            "resources": {selector: wanted.model_dump(exclude_none=True) for selector, wanted in run.resources.items()},
        }
    )


def _without_none(value: Any) -> Any:
    """Replace the strings ``none`` and ``None`` by null; YAML itself has no such word."""
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return None if value in ("none", "None") else value


def _unused(section: Section, at: KeyPath = ()) -> Iterator[KeyPath]:
    for name, field in type(section).model_fields.items():
        if name not in section.model_fields_set:
            continue
        if _UNUSED in field.metadata:
            yield (*at, name)
        elif isinstance(value := getattr(section, name), Section):
            yield from _unused(value, (*at, name))


def _problem(error: Any, locate: Locate) -> str:
    path: KeyPath = error["loc"]
    place, key, value = locate(path), dotted(path) or "the file", f"{error['input']!r:.80}"
    match error["type"]:
        case "extra_forbidden" if path[-1] == _OLD_GPU:
            return f"{place}: {key} is the old name of gpu, and both are given. Remove one of them."
        case "extra_forbidden":
            known = _section_at(path[:-1]).model_fields
            return f"{place}: unknown key {key}.{did_you_mean(str(path[-1]), known)}"
        case "value_error":
            return f"{place}: {key} {error['ctx']['error']}"
        case "string_type":
            return f"{place}: {key} must be a string, not {value}."
        case "invalid_key":
            return f"{place}: the key {key} must be a string."
        case _:
            return f"{place}: {key} must be a mapping, not {value}."


def _section_at(path: KeyPath) -> type[Section]:
    match path:
        case ():
            return VertexAIFile
        case ("run_config",):
            return RunConfigSection
        case _:
            return ResourcesSection
