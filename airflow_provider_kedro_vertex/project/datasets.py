"""Datasets as the catalog's configuration describes them. No dataset class is imported.

Of credentials only the scope is told that a connection has which the file holds as a literal: nothing of them is
resolved, and nothing of them gets into a description.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kedro.io import DatasetError
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project.locations import Location, parse_location, placeholders
from airflow_provider_kedro_vertex.core.project.manifest import UNDECLARED, Dataset, Scope
from airflow_provider_kedro_vertex.project.vertexai_yml import Locate

_MEMORY_CLASSES = frozenset({"MemoryDataset", "SharedMemoryDataset"})

# Where kedro-datasets' classes take their place from, the first that is given. Wrappers such as CachedDataset have it
# in their `dataset`.
_PATH_KEYS = ("filepath", "path", "uri")
_CONNECTION_KEYS = ("url", "con", "connection", "connection_string", "conn_str")
_FILE_BACKENDS = frozenset({"duckdb", "sqlite"})

# Stands in place of `credentials`, which the resolver would look up: their name, or the scope of those in the entry.
CREDENTIALS = "credentials of the entry"


def resolve_datasets(
    names: Iterable[str],
    catalog: Mapping[str, Any],
    project_path: Path,
    locate: Locate,
    credentials: Mapping[str, Any] | None = None,
) -> dict[str, Dataset]:
    """Describe datasets by name, sorted, with Kedro's own rules for patterns.

    :param catalog: the catalog's configuration as the project's config loader gives it.
    :param project_path: what local places are relative to.
    :param locate: says where an entry of the catalog stands.
    :param credentials: the project's credentials as they are written; interpolations stay as they are.
    :raises ConfigError: an entry is no mapping or has no type, or a pattern is wrong.
    """
    configs = resolve_configs(names, without_credentials(catalog), locate)
    return {name: _dataset(name, config, project_path, credentials or {}) for name, config in configs.items()}


def resolve_configs(names: Iterable[str], catalog: Mapping[str, Any], locate: Locate) -> dict[str, Mapping[str, Any]]:
    """The catalog's entries of datasets by name, sorted, with Kedro's own rules for patterns.

    :param catalog: without credentials, which would be looked up.
    :param locate: says where an entry of the catalog stands.
    :raises ConfigError: an entry is no mapping or has no type, or a pattern is wrong.
    """
    for name, entry in catalog.items():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            raise ConfigError(
                f"{locate((name,))}: the catalog's entry {name!r} must be a mapping with a type, such as "
                "{type: pandas.ParquetDataset, filepath: gs://bucket/name.parquet}."
            )
    try:
        resolver = CatalogConfigResolver(dict(catalog), None, {"{default}": {"type": UNDECLARED}})
        return {name: resolver.resolve_pattern(name) for name in sorted(names)}
    except (DatasetError, LookupError, ValueError) as error:
        raise ConfigError(f"The catalog is wrong: {' '.join(str(error).split())}") from error


def with_runtime_params(
    datasets: Mapping[str, Dataset], names: Collection[str], catalog: Mapping[str, Any], project_path: Path
) -> dict[str, Dataset]:
    """Tell of datasets which runtime parameters say where they are.

    :param names: the runtime parameters that the configuration reads.
    :param catalog: with a placeholder for each of them; see :func:`.locations.placeholder`.
    :raises ConfigError: see :func:`resolve_datasets`.
    """
    open_ones = resolve_datasets(datasets, catalog, project_path, lambda path: "The catalog")
    return {name: _set_by(dataset, open_ones[name].location, names) for name, dataset in datasets.items()}


def _set_by(dataset: Dataset, pattern: str | None, names: Collection[str]) -> Dataset:
    found = placeholders(pattern, names)
    return replace(dataset, runtime_params=found, pattern=pattern) if found else dataset


def without_credentials(config: Any) -> Any:
    """A catalog, or an entry of it, with a trace of its credentials in their place, which tells nothing of them."""
    if not isinstance(config, Mapping):
        return config
    rest = {key: without_credentials(value) for key, value in config.items() if key != "credentials"}
    given = config.get("credentials")
    if isinstance(given, str):
        rest[CREDENTIALS] = {"name": given}
    elif location := _connection(given):
        rest[CREDENTIALS] = {"scope": location.scope}
    return rest


def _dataset(name: str, config: Mapping[str, Any], project_path: Path, credentials: Mapping[str, Any]) -> Dataset:
    location = _location(config, credentials)
    return Dataset(
        name=name,
        type=config["type"],
        location=_from_project(location, project_path),
        scope="memory" if _in_memory(config) else location.scope,
        versioned=_versioned(config),
        has_data=_in_memory(config) and config.get("data") is not None,
        table=_table(config),
    )


def _table(config: Mapping[str, Any]) -> str | None:
    """The table of BigQuery or of an SQL database that a dataset is."""
    kind, table = config["type"].rpartition(".")[2], config.get("table_name")
    if not isinstance(table, str):
        return None
    if kind == "GBQTableDataset":
        parts = [config.get("project"), config.get("dataset"), table]
        return ".".join(part for part in parts if isinstance(part, str) and part)
    if kind == "SQLTableDataset":
        arguments = [config.get(key) for key in ("save_args", "load_args")]
        schemas = [each.get("schema") for each in arguments if isinstance(each, Mapping)]
        schema = next((schema for schema in schemas if isinstance(schema, str)), None)
        return table if schema is None else f"{schema}.{table}"
    return None


def _in_memory(config: Mapping[str, Any]) -> bool:
    """Tell datasets that keep nothing outside of their process; a CachedDataset keeps what the one behind it keeps."""
    kind, behind = config["type"].rpartition(".")[2], config.get("dataset")
    if kind == "CachedDataset" and isinstance(behind, Mapping) and isinstance(behind.get("type"), str):
        return _in_memory(behind)
    return kind in _MEMORY_CLASSES


def _location(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Location:
    for at in _nested(config):
        place = next((at[key] for key in _PATH_KEYS if isinstance(at.get(key), str | os.PathLike) and at[key]), None)
        if place is not None:
            return parse_location(os.fspath(place))
        if location := _connection(at):
            return location
        if scope := _scope_of_credentials(at.get(CREDENTIALS), credentials):
            return Location(None, scope)
    # A dataset without a place is a table, an API or the like: its class knows where, and it is no file of ours.
    return Location(None, "remote")


def _nested(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A dataset's configuration, and those of the datasets that it wraps."""
    at: Any = config
    while isinstance(at, Mapping):
        yield at
        # KedroVertexAIMetadataDataset has the arguments of the dataset behind it apart.
        at = at.get("base_dataset_args") or at.get("dataset")


def _connection(config: Any) -> Location | None:
    """Where a mapping connects to, by its URL or as ibis has it (``backend`` and ``database`` or ``host``)."""
    if not isinstance(config, Mapping):
        return None
    for value in (config[key] for key in _CONNECTION_KEYS if key in config):
        if isinstance(value, str):
            return parse_location(value, may_be_path=False)
        if location := _connection(value):
            return location
    backend, database, host = (config.get(key) for key in ("backend", "database", "host"))
    if not isinstance(backend, str):
        return None
    if backend in _FILE_BACKENDS and (database is None or isinstance(database, str)):
        return parse_location(f"{backend}:{database or ''}")
    return parse_location(f"{backend}://{host}") if isinstance(host, str) else Location(None, "remote")


def _scope_of_credentials(given: Any, credentials: Mapping[str, Any]) -> Scope | None:
    if not isinstance(given, Mapping):
        return None
    if scope := given.get("scope"):
        found: Scope = scope
        return found
    written = credentials.get(given["name"])
    location = _connection({"con": written} if isinstance(written, str) else written)
    return location.scope if location else None


def _versioned(config: Mapping[str, Any]) -> bool:
    return any(bool(each.get("versioned")) for each in _nested(config))


def _from_project(location: Location, project_path: Path) -> str | None:
    if location.shown is None or location.scope != "local":
        return location.shown
    path = Path(location.shown)
    return path.relative_to(project_path).as_posix() if path.is_relative_to(project_path) else location.shown
