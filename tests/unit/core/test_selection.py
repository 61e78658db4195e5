"""Slices of a pipeline; Kedro's own Pipeline.filter is the judge of what they select and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.pipeline import Pipeline as KedroPipeline
from kedro.pipeline import node as kedro_node

from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError
from airflow_provider_kedro_vertex.core.project.manifest import Node, Pipeline
from airflow_provider_kedro_vertex.core.project.selection import select
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from tests.unit.core.pipelines import kedro_pipelines, manifest_pipeline

#: What Kedro calls the filters of a selection.
IN_KEDRO = {"namespaces": "node_namespaces"}
FILTERS = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")

PIPELINE = Pipeline(
    "shop",
    (
        Node("load", ("raw", "params:rows"), ("table@pandas",), ("daily",)),
        Node("area.clean", ("table@spark",), ("rows",), ("daily", "wide"), "area"),
        Node("area.deep.count", ("rows",), ("number",), (), "area.deep"),
        Node("report", ("number", "parameters"), (), ("late",)),
        Node("other", ("rows",), ("picture",)),
    ),
)


def names(**filters: Any) -> list[str]:
    return [node.name for node in select(PIPELINE, Selection.from_dict(filters))]


@st.composite
def sliced(draw: st.DrawFn) -> tuple[KedroPipeline, Selection]:
    """A pipeline, and filters over names that it mostly has."""
    pipeline = draw(kedro_pipelines())
    node_names = [node.name for node in pipeline.nodes]
    datasets = sorted(pipeline.datasets() | {name.partition("@")[0] for name in pipeline.datasets()})
    spaces = sorted({prefix for node in pipeline.nodes for prefix in node.namespace_prefixes})
    pools = {
        "tags": ["red", "blue", "green", "none"],
        "node_names": [*node_names, "missing"],
        "from_nodes": [*node_names, "missing"],
        "to_nodes": [*node_names, "missing"],
        "from_inputs": [*datasets, "missing", "missing@x"],
        "to_outputs": [*datasets, "missing"],
        "namespaces": [*spaces, "missing"],
    }
    given_filters = draw(st.sets(st.sampled_from(FILTERS), max_size=3))
    filters = {}
    for name in sorted(given_filters):
        # The unknown names come last, so that most examples have none.
        chosen = draw(st.lists(st.sampled_from(pools[name]), min_size=1, max_size=3, unique=True))
        filters[name] = tuple(chosen)
    return pipeline, Selection(**filters)


@pytest.mark.filterwarnings("ignore:Namespace .* is interrupted")
@settings(max_examples=150)
@given(sliced())
def test_a_slice_is_what_kedro_would_run(example: tuple[KedroPipeline, Selection]) -> None:
    pipeline, selection = example
    filters = {IN_KEDRO.get(name, name): getattr(selection, name) for name in FILTERS}
    namespaces = selection.namespaces
    # Kedro refuses a namespace inside another named one; here both count once, which the outer ones say alone.
    filters["node_namespaces"] = [
        space for space in namespaces if not any(space.startswith(f"{outer}.") for outer in namespaces)
    ]
    try:
        expected = [node.name for node in pipeline.filter(**filters).nodes]
    except ValueError:
        with pytest.raises(PlanError):
            select(manifest_pipeline(pipeline), selection)
        return
    assert [node.name for node in select(manifest_pipeline(pipeline), selection)] == expected


def test_what_is_not_filtered_stays_as_it_is() -> None:
    assert select(PIPELINE, Selection()) is PIPELINE.nodes


def test_every_filter_alone() -> None:
    assert names(tags=["wide", "late"]) == ["area.clean", "report"]
    assert names(node_names="other, load") == ["load", "other"]
    assert names(from_nodes=["area.clean"]) == ["area.clean", "area.deep.count", "other", "report"]
    assert names(to_nodes=["area.deep.count"]) == ["load", "area.clean", "area.deep.count"]
    assert names(from_inputs=["params:rows"]) == ["load", "area.clean", "area.deep.count", "other", "report"]
    assert names(from_inputs=["table@spark"]) == ["area.clean", "area.deep.count", "other", "report"]
    assert names(to_outputs=["table"]) == ["load"]
    assert names(namespaces=["area"]) == ["area.clean", "area.deep.count"]
    assert names(namespaces=["area.deep", "area"]) == ["area.clean", "area.deep.count"]


def test_a_comma_in_brackets_belongs_to_a_name() -> None:
    assert Selection.from_dict({"node_names": "f([a,b]) -> [c], g,,"}).node_names == ("f([a,b]) -> [c]", "g")
    assert Selection.from_dict({"node_names": "a),b"}).node_names == ("a)", "b")


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"node_names": ["laod"]}, "Pipeline 'shop' has no node 'laod'. Did you mean 'load'?"),
        ({"to_nodes": ["count"]}, "Pipeline 'shop' has no node 'count'. Did you mean 'area.deep.count'?"),
        ({"from_inputs": ["rwos", "x@y"]}, "Pipeline 'shop' has no dataset 'rwos', 'x@y'. Did you mean 'rows'?"),
        ({"to_outputs": ["table@excel"]}, "has no dataset 'table@excel'. Did you mean 'table'?"),
        ({"namespaces": ["aera"]}, "Pipeline 'shop' has no namespace 'aera'. Did you mean 'area'?"),
        (
            {"tags": ["late"], "from_nodes": ["other"]},
            "No node of pipeline 'shop' is selected by all of the filters (tags selects 1, from_nodes selects 1), "
            "so nothing would run.",
        ),
    ],
)
def test_what_cannot_be_selected_is_told(filters: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        names(**filters)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"node_name": ["a"]}, "unknown key node_name. Did you mean 'node_names'?"),
        (
            {"tags": [1]},
            "tags must be a list of names, or one string with commas between them, not [1].",
        ),
    ],
)
def test_a_wrong_selection_is_told(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Selection.from_dict(value)
    assert str(caught.value) == message


def test_a_deep_pipeline_is_sliced_without_recursion() -> None:
    chain = Pipeline("chain", tuple(Node(f"n{at}", (f"d{at - 1}",), (f"d{at}",)) for at in range(5000)))
    assert len(select(chain, Selection(from_nodes=("n10",), to_nodes=("n4990",)))) == 4981
    kedro = KedroPipeline([kedro_node(len, "d0", "d1", name="n1")])
    assert manifest_pipeline(kedro).nodes == (Node("n1", ("d0",), ("d1",)),)
