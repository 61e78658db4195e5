"""Which datasets cross a node group's border."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.pipeline import Pipeline, node, pipeline

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.node_group.boundary import Group, node_group, stored_url
from tests.unit.runtime.containers import context


def same(*values: object) -> object:
    return values


WORK = Pipeline(
    [
        node(same, ["raw", "params:size"], "table", name="clean"),
        node(same, ["table", "parameters"], ["train", "test"], name="split"),
        node(same, "train", "model", name="fit"),
        node(same, ["model", "test"], "score", name="score"),
    ]
)


def test_a_group_in_the_middle() -> None:
    assert node_group(WORK.nodes, ["fit", "split"]) == Group(
        nodes=("fit", "split"),
        inputs={"table": "clean"},
        outputs=frozenset({"test", "model"}),
        produced=frozenset({"table", "train", "test", "model"}),
    )


def test_the_first_and_the_last_group() -> None:
    first = node_group(WORK.nodes, ["clean"])
    assert (first.inputs, first.outputs) == ({}, {"table"})
    last = node_group(WORK.nodes, ["score"])
    assert (last.inputs, last.outputs) == ({"model": "fit", "test": "split"}, {"score"})


def test_a_group_of_everything_keeps_only_its_results() -> None:
    everything = node_group(WORK.nodes, [item.name for item in WORK.nodes])
    assert (everything.inputs, everything.outputs) == ({}, {"score"})


def test_what_another_job_of_the_same_data_makes() -> None:
    group = node_group(WORK.nodes, ["fit", "split"], shared_inputs=["table", "raw", "nothing", "train"])
    assert group.inputs == {"table": "clean"}
    assert group.shared_inputs == {"table"}
    # Its version is this run's if it is there, and may be another.
    assert group.produced == {"train", "test", "model"}
    first = node_group(WORK.nodes, ["clean"], shared_inputs=["raw"])
    assert (first.inputs, first.shared_inputs) == ({"raw": ""}, {"raw"})


def test_transcoded_names_are_one_dataset() -> None:
    work = Pipeline(
        [
            node(same, "raw", "table@pandas", name="clean"),
            node(same, "table@spark", "model", name="fit"),
            node(same, "table@pandas", "plot", name="plot"),
        ]
    )
    assert node_group(work.nodes, ["clean"]).outputs == {"table@pandas"}
    assert node_group(work.nodes, ["fit"]).inputs == {"table@spark": "clean"}
    assert node_group(work.nodes, ["fit"]).produced == {"table@spark", "model"}
    assert node_group(work.nodes, ["clean", "fit"]).inputs == {}


def test_namespaces() -> None:
    today = pipeline(WORK, namespace="today", inputs={"raw"})
    group = node_group(today.nodes, ["today.fit"])
    assert (group.inputs, group.outputs) == ({"today.train": "today.split"}, {"today.model"})


def test_a_slice() -> None:
    group = node_group(WORK.nodes, ["fit", "score"], free_inputs=["train", "test"])
    assert group.inputs == {}
    assert group.free_inputs == {"train": "split", "test": "split"}
    assert group.produced == {"model", "score"}, "what is given has the version that it had"
    assert node_group(WORK.nodes, ["split", "fit"], free_inputs=["train"]).free_inputs == {}, "it makes it after all"


def test_an_output_that_another_pipeline_wants() -> None:
    assert node_group(WORK.nodes, ["split", "fit"]).outputs == {"test", "model"}
    assert node_group(WORK.nodes, ["split", "fit"], shared_outputs=["train"]).outputs == {"train", "test", "model"}


def test_an_unknown_node() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'score'"):
        node_group(WORK.nodes, ["fit", "scores"])


@given(st.text(min_size=1, max_size=60))
def test_no_two_names_share_a_place(name: str) -> None:
    url = stored_url(context("gs://bucket/prefix"), name)
    folder, _, file = url.rpartition("/")
    assert folder == "gs://bucket/prefix/kedro-vertexai-temp/shop-run-1-0123456789"
    assert file.endswith(".bin")
    assert set(file) & set("@ :#?*[]") == set()
