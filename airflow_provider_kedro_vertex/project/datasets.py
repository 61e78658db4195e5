"""Datasets as the catalog's configuration describes them. No dataset class is imported, no credential is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kedro.io import DatasetError
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.manifest import UNDECLARED, Dataset, Scope
from airflow_provider_kedro_vertex.project.vertexai_yml import Locate

_MEMORY_CLASSES = frozenset({"MemoryDataset", "SharedMemoryDataset"})

# Where kedro-datasets' classes take their place from. Wrappers such as CachedDataset have it in their `dataset`.
_PLACE_KEYS = ("filepath", "path", "url")

_PROTOCOL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")

# In these URLs the name before the @ is the container, not a user (Azure's and Oracle's forms).
_CONTAINER_BEFORE_HOST = frozenset({"abfs", "abfss", "oci", "wasb", "wasbs"})


def resolve_datasets(
    names: Iterable[str], catalog: Mapping[str, Any], project_path: Path, locate: Locate
) -> dict[str, Dataset]:
    """Describe datasets by name, sorted, with Kedro's own rules for patterns.

    :param catalog: the catalog's configuration as the project's config loader gives it.
    :param project_path: what local places are relative to.
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
        resolver = CatalogConfigResolver(_without_credentials(catalog), None, {"{default}": {"type": UNDECLARED}})
        configs = {name: resolver.resolve_pattern(name) for name in sorted(names)}
    except (DatasetError, LookupError, ValueError) as error:
        raise ConfigError(f"The catalog is wrong: {' '.join(str(error).split())}") from error
    return {name: _dataset(name, config, project_path) for name, config in configs.items()}


def _without_credentials(config: Any) -> Any:
    """Drop the names of credentials, which the resolver would look up."""
    if isinstance(config, Mapping):
        return {key: _without_credentials(value) for key, value in config.items() if key != "credentials"}
    return config


def _dataset(name: str, config: Mapping[str, Any], project_path: Path) -> Dataset:
    kind, place = config["type"], _place(config)
    return Dataset(
        name=name,
        type=kind,
        location=None if place is None else _location(place, project_path),
        scope="memory" if _in_memory(config) else _scope(place),
        versioned=_versioned(config),
    )


def _in_memory(config: Mapping[str, Any]) -> bool:
    """Whether a dataset keeps nothing outside of its process; a CachedDataset keeps what the one behind it keeps."""
    kind, behind = config["type"].rpartition(".")[2], config.get("dataset")
    if kind == "CachedDataset" and isinstance(behind, Mapping) and isinstance(behind.get("type"), str):
        return _in_memory(behind)
    return kind in _MEMORY_CLASSES


def _place(config: Mapping[str, Any]) -> str | None:
    for key in _PLACE_KEYS:
        if isinstance(place := config.get(key), str) and place:
            return place
    wrapped = config.get("dataset")
    return _place(wrapped) if isinstance(wrapped, Mapping) else None


def _versioned(config: Mapping[str, Any]) -> bool:
    wrapped = config.get("dataset")
    return bool(config.get("versioned")) or (isinstance(wrapped, Mapping) and _versioned(wrapped))


def _scope(place: str | None) -> Scope:
    # A dataset without a place is a table, an API or the like: its class knows where, and it is no file of ours.
    if place is None:
        return "remote"
    protocol, _ = _split(place)
    if protocol in ("file", "local"):
        return "local"
    return "memory" if protocol == "memory" else "remote"


def _split(place: str) -> tuple[str, str]:
    """A place's protocol, ``file`` for a plain path, and what follows it."""
    match = _PROTOCOL.match(place)
    return (match[1].lower(), place[match.end() :]) if match else ("file", place)


def _location(place: str, project_path: Path) -> str:
    if _scope(place) == "local":
        path = Path(_split(place)[1])
        return path.relative_to(project_path).as_posix() if path.is_relative_to(project_path) else path.as_posix()
    return redacted(place)


def redacted(url: str) -> str:
    """Hide what may be secret in a URL: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    user, _, host = parts.netloc.rpartition("@")
    if user and (":" in user or parts.scheme not in _CONTAINER_BEFORE_HOST):
        parts = parts._replace(netloc=f"***@{host}")
    elif not parts.query and not parts.fragment:
        return url
    return urlunsplit(parts._replace(query=parts.query and "***", fragment=parts.fragment and "***"))
