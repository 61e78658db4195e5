"""A slice of a pipeline: the filters of ``kedro run``, computed on the manifest.

They are those of Kedro's ``Pipeline.filter`` (1.7): each filter is applied to the whole pipeline, and a node is
selected if every filter that is given selects it. One thing is kinder: a node or namespace that is named twice, or a
namespace inside another named one, counts once, where Kedro refuses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from airflow_provider_kedro_vertex.core.errors import PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.project.graph import Graph, dataset, graph_of, levels, reachable
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node, Pipeline
from airflow_provider_kedro_vertex.core.settings.filters import Selection, split


def pipeline_names(manifest: Manifest, given: str) -> tuple[str, ...]:
    """Split a text into the pipelines that it names: one, or several with commas between them, perhaps unknown."""
    return (given,) if given in manifest.pipelines else tuple(dict.fromkeys(split(given)))


def registered(manifest: Manifest, name: str) -> Pipeline:
    """Find a registered pipeline, or put several together, as ``kedro run --pipelines a,b`` does.

    :param name: a registered pipeline's name, or several with commas between them.
    :raises PlanError: one is unknown, or they do not go together: two nodes of one name, two that make one dataset, or
        nodes that depend on each other in a circle.
    """
    names = pipeline_names(manifest, name)
    if len(names) < 2:
        return manifest.pipeline("".join(names))
    nodes: dict[str, Node] = {}
    makers: dict[str, str] = {}
    for part in names:
        for node in manifest.pipeline(part).nodes:
            known = nodes.setdefault(node.name, node)
            if (known.inputs, known.outputs) != (node.inputs, node.outputs):
                raise PlanError(f"Pipelines {name!r} do not go together: they have two different nodes {node.name!r}.")
            for output in map(dataset, node.outputs):
                if makers.setdefault(output, node.name) != node.name:
                    raise PlanError(
                        f"Pipelines {name!r} do not go together: nodes {makers[output]!r} and {node.name!r} both make "
                        f"{output!r}."
                    )
    used = {each for node in nodes.values() for each in (*node.inputs, *node.outputs)}
    for each in sorted(used):
        if each != dataset(each) and dataset(each) in used:
            raise PlanError(
                f"Pipelines {name!r} do not go together: one uses {dataset(each)!r} with transcoding, as {each!r}, and "
                "another one without."
            )
    return Pipeline(name, in_order(nodes.values()))


def select(pipeline: Pipeline, selection: Selection) -> tuple[Node, ...]:
    """Select nodes of a pipeline, in the order in which Kedro would run them.

    :raises PlanError: a name is not in the pipeline, or no node is left.
    """
    graph = graph_of(pipeline.nodes)
    found = {name: nodes for name, nodes in _filters(graph, selection, pipeline.name) if nodes is not None}
    if not found:
        return pipeline.nodes
    chosen = set.intersection(*found.values())
    if not chosen:
        each = ", ".join(f"{name} selects {len(nodes)}" for name, nodes in found.items())
        raise PlanError(
            f"No node of pipeline {pipeline.name!r} is selected by all of the filters ({each}), so nothing would run.",
            "Loosen or leave out one of them.",
        )
    return in_order([graph.nodes[at] for at in sorted(chosen)])


def named(nodes: Sequence[Node], names: Collection[str], pipeline: str) -> tuple[Node, ...]:
    """Find some of the nodes of a pipeline, or of a slice of it, by their own names and by tags.

    :param names: a node is found if one of them is its name, or a tag of it.
    :return: in the order in which they are given.
    :raises PlanError: a name is neither that of a node nor a tag.
    """
    tags = {tag for node in nodes for tag in node.tags}
    known = {node.name for node in nodes} | tags
    _known(names, known, "node or tag", pipeline, also=_in_namespaces(names, known))
    wanted = set(names)
    return tuple(node for node in nodes if node.name in wanted or not wanted.isdisjoint(node.tags))


def in_order(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Bring nodes into the order of Kedro's ``Pipeline.nodes``: by depth, then by name.

    :raises PlanError: they depend on each other in a circle.
    """
    given = tuple(nodes)
    level = levels(graph_of(given).producers)
    if level is None:
        raise PlanError(f"Some of the nodes {', '.join(repr(node.name) for node in given[:10])} depend on each other.")
    return tuple(given[at] for at in sorted(range(len(given)), key=lambda at: (level[at], given[at].name)))


def _filters(graph: Graph, selection: Selection, pipeline: str) -> Iterable[tuple[str, set[int] | None]]:
    """Each filter's name with the positions that it selects, None if it is not given."""
    nodes = graph.nodes
    by_name = {node.name: at for at, node in enumerate(nodes)}

    def named(names: Collection[str]) -> set[int]:
        _known(names, by_name, "node", pipeline, also=_in_namespaces(names, by_name))
        return {by_name[name] for name in names}

    def tagged(names: Collection[str]) -> set[int]:
        return {at for at, node in enumerate(nodes) if not set(names).isdisjoint(node.tags)}

    def taking(names: Collection[str]) -> set[int]:
        _datasets_exist(names, nodes, pipeline)
        return _touching(names, ((at, node.inputs) for at, node in enumerate(nodes)))

    def making(names: Collection[str]) -> set[int]:
        _datasets_exist(names, nodes, pipeline)
        return _touching(names, ((at, node.outputs) for at, node in enumerate(nodes)))

    def inside(names: Collection[str]) -> set[int]:
        spaces = {space: _spaces(space) for space in {node.namespace for node in nodes if node.namespace}}
        _known(names, {outer for outers in spaces.values() for outer in outers}, "namespace", pipeline)
        wanted = {space for space, outers in spaces.items() if not outers.isdisjoint(names)}
        return {at for at, node in enumerate(nodes) if node.namespace in wanted}

    yield "tags", tagged(selection.tags) if selection.tags else None
    yield "node_names", named(selection.node_names) if selection.node_names else None
    yield "from_nodes", reachable(named(selection.from_nodes), graph.consumers) if selection.from_nodes else None
    yield "to_nodes", reachable(named(selection.to_nodes), graph.producers) if selection.to_nodes else None
    yield "from_inputs", reachable(taking(selection.from_inputs), graph.consumers) if selection.from_inputs else None
    yield "to_outputs", reachable(making(selection.to_outputs), graph.producers) if selection.to_outputs else None
    yield "namespaces", inside(selection.namespaces) if selection.namespaces else None


def _touching(names: Collection[str], datasets: Iterable[tuple[int, tuple[str, ...]]]) -> set[int]:
    # `table` means the data in each of its forms, `table@spark` that form alone.
    wanted = set(names)
    return {at for at, given in datasets if any(name in wanted or dataset(name) in wanted for name in given)}


def _datasets_exist(names: Collection[str], nodes: Iterable[Node], pipeline: str) -> None:
    everything = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    _known(names, everything | {dataset(name) for name in everything}, "dataset", pipeline)


def _spaces(namespace: str) -> frozenset[str]:
    parts = namespace.split(".")
    return frozenset(".".join(parts[:depth]) for depth in range(1, len(parts) + 1))


def _in_namespaces(names: Collection[str], known: Iterable[str]) -> list[str]:
    """The nodes that are named like one of these inside a namespace, which is what a user often forgets."""
    ends = tuple(f".{name}" for name in names)
    return sorted(name for name in known if name.endswith(ends))


def _known(names: Collection[str], known: Collection[str], what: str, pipeline: str, also: Iterable[str] = ()) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        close = [name for name in also if name not in names]
        hint = f" Did you mean {', '.join(map(repr, close[:5]))}?" if close else did_you_mean(unknown[0], known)
        raise PlanError(f"Pipeline {pipeline!r} has no {what} {', '.join(map(repr, unknown))}.", hint)
