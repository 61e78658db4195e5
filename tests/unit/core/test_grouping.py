"""Which nodes share a container; Kedro's own grouping and its topological sort are the judges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.pipeline import Pipeline as KedroPipeline

from airflow_provider_kedro_vertex.core.errors import PlanError
from airflow_provider_kedro_vertex.core.plan.grouping import Group, grouped
from airflow_provider_kedro_vertex.core.project.graph import Graph, dataset, graph_of, levels, reachable
from airflow_provider_kedro_vertex.core.project.manifest import Node
from airflow_provider_kedro_vertex.core.settings.run_config import Grouping
from tests.unit.core.pipelines import kedro_pipelines, manifest_pipeline

pytestmark = pytest.mark.filterwarnings("ignore:Namespace .* is interrupted")

EVERY_KIND = [
    Grouping("none"),
    Grouping("namespace"),
    Grouping("namespace", depth=2),
    Grouping("tag", tag_prefix=("",)),
    Grouping("memory"),
    Grouping("pipeline"),
    Grouping("auto"),
    Grouping("callable", callable="shop.groups:by_size"),
]


def groups_of(nodes: Sequence[Node], grouping: Grouping, in_memory: str = "") -> list[tuple[str, list[str]]]:
    found = grouped(graph_of(nodes), grouping, "whole", in_memory.split(), [""] * len(nodes))
    return [(group.name, [nodes[at].name for at in group.nodes]) for group in found]


def needs(graph: Graph, groups: Sequence[Group]) -> list[set[int]]:
    owner = {at: index for index, group in enumerate(groups) for at in group.nodes}
    return [
        {owner[before] for at in group.nodes for before in graph.producers[at]} - {index}
        for index, group in enumerate(groups)
    ]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = manifest_pipeline(draw(kedro_pipelines(max_nodes=9))).nodes
    groups = [draw(st.sampled_from([None, "x", "y"])) for _ in nodes]
    return graph_of(
        [
            Node(node.name, node.inputs, node.outputs, node.tags[:1], node.namespace, group)
            for node, group in zip(nodes, groups, strict=True)
        ]
    )


@settings(max_examples=150)
@given(graphs(), st.data())
def test_each_node_is_in_one_group_and_groups_can_run_one_after_another(graph: Graph, data: st.DataObject) -> None:
    grouping = data.draw(st.sampled_from(EVERY_KIND))
    datasets = sorted({dataset(output) for node in graph.nodes for output in node.outputs})
    in_memory = data.draw(st.sets(st.sampled_from(datasets))) if datasets else set()
    alike = [data.draw(st.sampled_from("ab")) for _ in graph.nodes]
    try:
        groups = grouped(graph, grouping, "whole", in_memory, alike)
    except PlanError as error:
        assert grouping.kind in ("namespace", "tag", "callable")
        assert "makes groups that wait for each other" in str(error)  # noqa: PT017
        return
    assert sorted(at for group in groups for at in group.nodes) == list(range(len(graph.nodes)))
    before = needs(graph, groups)
    # Each group comes after those that it needs, so there is no circle.
    assert all(other < index for index, others in enumerate(before) for other in others)
    for group in groups:
        assert list(group.nodes) == sorted(group.nodes)
        # Convex: whatever lies between two nodes of a group is in it.
        after = reachable(group.nodes, graph.consumers)
        assert after & reachable(group.nodes, graph.producers) == set(group.nodes)


@settings(max_examples=150)
@given(kedro_pipelines())
def test_by_namespace_is_what_kedro_makes_of_it(pipeline: KedroPipeline) -> None:
    graph = graph_of(manifest_pipeline(pipeline).nodes)
    expected = {group.name: group for group in pipeline.group_nodes_by("namespace")}
    numbers = {name: index for index, name in enumerate(expected)}
    circle = levels([[numbers[name] for name in group.dependencies] for group in expected.values()]) is None
    try:
        groups = grouped(graph, Grouping("namespace"), "whole", (), [])
    except PlanError:
        assert circle
        return
    assert not circle
    assert {group.name: [graph.nodes[at].name for at in group.nodes] for group in groups} == {
        name: group.nodes for name, group in expected.items()
    }
    for group, before in zip(groups, needs(graph, groups), strict=True):
        assert {groups[other].name for other in before} == set(expected[group.name].dependencies)


@given(graphs(), st.data())
def test_memory_grouping_keeps_data_in_memory_inside_and_merges_no_more_than_it_must(
    graph: Graph, data: st.DataObject
) -> None:
    datasets = sorted(graph.makers)
    in_memory = data.draw(st.sets(st.sampled_from(datasets))) if datasets else set()
    groups = grouped(graph, Grouping("memory"), "whole", in_memory, [])
    owner = {at: index for index, group in enumerate(groups) for at in group.nodes}
    for at, node in enumerate(graph.nodes):
        for name in map(dataset, node.inputs):
            if name in in_memory:
                assert owner[graph.makers[name]] == owner[at]
    # Taking any group apart leaves data in memory between the parts, or a circle.
    for index, group in enumerate(groups):
        for size in range(1, len(group.nodes)):
            for part in itertools.combinations(group.nodes, size):
                split = [len(groups) if at in part else owner[at] for at in range(len(graph.nodes))]
                crosses = any(
                    split[graph.makers[name]] != split[at]
                    for at in group.nodes
                    for name in map(dataset, graph.nodes[at].inputs)
                    if name in in_memory
                )
                edges = [set() for _ in range(len(groups) + 1)]
                for at, before in enumerate(graph.producers):
                    edges[split[at]] |= {split[other] for other in before} - {split[at]}
                assert crosses or levels([sorted(others) for others in edges]) is None, (index, part)


def longest(graph: Graph, groups: Sequence[tuple[int, ...]], seconds: Sequence[int]) -> int | None:
    """How long a run takes with a container for each group; None if they wait for each other."""
    owner = {at: index for index, group in enumerate(groups) for at in group}
    before = [
        sorted({owner[other] for at in group for other in graph.producers[at]} - {index})
        for index, group in enumerate(groups)
    ]
    level = levels(before)
    if level is None:
        return None
    end = [0] * len(groups)
    for index in sorted(range(len(groups)), key=lambda at: level[at]):
        start = max((end[other] for other in before[index]), default=0)
        end[index] = start + sum(seconds[at] for at in groups[index])
    return max(end)


def partitions(items: list[int]) -> list[list[tuple[int, ...]]]:
    if not items:
        return [[]]
    first, rest = items[0], items[1:]
    return [
        [(first, *part), *others]
        for size in range(len(rest) + 1)
        for part in itertools.combinations(rest, size)
        for others in partitions([item for item in rest if item not in part])
    ]


@settings(max_examples=60)
@given(st.data())
def test_auto_is_the_fewest_containers_that_keep_the_critical_path_for_all_durations(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 5))
    nodes = [
        Node(f"n{at}", tuple(f"d{back}" for back in range(at) if data.draw(st.booleans())), (f"d{at}",))
        for at in range(count)
    ]
    alike = [data.draw(st.sampled_from("aab")) for _ in nodes]
    graph = graph_of(nodes)
    # If a fusion can make a run longer, it does so for some durations of nothing and one.
    durations = list(itertools.product((0, 1), repeat=count))
    alone = [longest(graph, [(at,) for at in range(count)], seconds) for seconds in durations]
    keeping = [
        groups
        for groups in partitions(list(range(count)))
        if all(len({alike[at] for at in group}) == 1 for group in groups)
        and [longest(graph, groups, seconds) for seconds in durations] == alone
    ]
    found = [group.nodes for group in grouped(graph, Grouping("auto"), "whole", (), alike)]
    assert sorted(found) in [sorted(groups) for groups in keeping]
    assert len(found) == min(map(len, keeping))


def test_memory_grouping_merges_what_would_close_a_circle() -> None:
    # A hands `m` to C in memory, and `p` to B, which hands `q` to C: A and C alone would wait for B, and B for them.
    nodes = [Node("A", (), ("m", "p")), Node("B", ("p",), ("q",)), Node("C", ("m", "q"), ("out",))]
    assert groups_of(nodes, Grouping("memory"), "m") == [("A", ["A", "B", "C"])]
    assert groups_of(nodes, Grouping("memory"), "q") == [("A", ["A"]), ("B", ["B", "C"])]
    assert groups_of(nodes, Grouping("memory")) == [("A", ["A"]), ("B", ["B"]), ("C", ["C"])]


def test_a_circle_between_tagged_groups_is_named() -> None:
    nodes = [
        Node("A", (), ("p",), ("group.train",)),
        Node("B", ("p",), ("q@x",)),
        Node("C", ("q@y", "p"), ("out",), ("group.train",)),
    ]
    with pytest.raises(PlanError) as caught:
        groups_of(nodes, Grouping("tag"))
    assert str(caught.value) == (
        "Grouping by tag makes groups that wait for each other: group 'train' needs 'q' (from node 'B' to node 'C') of "
        "group 'B', which needs 'p' (from node 'A' to node 'B') of group 'train'. A container starts when all that its "
        "nodes need is there, so put these nodes into one group or into more."
    )


def test_tags_name_groups_with_either_prefix() -> None:
    nodes = [
        Node("A", (), ("p",), ("group.train", "daily")),
        Node("B", ("p",), ("q",), ("group:train",)),
        Node("C", ("q",), (), ("stage-late",)),
    ]
    assert groups_of(nodes, Grouping("tag")) == [("train", ["A", "B"]), ("C", ["C"])]
    assert groups_of(nodes, Grouping("tag", tag_prefix=("stage-",))) == [("A", ["A"]), ("B", ["B"]), ("late", ["C"])]


def test_a_node_in_two_tagged_groups_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        groups_of([Node("A", (), (), ("group.b", "group:a", "group.a"))], Grouping("tag"))
    assert str(caught.value) == "Node 'A' is in 2 groups by its tags 'group.a', 'group.b'. Leave one of them."
    assert groups_of([Node("A", (), (), ("group:a", "group.a"))], Grouping("tag")) == [("a", ["A"])]


def test_namespaces_group_at_a_chosen_depth() -> None:
    nodes = [
        Node("a.x.one", (), ("p",), (), "a.x"),
        Node("a.y.two", (), ("q",), (), "a.y.z"),
        Node("three", ("p",), ()),
    ]
    assert groups_of(nodes, Grouping("namespace")) == [("a", ["a.x.one", "a.y.two"]), ("three", ["three"])]
    assert [name for name, _ in groups_of(nodes, Grouping("namespace", depth=2))] == ["a.x", "a.y", "three"]
    assert [name for name, _ in groups_of(nodes, Grouping("namespace", depth=3))] == ["a.x", "a.y.z", "three"]


def test_a_pipeline_can_be_one_group_and_a_function_can_choose() -> None:
    nodes = [Node("A", (), ("p",), group="big"), Node("B", ("p",), ("q",), group="big"), Node("big", ("q",), ())]
    assert groups_of(nodes, Grouping("pipeline")) == [("whole", ["A", "B", "big"])]
    assert groups_of(nodes, Grouping("callable", callable="a:b")) == [("big", ["A", "B"]), ("big", ["big"])]


def test_chains_are_fused_past_what_they_lead_to_anyway() -> None:
    # `a` is also taken by `c`, which waits for `b` in any case; `d` and `e` could run side by side.
    nodes = [
        Node("a", (), ("a",)),
        Node("b", ("a",), ("b",)),
        Node("c", ("a", "b"), ("c",)),
        Node("d", ("c",), ("d",)),
        Node("e", ("c",), ("e",)),
    ]
    assert groups_of(nodes, Grouping("auto")) == [("a", ["a", "b", "c"]), ("d", ["d"]), ("e", ["e"])]


def test_a_deep_pipeline_is_grouped_without_recursion() -> None:
    chain = [Node(f"n{at}", (f"d{at - 1}",), (f"d{at}",), (), "a" if at % 2 else "b") for at in range(5000)]
    assert len(groups_of(chain, Grouping("auto"))) == 1
    assert len(groups_of(chain, Grouping("memory"), " ".join(f"d{at}" for at in range(0, 5000, 2)))) == 2500
    with pytest.raises(PlanError, match="Grouping by namespace makes groups that wait for each other: group 'b' needs"):
        groups_of(chain, Grouping("namespace"))
