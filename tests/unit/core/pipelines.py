"""Random Kedro pipelines, and what a manifest says of them."""

from __future__ import annotations

import warnings

from hypothesis import strategies as st
from kedro.pipeline import Pipeline as KedroPipeline
from kedro.pipeline import node as kedro_node

from airflow_provider_kedro_vertex.core.project.manifest import Node, Pipeline

TAGS = ("red", "blue", "green")
NAMESPACES = (None, "a", "b", "a.c", "a.c.d", "ab")


@st.composite
def kedro_pipelines(draw: st.DrawFn, max_nodes: int = 8) -> KedroPipeline:
    """A pipeline with transcoding, parameters, tags, namespaces, and nodes with many or no outputs."""
    nodes = []
    made: list[str] = ["raw", "other_raw"]
    for at in draw(st.permutations(range(draw(st.integers(1, max_nodes))))):
        taken = draw(st.lists(st.sampled_from(made), max_size=3, unique=True))
        inputs = [name + draw(st.sampled_from(["@x", "@y"])) if name.startswith("t") else name for name in taken]
        inputs += draw(st.lists(st.sampled_from(["params:p", "params:q.r", "parameters"]), max_size=1))
        bases = [f"{draw(st.sampled_from('dt'))}{at}_{part}" for part in range(draw(st.integers(0, 2)))]
        outputs = [name + draw(st.sampled_from(["@x", "@y"])) if name.startswith("t") else name for name in bases]
        if inputs or outputs:
            namespace = draw(st.sampled_from(NAMESPACES))
            tags = draw(st.sets(st.sampled_from(TAGS), max_size=2))
            nodes.append(
                kedro_node(_nothing, inputs or None, outputs or None, name=f"n{at}", tags=tags, namespace=namespace)
            )
            made += bases
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Kedro warns of a namespace that other nodes interrupt
        return KedroPipeline(nodes or [kedro_node(_nothing, "raw", None, name="n")])


def manifest_pipeline(pipeline: KedroPipeline, name: str = "__default__") -> Pipeline:
    """The same pipeline as a manifest holds it."""
    return Pipeline(
        name,
        tuple(
            Node(node.name, tuple(node.inputs), tuple(node.outputs), tuple(sorted(node.tags)), node.namespace)
            for node in pipeline.nodes
        ),
    )


def _nothing(*_: object) -> None:
    return None
