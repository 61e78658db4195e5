from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.config import Resources, RunConfig
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError
from airflow_provider_kedro_vertex.core.manifest import Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.plan import TASK_ID_LENGTH, Plan, build_plan

CONFIG = RunConfig(image="registry.test/shop:1", root="gs://shop/runs")


def plan_of(*nodes: Node, config: RunConfig = CONFIG, env: str | None = None) -> Plan:
    pipelines = {"__default__": Pipeline("__default__", nodes)}
    return build_plan(Manifest(Project("Shop", "shop", "1.0.0"), env, config, {}, {}, pipelines))


def test_a_plan_has_the_graph_of_the_pipeline(manifest: Manifest) -> None:
    plan = build_plan(manifest)
    assert (plan.name, plan.project, plan.pipeline, plan.env) == ("small-shop", "Small Shop", "__default__", None)
    assert plan.root == "gs://shop/runs"
    assert {group.task_id: (group.name, group.upstream) for group in plan.groups} == {
        "clean-orders": ("clean_orders", ()),
        "features-daily-join": ("features.daily.join", ("clean-orders",)),
        "write-table": ("write_table", ("clean-orders",)),
        # table@pandas is what write_table writes as table@spark.
        "train-model": ("Train Model", ("features-daily-join", "write-table")),
        "report": ("report", ("clean-orders", "train-model")),
    }
    assert {group.task_id: (group.inputs, group.outputs) for group in plan.groups} == {
        "clean-orders": ((), ("clean",)),
        "features-daily-join": (("clean",), ("features.daily.joined",)),
        "write-table": (("clean",), ("table",)),
        "train-model": (("features.daily.joined", "table"), ("model",)),
        "report": (("clean", "model"), ()),
    }
    assert {group.image for group in plan.groups} == {"registry.test/shop:1.0.0"}
    assert [group.nodes for group in plan.groups] == [(group.name,) for group in plan.groups]


def test_another_pipeline_is_named_after_project_and_pipeline(manifest: Manifest) -> None:
    plan = build_plan(manifest, "orders")
    assert plan.name == "small-shop-orders"
    assert [group.name for group in plan.groups] == ["clean_orders", "features.daily.join", "write_table"]
    # Nobody in this pipeline reads the table, so it crosses no boundary.
    assert plan.groups[-1].outputs == ()
    assert plan.groups[0].arguments == ("--pipeline", "orders", "--node", "clean_orders")


def test_the_environment_travels_with_the_command() -> None:
    plan = plan_of(Node("a", (), ("x",)), env="prod")
    assert plan.groups[0].arguments == ("--pipeline", "__default__", "--env", "prod", "--node", "a")


def test_any_node_name_travels_as_it_is() -> None:
    name = 'it\'s "the" $(node) ä {{x}}'
    assert plan_of(Node(name, (), ("x",))).groups[0].arguments[-1] == name


def test_resources_by_default_tag_and_name(manifest: Manifest) -> None:
    plan = build_plan(manifest)
    assert {group.name: group.resources for group in plan.groups} == {
        "clean_orders": Resources("500m", "4Gi"),
        "features.daily.join": Resources("500m", "4Gi"),
        "write_table": Resources("500m", "1Gi"),
        "Train Model": Resources("500m", "1Gi", "1", "NVIDIA_TESLA_T4"),
        "report": Resources("2", "1Gi"),
    }


@pytest.mark.parametrize("selector", ["Train_Model.v2", "Train-Model-v2", "train-model-v2"])
def test_a_node_is_found_by_its_raw_and_by_its_cleaned_name(selector: str) -> None:
    config = replace(CONFIG, resources={selector: Resources(cpu="4")})
    assert plan_of(Node("Train_Model.v2", (), ("x",)), config=config).groups[0].resources.cpu == "4"


def test_settings_of_one_run_replace_the_manifests(manifest: Manifest) -> None:
    config = manifest.config.overridden({"image": "registry.test/shop:2", "root": "other/place"})
    plan = build_plan(manifest, config=config)
    assert plan.root == "gs://other/place"
    assert {group.image for group in plan.groups} == {"registry.test/shop:2"}


def test_names_that_collide_are_refused() -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(Node("train_model", (), ("x",)), Node("other", (), ("z",)), Node("train.model", (), ("y",)))
    assert str(caught.value) == (
        "Nodes 'train_model' and 'train.model' would both be named 'train-model' on Vertex AI. Rename one of them."
    )


def test_a_pipeline_without_nodes_is_refused(manifest: Manifest) -> None:
    with pytest.raises(PlanError) as caught:
        build_plan(manifest, "empty")
    assert str(caught.value) == "Pipeline 'empty' of project 'Small Shop' has no nodes, so nothing would run."


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("image", "the container image that holds the Kedro project"),
        ("root", "the Cloud Storage place where runs keep their data, gs://bucket/prefix"),
    ],
)
def test_what_must_be_set_is_told(key: str, what: str) -> None:
    for value in (None, ""):
        with pytest.raises(ConfigError) as caught:
            plan_of(Node("a", (), ("x",)), config=replace(CONFIG, **{key: value}))
        assert str(caught.value) == (
            f"No {key} is set: {what}. Set run_config.{key} in conf/base/vertexai.yml and write the manifest again, "
            f"or pass run_config={{'{key}': ...}}."
        )


def test_a_gpu_needs_its_type() -> None:
    config = replace(CONFIG, resources={"a": Resources(gpu="2")})
    with pytest.raises(ConfigError) as caught:
        plan_of(Node("a", (), ("x",)), config=config)
    assert str(caught.value) == (
        "Node 'a' asks for 2 gpu but names no accelerator_type. "
        "Set resources.<node>.accelerator_type, such as NVIDIA_TESLA_T4."
    )
    assert plan_of(Node("a", (), ("x",)), config=replace(CONFIG, resources={"a": Resources(gpu="0")}))


@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=6, unique=True))
def test_task_ids_are_short_unique_and_plain(names: list[str]) -> None:
    try:
        plan = plan_of(*(Node(name, (), (f"data_{index}",)) for index, name in enumerate(names)))
    except PlanError as error:
        assert "would both be named" in str(error)  # noqa: PT017
        return
    ids = [group.task_id for group in plan.groups]
    assert len(set(ids)) == len(names)
    for task_id in ids:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", task_id)
        assert len(task_id) <= TASK_ID_LENGTH


def test_long_names_that_begin_alike_stay_apart() -> None:
    plan = plan_of(Node("x" * 100 + "a", (), ("a",)), Node("x" * 100 + "b", (), ("b",)))
    first, second = (group.task_id for group in plan.groups)
    assert first != second
    assert len(first) == len(second) == TASK_ID_LENGTH


@given(st.lists(st.tuples(st.sets(st.integers(0, 9)), st.sampled_from(["", "@a", "@b"])), min_size=1, max_size=10))
def test_each_edge_is_a_dataset_that_one_node_writes_and_the_other_reads(drawn: list[tuple[set[int], str]]) -> None:
    nodes = [
        Node(f"n{index}", tuple(f"d{back}{kind}" for back in sorted(wanted) if back < index), (f"d{index}@c",))
        for index, (wanted, kind) in enumerate(drawn)
    ]
    plan = plan_of(*nodes)
    for index, group in enumerate(plan.groups):
        before = sorted(back for back in drawn[index][0] if back < index)
        assert group.upstream == tuple(f"n{back}" for back in before)
        assert group.inputs == tuple(f"d{back}" for back in before)
        assert bool(group.outputs) == any(f"d{index}" in later.inputs for later in plan.groups)
