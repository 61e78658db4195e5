"""The datasets that cross the border of a node group: other containers make them or need them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext, temp_folder


class NamedNode(Protocol):
    """The part of Kedro's ``Node`` that is read here."""

    @property
    def name(self) -> str:
        """Unique in the pipeline."""

    @property
    def inputs(self) -> list[str]:
        """Datasets and parameters."""

    @property
    def outputs(self) -> list[str]:
        """Datasets."""


@dataclass(frozen=True)
class Group:
    """The nodes that one container runs, and their datasets.

    Names are as the nodes give them, ``table@pandas`` for a transcoded dataset. Parameters are in none of the fields:
    no node makes them.

    :param nodes: the names of the nodes.
    :param inputs: each dataset that the group loads and a node outside makes, with that node's name; an empty one if it
        is not of this pipeline.
    :param outputs: the datasets that the group makes and that a node outside loads, or that no node loads: the
        results of the pipeline.
    :param produced: every dataset of the group that this run makes.
    :param free_inputs: each dataset that the group loads and that a node of the pipeline makes which is not part of
        this run, with that node's name: what earlier runs left in the catalog's dataset is loaded.
    :param transcoded: each dataset that the group loads under another name than a node made it, with that name.
    :param shared_inputs: those of the inputs that another job makes, which shares its data with this one.
    """

    nodes: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: frozenset[str]
    produced: frozenset[str]
    free_inputs: Mapping[str, str] = field(default_factory=dict)
    shared_inputs: frozenset[str] = frozenset()
    transcoded: Mapping[str, str] = field(default_factory=dict)


def node_group(
    pipeline: Iterable[NamedNode],
    names: Collection[str],
    *,
    free_inputs: Collection[str] = (),
    shared_inputs: Collection[str] = (),
    shared_outputs: Collection[str] = (),
) -> Group:
    """Take a group out of a pipeline.

    :param pipeline: every node of the registered pipeline.
    :param names: the names of the group's nodes.
    :param free_inputs: datasets that no node of this run makes, since the run is of a slice of the pipeline.
    :param shared_inputs: datasets that other jobs make, of this pipeline or another one, which share their data with
        this one.
    :param shared_outputs: datasets that such jobs take, though no node of this pipeline outside the group loads them.
    :raises ConfigError: the pipeline has no node of that name.
    """
    nodes = {node.name: node for node in pipeline}
    for name in names:
        if name not in nodes:
            raise ConfigError(f"The pipeline has no node {name!r}.", did_you_mean(name, nodes))
    inside = [nodes[name] for name in dict.fromkeys(names)]
    outside = [node for name, node in nodes.items() if name not in names]

    made_as = {base_name(output): output for node in nodes.values() for output in node.outputs}
    makers = {base_name(output): node.name for node in nodes.values() for output in node.outputs}
    made_inside = {base_name(output) for node in inside for output in node.outputs}
    loaded_outside = {base_name(name) for node in outside for name in node.inputs}
    loaded_inside = {base_name(name) for node in inside for name in node.inputs}

    free = {base_name(name) for name in free_inputs} - made_inside
    shared = {base_name(name) for name in shared_inputs} - made_inside
    wanted = loaded_outside | {base_name(name) for name in shared_outputs}
    used = {name for node in inside for name in (*node.inputs, *node.outputs)}
    loaded = {name for node in inside for name in node.inputs}
    return Group(
        nodes=tuple(node.name for node in inside),
        inputs={
            name: makers.get(base_name(name), "")
            for name in sorted(loaded)
            if base_name(name) in (makers.keys() | shared) - made_inside - free
        },
        outputs=frozenset(
            name
            for node in inside
            for name in node.outputs
            if base_name(name) in wanted or base_name(name) not in loaded_inside
        ),
        produced=frozenset(name for name in used if base_name(name) in makers.keys() - free - shared),
        free_inputs={
            name: makers[base_name(name)] for name in sorted(loaded) if base_name(name) in makers.keys() & free
        },
        transcoded={
            name: made_as[base_name(name)] for name in sorted(loaded) if made_as.get(base_name(name), name) != name
        },
        shared_inputs=frozenset(name for name in loaded if base_name(name) in shared),
    )


def base_name(name: str) -> str:
    """Give the dataset behind a transcoded name: Kedro takes ``table@pandas`` and ``table@spark`` for one dataset.

    ``core.project.graph.dataset`` says the same, and would bring the manifest's modules into each container's start.
    """
    return name.partition("@")[0]


def stored_url(context: RunContext, dataset: str) -> str:
    """Give the place of an undeclared dataset: the same for every container and every try of the run."""
    return f"{temp_folder(context.root, context.run_key)}/{quote(dataset, safe='')}.bin"
