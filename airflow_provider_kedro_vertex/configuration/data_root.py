"""The catalog's configuration with ``run_config.data_root`` applied, the same beside the project and in a container."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kedro.io import DatasetError
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from airflow_provider_kedro_vertex.configuration import airflow_values
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.data_root import filled, place_of, stays, why_type_stays

#: The keys of an entry that hold its own path, and those that hold another dataset, or what is handed to one.
PATH_KEYS, NESTED_KEYS = ("filepath", "path"), ("dataset", "base_dataset_args", "checkpoint")

_NO_PATTERN = "{default}"


@dataclass(frozen=True)
class Place:
    """A path of the catalog, relative to the project, and the URL at which it lies on Vertex AI."""

    path: str
    url: str


def resolved(root: str) -> str:
    """The place of the run that this process is of: ``${airflow:..}`` filled in by its environment, or by defaults.

    :raises ConfigError: there is neither.
    """
    try:
        return filled(root, airflow_values.value)
    except ValueError as error:
        raise ConfigError(f"run_config.data_root is {root!r}: {error}") from None


def below_data_root(
    catalog: Mapping[str, Any], root: str, local_datasets: Collection[str], names: Iterable[str]
) -> dict[str, Any]:
    """Put each dataset of a catalog whose path is relative below ``root``.

    :param catalog: as the project's config loader gives it; it stays as it is.
    :param root: ``gs://bucket/prefix``, ready for use.
    :param local_datasets: names and patterns of the datasets that stay where they are.
    :param names: the datasets that are used. One that stays and that a pattern of the catalog makes gets an entry of
        its own, since the pattern's others do not stay.
    :raises ConfigError: a pattern of the catalog is wrong.
    """
    own = _entries_of_patterns(catalog, [name for name in names if stays(name, local_datasets) and name not in catalog])
    below = {name: entry if stays(name, local_datasets) else moved(entry, root) for name, entry in catalog.items()}
    return {**below, **own}


def moved(entry: Any, root: str) -> Any:
    """An entry of a catalog, or the part that describes a dataset behind another, below ``root``."""
    if not isinstance(entry, Mapping):
        return entry
    kinds = [kind for kind in (entry.get("type"), entry.get("base_dataset")) if isinstance(kind, str)]
    if any(why_type_stays(kind) for kind in kinds):
        return entry
    changed = dict(entry)
    for key in PATH_KEYS:
        if isinstance(path := entry.get(key), str) and (place := place_of(path, root)):
            changed[key] = place
    for key in NESTED_KEYS:
        if key in entry:
            changed[key] = moved(entry[key], root)
    return changed


def places_of(entry: Any, root: str) -> Iterator[Place]:
    """The paths of a dataset's entry that lie below ``root``, but for a checkpoint, which is no data."""
    changed = moved(entry, root)
    if not isinstance(entry, Mapping) or changed == entry:
        return
    for key in PATH_KEYS:
        if changed.get(key) != entry.get(key):
            yield Place(entry[key], changed[key])
    for key in NESTED_KEYS:
        if key in entry and key != "checkpoint":
            yield from places_of(entry[key], root)


def _entries_of_patterns(catalog: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The entries that a catalog's patterns make of names, as they are written but for the names in them."""
    if not names:
        return {}
    patterns = {key: entry for key, entry in catalog.items() if CatalogConfigResolver.is_pattern(key)}
    # Else the resolver would look the credentials up.
    hidden = _renamed(patterns, "credentials", "credentials of the entry")
    try:
        resolver = CatalogConfigResolver(hidden, None, {_NO_PATTERN: {}})
        found = {name: resolver.resolve_pattern(name) for name in names}
    except (DatasetError, LookupError, ValueError) as error:
        raise ConfigError(f"The catalog is wrong: {' '.join(str(error).split())}") from error
    return {name: _renamed(entry, "credentials of the entry", "credentials") for name, entry in found.items() if entry}


def _renamed(config: Any, old: str, new: str) -> Any:
    if not isinstance(config, Mapping):
        return config
    return {new if key == old else key: _renamed(value, old, new) for key, value in config.items()}
