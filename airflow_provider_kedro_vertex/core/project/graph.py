"""The nodes of a pipeline as a graph of positions: what selecting, grouping and planning all ask for, worked out once.

A node is known by its position in the pipeline's order. An edge goes from the node that makes a dataset to each node
that takes it. Everything here costs time linear in nodes and edges, and nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.project.manifest import Node

#: For each position, the positions that its edges come from, or go to.
Edges = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Graph:
    """A pipeline's nodes with the edges between them.

    :param nodes: in the order that was given.
    :param makers: the position of the node that makes a dataset, by the dataset's name without its transcoding.
    :param producers: for each node, the nodes that it depends on; ascending, each once.
    :param consumers: for each node, the nodes that depend on it; ascending, each once.
    """

    nodes: tuple[Node, ...]
    makers: dict[str, int]
    producers: tuple[tuple[int, ...], ...]
    consumers: tuple[tuple[int, ...], ...]


def graph_of(nodes: Sequence[Node]) -> Graph:
    """Work out the edges of nodes. A manifest's pipeline has them in a topological order, and the graph keeps it."""
    makers = {dataset(output): at for at, node in enumerate(nodes) for output in node.outputs}
    producers: list[tuple[int, ...]] = []
    consumers: list[list[int]] = [[] for _ in nodes]
    for at, node in enumerate(nodes):
        found = sorted({makers[name] for name in map(dataset, node.inputs) if name in makers})
        producers.append(tuple(found))
        for producer in found:
            consumers[producer].append(at)
    return Graph(tuple(nodes), makers, tuple(producers), tuple(map(tuple, consumers)))


def dataset(name: str) -> str:
    """A dataset's name without its transcoding: ``table@pandas`` and ``table@spark`` are the same data."""
    return name.partition("@")[0]


def reachable(start: Iterable[int], edges: Edges) -> set[int]:
    """Every position that can be reached from some of them, with these."""
    found = set(start)
    waiting = list(found)
    while waiting:
        for after in edges[waiting.pop()]:
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found


def levels(producers: Edges) -> list[int] | None:
    """How deep each position lies: 0 without producers, else one more than its deepest producer.

    :param producers: of any graph, in any order.
    :return: None if the graph has a cycle.
    """
    consumers: list[list[int]] = [[] for _ in producers]
    for at, before in enumerate(producers):
        for producer in before:
            consumers[producer].append(at)
    open_edges = [len(before) for before in producers]
    level = [0] * len(producers)
    ready = [at for at, count in enumerate(open_edges) if not count]
    for at in ready:  # grows while it is walked
        for consumer in consumers[at]:
            level[consumer] = max(level[consumer], level[at] + 1)
            open_edges[consumer] -= 1
            if not open_edges[consumer]:
                ready.append(consumer)
    return level if len(ready) == len(producers) else None


def components(edges: Edges) -> list[int]:
    """Number the strongly connected components: positions on a common cycle, and no others, share a number.

    Tarjan's algorithm with a stack of its own, since pipelines can be deeper than Python's.
    """
    unseen = -1
    number, low, component = ([unseen] * len(edges) for _ in range(3))
    path: list[int] = []
    counter = found = 0
    for start in range(len(edges)):
        if number[start] != unseen:
            continue
        work = [(start, 0)]
        while work:
            at, done = work.pop()
            if done == 0:
                number[at] = low[at] = counter
                counter += 1
                path.append(at)
            else:
                low[at] = min(low[at], low[edges[at][done - 1]])
            for index in range(done, len(edges[at])):
                after = edges[at][index]
                if number[after] == unseen:
                    work += [(at, index + 1), (after, 0)]
                    break
                if component[after] == unseen:
                    low[at] = min(low[at], number[after])
            else:
                if low[at] == number[at]:
                    while component[at] == unseen:
                        component[path.pop()] = found
                    found += 1
    return component
