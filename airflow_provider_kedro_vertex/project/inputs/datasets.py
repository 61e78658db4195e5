"""The datasets that pipelines take from outside, and that lie below ``data_root`` on Vertex AI."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_kedro_vertex.configuration.data_root import places_of
from airflow_provider_kedro_vertex.core.plan.plan import makers
from airflow_provider_kedro_vertex.core.project.graph import dataset
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.core.settings.data_root import stays

_PARTITIONS = frozenset({"PartitionedDataset", "IncrementalDataset"})
#: The name of an IncrementalDataset's checkpoint in its folder (kedro-datasets).
_CHECKPOINT = "CHECKPOINT"


@dataclass(frozen=True)
class Input:
    """A path that a dataset is read from.

    :param datasets: the names by which nodes call it; more than one where it is transcoded.
    :param nodes: the nodes that take it.
    :param path: the file or folder, or a pattern of them, relative to the project.
    :param url: where it lies on Vertex AI.
    :param versioned: whether it is a folder of versions.
    :param suffix: of a folder of partitions, how the names of its files end; others are no partitions.
    :param checkpoint: of a folder of partitions, the file that says what was read; it is no data.
    """

    datasets: tuple[str, ...]
    nodes: tuple[str, ...]
    path: str
    url: str
    versioned: bool = False
    suffix: str = ""
    checkpoint: str | None = None

    def __str__(self) -> str:
        """As a message begins that is about it."""
        names = ", ".join(map(repr, self.datasets))
        return f"Dataset {names}, an input of node {', '.join(map(repr, self.nodes))},"


def taken_names(manifest: Manifest, pipelines: Collection[str]) -> dict[str, list[str]]:
    """The datasets that pipelines take and that no node of the project makes, each with the nodes that take it."""
    made = makers(manifest)
    taken: dict[str, list[str]] = {}
    for pipeline in pipelines:
        for node in manifest.pipeline(pipeline).nodes:
            for name in node.inputs:
                nodes = taken.setdefault(name, [])
                if name in manifest.datasets and dataset(name) not in made and node.name not in nodes:
                    nodes.append(node.name)
    return {name: nodes for name, nodes in sorted(taken.items()) if nodes}


def inputs_below(
    root: str, taken: Mapping[str, list[str]], configs: Mapping[str, Mapping[str, Any]], local: Collection[str]
) -> tuple[Input, ...]:
    """Find the inputs that lie below ``root``, one for each path.

    :param root: ``gs://bucket/prefix``, ready for use.
    :param taken: see :func:`taken_names`.
    :param configs: the catalog's entries by name, as they are at home.
    :param local: ``local_datasets``.
    """
    found: dict[str, Input] = {}
    for name, nodes in taken.items():
        if stays(name, local):
            continue
        for place in places_of(configs[name], root):
            before = found.get(place.url) or Input((), (), place.path, place.url, **_kind(configs[name]))
            found[place.url] = replace(
                before, datasets=(*before.datasets, name), nodes=tuple(dict.fromkeys((*before.nodes, *nodes)))
            )
    return tuple(found.values())


def _kind(config: Mapping[str, Any]) -> dict[str, Any]:
    parts = [*_nested(config)]
    for part in parts:
        if str(part.get("type")).rpartition(".")[2] in _PARTITIONS:
            own = part.get("checkpoint")
            checkpoint = own.get("filepath") if isinstance(own, Mapping) else None
            return {"suffix": part.get("filename_suffix") or "", "checkpoint": checkpoint or _CHECKPOINT}
    return {"versioned": any(part.get("versioned") for part in parts)}


def _nested(config: Any) -> Iterator[Mapping[str, Any]]:
    while isinstance(config, Mapping):
        yield config
        config = config.get("base_dataset_args") or config.get("dataset")
