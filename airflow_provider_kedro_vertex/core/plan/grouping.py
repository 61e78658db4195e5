"""Which nodes share a container.

Every way of grouping gives groups that can run one after another: between groups there is no circle, so no node waits
for a group that waits for it. What one container runs is then also convex: no path leaves it and comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from airflow_provider_kedro_vertex.core.errors import PlanError
from airflow_provider_kedro_vertex.core.project.graph import Edges, Graph, components, dataset, levels
from airflow_provider_kedro_vertex.core.settings.run_config import Grouping

#: kedro-vertexai's tag prefix, and the one that its releases before 0.11 wrote.
TAG_PREFIXES = ("group.", "group:")


@dataclass(frozen=True)
class Group:
    """Nodes that share a container.

    :param name: what the user calls them; a group that got no name has that of its first node.
    :param nodes: their positions in the graph, ascending.
    """

    name: str
    nodes: tuple[int, ...]


def grouped(
    graph: Graph, grouping: Grouping, pipeline: str, in_memory: Collection[str], keys: Sequence[object]
) -> tuple[Group, ...]:
    """Divide nodes into groups; each node is in exactly one. Costs time linear in nodes and edges.

    - ``none``: each node alone.
    - ``namespace``: by the first ``depth`` parts of the namespace, one by default, which is Kedro's own
      ``group_nodes_by("namespace")``; a node without a namespace is alone.
    - ``tag``: by the tag that begins with a prefix (``group.`` or ``group:`` by default); a node without one is alone.
    - ``memory``: nodes that hand data to each other in memory, and those that would close a circle between such groups.
    - ``pipeline``: all together.
    - ``callable``: as the project's own function said when the manifest was written.
    - ``auto``: chains of nodes that run alike; see :func:`_chains`.

    :param pipeline: the name of the group of ``pipeline``.
    :param in_memory: datasets, without transcoding, that only live in memory.
    :param keys: for each node, what must be equal for nodes to share a container under ``auto``.
    :return: groups after those that they depend on; of two that could run at once, the one with the first node first.
    :raises PlanError: groups that the user chose depend on each other, or a node is in two of them.
    """
    nodes = graph.nodes
    if grouping.kind == "pipeline":
        return (Group(pipeline, tuple(range(len(nodes)))),)
    if grouping.kind == "memory":
        return _named(graph, _merged(graph, _sharing_memory(graph, in_memory)))
    if grouping.kind == "auto":
        return _named(graph, _chains(graph, keys))
    if grouping.kind == "namespace":
        depth = grouping.depth or 1
        names = [".".join(node.namespace.split(".")[:depth]) if node.namespace else node.name for node in nodes]
        # Kedro puts a node that is named like a namespace into its group, and so does this.
        return _chosen(graph, names, names, "namespace")
    if grouping.kind == "tag":
        found = [_tagged(node.name, node.tags, grouping.tag_prefix or TAG_PREFIXES) for node in nodes]
        return _by_choice(graph, found, "tag")
    if grouping.kind == "callable":
        return _by_choice(graph, [node.group for node in nodes], "callable")
    return tuple(Group(node.name, (at,)) for at, node in enumerate(nodes))


def _tagged(node: str, tags: Iterable[str], prefixes: tuple[str, ...]) -> str | None:
    found = {tag[len(prefix) :]: tag for tag in tags for prefix in prefixes if tag.startswith(prefix)}
    if len(found) > 1:
        raise PlanError(
            f"Node {node!r} is in {len(found)} groups by its tags {', '.join(sorted(map(repr, found.values())))}.",
            "Leave one of them.",
        )
    return next(iter(found), None)


def _by_choice(graph: Graph, found: Sequence[str | None], kind: str) -> tuple[Group, ...]:
    # A node of no group is never in one that happens to have its name.
    keys = [
        ("node", node.name) if name is None else ("group", name) for node, name in zip(graph.nodes, found, strict=True)
    ]
    return _chosen(graph, keys, [key[1] for key in keys], kind)


def _chosen(graph: Graph, keys: Sequence[object], names: Sequence[str], kind: str) -> tuple[Group, ...]:
    """The groups that a user chose by a key for each node.

    :raises PlanError: they depend on each other in a circle.
    """
    numbers: dict[object, int] = {}
    labels = [numbers.setdefault(key, len(numbers)) for key in keys]
    members = _members(labels)
    order = _in_order(graph, labels, members)
    if order is None:
        raise PlanError(_circle(graph, labels, [names[nodes[0]] for nodes in members], kind))
    return tuple(Group(names[members[label][0]], members[label]) for label in order)


def _named(graph: Graph, labels: Sequence[int]) -> tuple[Group, ...]:
    """Groups that nobody named; their labels leave no circle."""
    members = _members(labels)
    order = _in_order(graph, labels, members) or ()
    return tuple(Group(graph.nodes[members[label][0]].name, members[label]) for label in order)


def _members(labels: Sequence[int]) -> list[tuple[int, ...]]:
    members: dict[int, list[int]] = {}
    for at, label in enumerate(labels):
        members.setdefault(label, []).append(at)
    return [tuple(members[label]) for label in sorted(members)]


def _in_order(graph: Graph, labels: Sequence[int], members: Sequence[tuple[int, ...]]) -> list[int] | None:
    """The groups by depth, then by their first node; None if they depend on each other in a circle."""
    level = levels(_between(graph.producers, labels, len(members)))
    if level is None:
        return None
    return sorted(range(len(members)), key=lambda label: (level[label], members[label][0]))


def _between(edges: Edges, labels: Sequence[int], count: int) -> list[list[int]]:
    """The edges between groups, each once, in the order in which the nodes' edges give them."""
    found: list[dict[int, None]] = [{} for _ in range(count)]
    for at, others in enumerate(edges):
        label = labels[at]
        for other in others:
            if labels[other] != label:
                found[label][labels[other]] = None
    return [list(others) for others in found]


def _sharing_memory(graph: Graph, in_memory: Collection[str]) -> list[int]:
    """Label nodes so that those which a dataset in memory connects share a label (union-find, paths halved)."""
    parent = list(range(len(graph.nodes)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for at, node in enumerate(graph.nodes):
        for name in map(dataset, node.inputs):
            if name in in_memory and name in graph.makers:
                one, other = sorted((root(graph.makers[name]), root(at)))
                parent[other] = one
    return _numbered([root(at) for at in range(len(parent))])


def _merged(graph: Graph, labels: Sequence[int]) -> list[int]:
    """Merge the groups on a common circle: the least merging after which there is none."""
    component = components(_between(graph.consumers, labels, max(labels, default=-1) + 1))
    return _numbered([component[label] for label in labels])


def _numbered(labels: Iterable[int]) -> list[int]:
    """The same labels as 0, 1, 2 in the order in which they come."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


def _chains(graph: Graph, keys: Sequence[object]) -> list[int]:
    """Label the longest chains of nodes that run alike and of which each could only ever follow the one before.

    Two nodes are fused if whatever else takes from the first also waits for the second, and whatever else the second
    waits for is done before the first begins. Then no node ever starts later than with a container for each node,
    whatever the nodes' durations are, so the critical path stays as long as it is (and saves its containers' starts).
    Any other fusion makes some node wait for one that it does not need, so no plan with fewer containers keeps the
    critical path for all durations.
    """
    last = [max(before, default=-1) for before in graph.producers]
    candidates = [
        (at, after[0])
        for at, after in enumerate(graph.consumers)
        # In any order, the only direct follower of a node is the first of its consumers.
        if after and last[after[0]] == at and keys[at] == keys[after[0]]
    ]
    asked = {(second, other) for first, second in candidates for other in graph.consumers[first][1:]}
    asked |= {(other, first) for first, second in candidates for other in graph.producers[second][:-1]}
    leads = _leads_to(graph, asked)
    labels = list(range(len(graph.nodes)))
    for first, second in candidates:  # ascending, so the label of a chain's first node reaches its last
        if all(leads[second, other] for other in graph.consumers[first][1:]) and all(
            leads[other, first] for other in graph.producers[second][:-1]
        ):
            labels[second] = labels[first]
    return _numbered(labels)


def _leads_to(graph: Graph, pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], bool]:
    """For some pairs of nodes, whether a path leads from the first to the second.

    One sweep from the last node to the first with a set of bits for each node: which of the asked ends it reaches.
    A node's bits are dropped once its producers have theirs.
    """
    bit = {end: 1 << index for index, end in enumerate(sorted({end for _, end in pairs}, reverse=True))}
    wanted: dict[int, list[int]] = {}
    for start, end in pairs:
        wanted.setdefault(start, []).append(end)
    answer: dict[tuple[int, int], bool] = {}
    reached: dict[int, int] = {}
    open_edges = [len(before) for before in graph.producers]
    for at in range(len(graph.nodes) - 1, -1, -1) if pairs else ():
        found = 0
        for after in graph.consumers[at]:
            found |= reached[after] | bit.get(after, 0)
            open_edges[after] -= 1
            if not open_edges[after]:
                del reached[after]
        reached[at] = found
        for end in wanted.get(at, ()):
            answer[at, end] = bool(found & bit[end])
    return answer


def _circle(graph: Graph, labels: Sequence[int], names: Sequence[str], kind: str) -> str:
    """Tell of a shortest circle through the first group that is on one."""
    edges = _between(graph.consumers, labels, len(names))
    component = components(edges)
    sizes = [0] * len(names)
    for number in component:
        sizes[number] += 1
    start = next(label for label in range(len(names)) if sizes[component[label]] > 1)
    came_from: dict[int, int] = {}
    waiting = [start]
    for label in waiting:  # grows while it is walked
        for after in edges[label]:
            if component[after] == component[start] and after not in came_from:
                came_from[after] = label
                waiting.append(after)
    path = [start]
    while len(path) == 1 or path[-1] != start:
        path.append(came_from[path[-1]])
    needs = ", which needs ".join(
        f"{_example(graph, labels, earlier, later)} of group {names[earlier]!r}" for later, earlier in pairwise(path)
    )
    return (
        f"Grouping by {kind} makes groups that wait for each other: group {names[start]!r} needs {needs}. "
        "A container starts when all that its nodes need is there, so put these nodes into one group or into more."
    )


def _example(graph: Graph, labels: Sequence[int], earlier: int, later: int) -> str:
    """A dataset that goes from one group to another, with the nodes that make and take it."""
    return next(
        f"{name!r} (from node {graph.nodes[maker].name!r} to node {node.name!r})"
        for at, node in enumerate(graph.nodes)
        if labels[at] == later
        for name in map(dataset, node.inputs)
        if (maker := graph.makers.get(name)) is not None and labels[maker] == earlier
    )
