"""The manifest: what was inspected of a Kedro project, as frozen dataclasses and as JSON.

The Kedro side writes it (``kedro vertex manifest``), the Airflow side reads it with the standard library. Its bytes
depend on the project alone: keys are sorted, and there is no time, no absolute path and no secret in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from airflow_provider_kedro_vertex.core.errors import ConfigError, ManifestError, PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.files import write_whole
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

#: 1 had the values of parameters, secrets among them.
SCHEMA_VERSION = 2

#: The name that Kedro gives to the pipeline of a project that is run when none is named.
DEFAULT_PIPELINE = "__default__"

#: The type of a dataset that the catalog does not name: what Kedro 1 makes of it.
UNDECLARED = "kedro.io.MemoryDataset"

#: A manifest holds names and settings; one beyond this is no manifest.
MAX_BYTES = 256 * 1024 * 1024

Scope = Literal["memory", "local", "remote"]


@dataclass(frozen=True)
class Project:
    """Who the project is: Kedro's project name, package name and version."""

    name: str
    package_name: str
    kedro_version: str


@dataclass(frozen=True)
class Dataset:
    """One dataset that a registered pipeline uses.

    ``location`` is the file path or URL of the catalog, as far as it may be shown (see :mod:`.locations`) and relative
    to the project for local files, or None. ``scope`` tells where the data lives: ``memory`` (nothing declared, or a
    memory dataset), ``local`` (the container's own disk, or a server on its machine) or ``remote`` (shared storage).
    ``runtime_params`` are those that set the location when a run gives them. ``has_data`` tells of a memory dataset
    that the catalog itself gives its data. ``pattern`` is the location with ``<NAME>`` for each of ``runtime_params``.
    ``table`` is the table of a database or of BigQuery that it is, with its schema, and its project where the catalog
    names it.
    """

    name: str
    type: str
    location: str | None = None
    scope: Scope = "memory"
    versioned: bool = False
    runtime_params: tuple[str, ...] = ()
    has_data: bool = False
    pattern: str | None = None
    table: str | None = None


@dataclass(frozen=True)
class Parameter:
    """One parameter of the project.

    ``type`` is JSON Schema's name of its type, or Python's for a value that JSON does not have; ``object`` is a mapping
    whose names are not told. ``default`` is a short value that stands as a literal in the project's files, else None.
    ``schema`` are the keywords of JSON Schema that the nodes' type hints give (``enum``, ``minimum``, ..).
    """

    type: str
    default: Any = None
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """One Kedro node. ``inputs`` keep ``params:`` names and the transcoding of datasets (``table@pandas``).

    ``group`` is what the project's own grouping function (``grouping: {kind: callable}``) answered for the node.
    ``description`` is the first paragraph of the docstring of the node's function, if the project itself has it.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tags: tuple[str, ...] = ()
    namespace: str | None = None
    group: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Pipeline:
    """One registered pipeline, its nodes in Kedro's own topological order.

    ``logs_model`` tells that it is made by kedro-mlflow's ``pipeline_ml_factory``, which logs a model when one process
    has run all of its nodes.
    """

    name: str
    nodes: tuple[Node, ...]
    logs_model: bool = False


@dataclass(frozen=True)
class Manifest:
    """Every registered pipeline of one project in one Kedro environment.

    ``parameters`` go by their dotted names. ``variables`` are the environment variables that the configuration read
    when it was inspected, so that the containers need them; their values are in no manifest. ``runtime_params`` are the
    names that the configuration reads as ``${runtime_params:NAME}``, and whether it reads them without a default; those
    that were given count as having one. ``hooks`` are the names of the project's hooks, and of installed plugins, that
    may add datasets to the catalog of a run; nobody can see which before it runs.
    """

    project: Project
    env: str | None
    config: RunConfig
    parameters: Mapping[str, Parameter]
    datasets: Mapping[str, Dataset]
    pipelines: Mapping[str, Pipeline]
    variables: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    runtime_params: Mapping[str, bool] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def pipeline(self, name: str) -> Pipeline:
        """Find a registered pipeline.

        :raises PlanError: there is none of this name; the message has the closest one.
        """
        try:
            return self.pipelines[name]
        except KeyError:
            raise PlanError(
                f"Project {self.project.name!r} has no registered pipeline {name!r}.",
                did_you_mean(name, self.pipelines),
            ) from None

    @cached_property
    def digest(self) -> str:
        """``sha256:`` and 64 hexadecimal digits over the content; of one that was read, those of its file."""
        return _digest(_content(self))

    @cached_property
    def definition_digest(self) -> str:
        """As :attr:`digest`, without parameters' defaults and descriptions: a change of a value or a text is none."""
        return str(_content(self)["definition_digest"])


def dumps(manifest: Manifest) -> str:
    """Write a manifest as JSON text: the same project gives the same bytes on every machine."""
    content = _content(manifest)
    return json.dumps({"digest": _digest(content), **content}, indent=1, sort_keys=True) + "\n"


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest to a file, whole or not at all.

    :raises ManifestError: the folder is missing or not writable.
    """
    try:
        write_whole(path, dumps(manifest))
    except OSError as error:
        raise ManifestError(f"Cannot write the manifest {path}: {error.strerror or error}.") from error


def read(path: Path) -> Manifest:
    """Read a manifest from a file.

    :raises ManifestError: missing, too large, no JSON, of a newer schema, or with a wrong shape; the message names
        the file and the command that makes it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ManifestError(f"{path} has more than {MAX_BYTES} bytes, so it is no manifest.", _remedy(path))
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ManifestError(f"There is no manifest at {path}.", _remedy(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"Cannot read the manifest {path}: {error}.", _remedy(path)) from error
    return loads(text, source=path)


def loads(text: str, source: Path | str) -> Manifest:
    """Read a manifest from JSON text.

    :param source: where the text comes from, for the messages.
    :raises ManifestError: see :func:`read`.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"The manifest {source} is damaged or cut short ({error}).", _remedy(source)) from None
    try:
        return _manifest(value)
    except _ShapeError as error:
        raise ManifestError(f"The manifest {source} is wrong {error}.", _remedy(source)) from None
    except ConfigError as error:
        raise ManifestError(f"The manifest {source} is wrong at config: {error} {_remedy(source)}") from None


def _remedy(source: Path | str) -> str:
    return f"Make it in the Kedro project with: kedro vertex manifest -o {Path(source).name}"


class _ShapeError(ValueError):
    """A value of the wrong shape, with its place in the JSON."""


def _content(manifest: Manifest) -> dict[str, Any]:
    content = _described(manifest)
    parameters = {name: _without(parameter, "default") for name, parameter in content["parameters"].items()}
    pipelines = {
        name: {**pipeline, "nodes": [_without(node, "description") for node in pipeline["nodes"]]}
        for name, pipeline in content["pipelines"].items()
    }
    return {**content, "definition_digest": _digest({**content, "parameters": parameters, "pipelines": pipelines})}


def _without(value: Mapping[str, Any], left_out: str) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != left_out}


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "schema_version": manifest.schema_version,
        "project": {
            "name": manifest.project.name,
            "package_name": manifest.project.package_name,
            "kedro_version": manifest.project.kedro_version,
        },
        "env": manifest.env,
        "config": manifest.config.to_dict(),
        **({"variables": list(manifest.variables)} if manifest.variables else {}),
        **({"hooks": list(manifest.hooks)} if manifest.hooks else {}),
        "parameters": {
            name: {
                "type": parameter.type,
                **({} if parameter.default is None else {"default": parameter.default}),
                **({"schema": dict(parameter.schema)} if parameter.schema else {}),
            }
            for name, parameter in manifest.parameters.items()
        },
        "runtime_params": {name: {"required": required} for name, required in manifest.runtime_params.items()},
        "datasets": {
            name: {
                "type": dataset.type,
                "location": dataset.location,
                "scope": dataset.scope,
                "versioned": dataset.versioned,
                **({"runtime_params": list(dataset.runtime_params)} if dataset.runtime_params else {}),
                **({"has_data": True} if dataset.has_data else {}),
                **({} if dataset.pattern is None else {"pattern": dataset.pattern}),
                **({} if dataset.table is None else {"table": dataset.table}),
            }
            for name, dataset in manifest.datasets.items()
        },
        "pipelines": {
            name: {
                "nodes": [
                    {
                        "name": node.name,
                        "namespace": node.namespace,
                        "tags": list(node.tags),
                        "inputs": list(node.inputs),
                        "outputs": list(node.outputs),
                        **({} if node.group is None else {"group": node.group}),
                        **({} if node.description is None else {"description": node.description}),
                    }
                    for node in pipeline.nodes
                ],
                **({"logs_model": True} if pipeline.logs_model else {}),
            }
            for name, pipeline in manifest.pipelines.items()
        },
    }


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _manifest(value: Any) -> Manifest:
    if not isinstance(value, dict):
        raise _ShapeError("at the top: it must be a JSON object")
    version = value.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise _ShapeError(
            f"at schema_version: {version} is newer than {SCHEMA_VERSION}, the newest that this "
            "airflow-provider-kedro-vertex reads; upgrade the package here, or write the manifest with this version"
        )
    if isinstance(version, int) and 0 < version < SCHEMA_VERSION:
        raise _ShapeError(
            f"at schema_version: {version} is older than {SCHEMA_VERSION}, the only one that is read here; write the "
            "manifest anew"
        )
    if version != SCHEMA_VERSION:
        raise _ShapeError(f"at schema_version: it must be {SCHEMA_VERSION}, not {version!r}")
    project = _object(value, "project")
    env = value.get("env")
    if env is not None and not isinstance(env, str):
        raise _ShapeError("at env: it must be a string or null")
    manifest = Manifest(
        project=Project(*(_string(project, key, "project") for key in ("name", "package_name", "kedro_version"))),
        env=env,
        config=RunConfig.from_dict(_object(value, "config")),
        variables=_strings({"variables": value.get("variables", [])}, "variables", "the top"),
        hooks=_strings({"hooks": value.get("hooks", [])}, "hooks", "the top"),
        parameters={name: _parameter(name, item) for name, item in _items(value, "parameters")},
        datasets={name: _dataset(name, item) for name, item in _items(value, "datasets")},
        pipelines={name: _pipeline(name, item) for name, item in _items(value, "pipelines")},
        runtime_params={name: item.get("required") is True for name, item in _items(value, "runtime_params")},
    )
    # Over what is written and not over what it means: settings that are new since then change no old digest.
    digest = _digest({key: item for key, item in value.items() if key != "digest"})
    if value.get("digest") != digest:
        raise _ShapeError("at digest: it does not match the content, so the file was edited or damaged")
    # Each parse of a DAG file tells them, and they take as long as a hundred tasks.
    definition = value.get("definition_digest")
    vars(manifest).update(digest=digest, definition_digest=definition if isinstance(definition, str) else digest)
    return manifest


def _dataset(name: str, value: Mapping[str, Any]) -> Dataset:
    where = f"datasets.{name}"
    scope: Any = value.get("scope")
    location, versioned = value.get("location"), value.get("versioned")
    if scope not in get_args(Scope):
        raise _ShapeError(f"at {where}.scope: it must be one of {', '.join(get_args(Scope))}")
    if location is not None and not isinstance(location, str):
        raise _ShapeError(f"at {where}.location: it must be a string or null")
    if not isinstance(versioned, bool):
        raise _ShapeError(f"at {where}.versioned: it must be true or false")
    set_by = _strings(value, "runtime_params", where) if "runtime_params" in value else ()
    pattern, table = (_string(value, key, where) if key in value else None for key in ("pattern", "table"))
    return Dataset(
        name=name,
        type=_string(value, "type", where),
        location=location,
        scope=scope,
        versioned=versioned,
        runtime_params=set_by,
        has_data=value.get("has_data") is True,
        pattern=pattern,
        table=table,
    )


def _parameter(name: str, value: Mapping[str, Any]) -> Parameter:
    where = f"parameters.{name}"
    schema = _object(value, "schema", f"{where}.") if "schema" in value else {}
    return Parameter(_string(value, "type", where), value.get("default"), schema)


def _pipeline(name: str, value: Mapping[str, Any]) -> Pipeline:
    nodes = value.get("nodes")
    if not isinstance(nodes, list):
        raise _ShapeError(f"at pipelines.{name}.nodes: it must be a list")
    logs_model = value.get("logs_model", False)
    if not isinstance(logs_model, bool):
        raise _ShapeError(f"at pipelines.{name}.logs_model: it must be true or false")
    read = tuple(_node(f"pipelines.{name}.nodes[{i}]", node) for i, node in enumerate(nodes))
    return Pipeline(name, read, logs_model)


def _node(where: str, value: Any) -> Node:
    if not isinstance(value, dict):
        raise _ShapeError(f"at {where}: it must be an object")
    namespace, group, description = (value.get(key) for key in ("namespace", "group", "description"))
    for key, text in (("namespace", namespace), ("group", group), ("description", description)):
        if text is not None and not isinstance(text, str):
            raise _ShapeError(f"at {where}.{key}: it must be a string or null")
    return Node(
        name=_string(value, "name", where),
        inputs=_strings(value, "inputs", where),
        outputs=_strings(value, "outputs", where),
        tags=_strings(value, "tags", where),
        namespace=namespace,
        group=group,
        description=description,
    )


def _object(value: Mapping[str, Any], key: str, where: str = "") -> dict[str, Any]:
    item = value.get(key)
    if not isinstance(item, dict):
        raise _ShapeError(f"at {where}{key}: it must be an object")
    return item


def _items(value: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, item in _object(value, key).items():
        if not isinstance(item, dict):
            raise _ShapeError(f"at {key}.{name}: it must be an object")
        yield name, item


def _string(value: Mapping[str, Any], key: str, where: str) -> str:
    item = value.get(key)
    if not isinstance(item, str):
        raise _ShapeError(f"at {where}.{key}: it must be a string")
    return item


def _strings(value: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    item = value.get(key)
    if not isinstance(item, list) or not all(isinstance(entry, str) for entry in item):
        raise _ShapeError(f"at {where}.{key}: it must be a list of strings")
    return tuple(item)
