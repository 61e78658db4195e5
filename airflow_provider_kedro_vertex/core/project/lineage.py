"""What nodes read and wrote, by OpenLineage's names of datasets.

They are made of the URIs of the assets (:mod:`.assets`), so that a dataset has one name in each run and each project:
https://openlineage.io/docs/spec/naming.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.project.manifest import Node

_DATABASES = ("postgres", "mysql")


@dataclass(frozen=True, order=True)
class DatasetName:
    """OpenLineage's name of a dataset.

    :param namespace: what stores it: ``gs://bucket``, ``bigquery``, ``postgres://host:5432``.
    :param name: its name there: ``path/of/object``, ``project.dataset.table``, ``database.schema.table``.
    """

    namespace: str
    name: str


@dataclass(frozen=True)
class Flow:
    """What some nodes read and wrote; each name with those that the datasets of this place have in the catalog.

    :param inputs: what they read and did not write themselves.
    """

    inputs: Mapping[DatasetName, tuple[str, ...]]
    outputs: Mapping[DatasetName, tuple[str, ...]]


def dataset_name(uri: str) -> DatasetName:
    """Name the place of an asset.

    :param uri: see :func:`.assets.asset_uri`.
    """
    scheme, _, rest = uri.partition("://")
    place, _, path = rest.partition("/")
    if scheme == "bigquery":
        return DatasetName(scheme, f"{place}/{path}".replace("/", "."))
    if scheme in _DATABASES:
        return DatasetName(f"{scheme}://{place}", path.replace("/", "."))
    return DatasetName(f"{scheme}://{place}", path or "/")


def flow(nodes: Iterable[Node], uris: Mapping[str, str]) -> Flow:
    """Bring together what nodes read and wrote.

    :param uris: the places of the project's datasets; see :func:`.assets.asset_uris`.
    """
    nodes = tuple(nodes)
    outputs = _named((name for node in nodes for name in node.outputs), uris)
    inputs = _named((name for node in nodes for name in node.inputs), uris)
    return Flow({name: known_as for name, known_as in inputs.items() if name not in outputs}, outputs)


def _named(datasets: Iterable[str], uris: Mapping[str, str]) -> dict[DatasetName, tuple[str, ...]]:
    found: dict[DatasetName, tuple[str, ...]] = {}
    for dataset in dict.fromkeys(datasets):
        if dataset in uris:
            name = dataset_name(uris[dataset])
            found[name] = (*found.get(name, ()), dataset)
    return found
