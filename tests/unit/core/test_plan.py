from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.pipeline import Pipeline as KedroPipeline
from kedro.pipeline.pipeline import CircularDependencyError, OutputNotUniqueError

from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError
from airflow_provider_kedro_vertex.core.plan.plan import TASK_ID_LENGTH, Plan, build_plan
from airflow_provider_kedro_vertex.core.project.graph import dataset
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.project.selection import registered
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.nodes import Disk, Resources, RetryPolicy
from airflow_provider_kedro_vertex.core.settings.run_config import Grouping, RunConfig
from tests.unit.core.pipelines import kedro_pipelines, manifest_pipeline

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
    assert caught.value.message == "Pipeline 'empty' of project 'Small Shop' has no nodes, so nothing would run."
    assert caught.value.fix == "Name a pipeline that has some."


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


def in_groups(plan: Plan) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    return {group.task_id: (group.nodes, group.upstream) for group in plan.groups}


def test_a_group_runs_its_nodes_in_order_and_keeps_their_data_inside(manifest: Manifest) -> None:
    plan = build_plan(manifest, config=manifest.config.overridden({"grouping": "memory"}))
    # The model is declared with a place in shared storage; all else is handed on in memory.
    assert in_groups(plan) == {
        "clean-orders": (("clean_orders", "features.daily.join", "write_table", "Train Model", "report"), ()),
    }
    assert plan.groups[0].arguments == (
        *("--pipeline", "__default__", "--node", "clean_orders", "--node", "features.daily.join"),
        *("--node", "write_table", "--node", "Train Model", "--node", "report"),
    )
    assert (plan.groups[0].inputs, plan.groups[0].outputs) == ((), ())
    plan = build_plan(manifest, config=manifest.config.overridden({"grouping": "namespace"}))
    assert in_groups(plan)["features"] == (("features.daily.join",), ("clean-orders",))
    assert next(group.namespace for group in plan.groups if group.task_id == "features") == "features.daily"


def test_a_group_gets_the_largest_amounts_and_what_its_nodes_agree_on() -> None:
    config = RunConfig.from_dict(
        {
            "image": "i",
            "root": "b",
            "grouping": "tag",
            "resources": {
                "a": {"cpu": "500m", "memory": "4Gi"},
                "b": {"cpu": 2, "memory": "1G", "gpu": 1, "accelerator_type": "NVIDIA_L4"},
            },
            "nodes": {
                "a": {"env": {"A": "1", "B": "2"}, "caching": True, "runner": "thread"},
                "b": {"env": {"B": "2", "C": "3"}, "secret_env": {"D": "projects/p/secrets/s"}},
            },
            "retry_policy": {"b": {"num_retries": 2}},
        }
    )
    nodes = (
        Node("a", (), ("x",), ("group.g", "one"), "space.deep"),
        Node("b", ("x",), (), ("group:g", "two"), "space.other"),
    )
    group = plan_of(*nodes, config=config).groups[0]
    assert group.resources == Resources("2", "4Gi", "1", "NVIDIA_L4")
    assert group.settings.env == {"A": "1", "B": "2", "C": "3"}
    assert group.settings.runner == "thread"
    # A container is skipped as a whole, and nobody said that of b.
    assert not group.settings.caching
    assert group.retry == RetryPolicy(2)
    assert (group.namespace, group.tags) == ("space", ("group.g", "group:g", "one", "two"))
    assert group.arguments[-2] == "--settings"
    assert json.loads(group.arguments[-1]) == {
        "runner": "thread",
        "secret_env": {"D": "projects/p/secrets/s/versions/latest"},
    }


def test_nodes_of_a_group_that_contradict_each_other_are_told_and_the_groups_own_word_ends_it() -> None:
    nodes = (Node("a", (), ("x",), ("group.Big One",)), Node("b", ("x",), (), ("group.Big One",)))
    config = {
        "image": "i",
        "root": "b",
        "grouping": "tag",
        "nodes": {"a": {"env": {"A": "1"}, "image": "one"}, "b": {"env": {"A": "2"}, "image": "two"}},
        "resources": {"__default__": {"cpu": 1}, "a": {"disk": {"boot_disk_size_gb": 100}}},
        "retry_policy": {"a": {"num_retries": 1}, "b": {"num_retries": 2}},
    }
    with pytest.raises(ConfigError) as caught:
        plan_of(*nodes, config=RunConfig.from_dict(config))
    assert str(caught.value) == (
        "Nodes 'a' and 'b' share a container (group 'Big One'), but nodes.image is 'one' for one and 'two' for the "
        "other. Make them equal, or group the nodes otherwise."
    )
    own = {"nodes": {"Big One": {"image": "three", "env": {"A": "3"}}}, "retry_policy": {"big-one": {"num_retries": 3}}}
    group = plan_of(*nodes, config=RunConfig.from_dict(config).overridden(own)).groups[0]
    assert (group.image, group.settings.env, group.retry) == ("three", {"A": "3"}, RetryPolicy(3))
    assert group.resources == Resources(cpu="1", disk=Disk(boot_disk_size_gb=100))
    del own["retry_policy"]
    with pytest.raises(ConfigError, match=r"but retry_policy is {'num_retries': 1"):
        plan_of(*nodes, config=RunConfig.from_dict(config).overridden(own))


def test_auto_fuses_only_what_runs_alike() -> None:
    nodes = [Node(f"n{at}", (f"d{at - 1}",), (f"d{at}",), ("big",) if at > 2 else ()) for at in range(6)]
    config = RunConfig.from_dict(
        {
            "image": "i",
            "root": "b",
            "grouping": "auto",
            "resources": {"big": {"cpu": 8}},
            "nodes": {"n5": {"image": "j"}},
        }
    )
    assert in_groups(plan_of(*nodes, config=config)) == {
        "n0": (("n0", "n1", "n2"), ()),
        "n3": (("n3", "n4"), ("n0",)),
        "n5": (("n5",), ("n3",)),
    }


def test_a_slice_is_planned_if_it_has_all_of_its_data(manifest: Manifest) -> None:
    plan = build_plan(manifest, selection=Selection(to_nodes=("Train Model",)))
    assert [group.name for group in plan.groups] == [
        "clean_orders",
        "features.daily.join",
        "write_table",
        "Train Model",
    ]
    with pytest.raises(PlanError) as caught:
        build_plan(manifest, selection=Selection(from_nodes=("report",)))
    assert str(caught.value) == (
        "Node 'report' needs dataset 'clean', which node 'clean_orders' makes in memory and which is not part of this "
        "slice of pipeline '__default__'. Declare 'clean' in the catalog with a place in shared storage, or select "
        "that node too."
    )


def test_a_slice_that_shares_its_data_takes_what_others_make(manifest: Manifest) -> None:
    nodes = manifest.pipeline("__default__").nodes
    made = {output for node in nodes for output in node.outputs}
    plan = build_plan(manifest, selection=Selection(from_nodes=("report",)), shares_data=True)
    (group,) = plan.groups
    report = next(node for node in nodes if node.name == "report")
    taken = sorted(dataset(name) for name in report.inputs if name in made)
    assert "clean" in taken
    options = list(zip(group.arguments[::2], group.arguments[1::2], strict=True))
    assert [value for option, value in options if option == "--shared-input"] == taken
    assert not any(option in ("--free-input", "--shared-output") for option, _ in options)


def test_what_nodes_of_another_pipeline_take_is_stored_when_data_are_shared() -> None:
    make = (Node("make", (), ("rows",)), Node("count", ("rows",), ("number",)))
    use = Node("use", ("rows", "kept"), ("result",))
    config = replace(CONFIG, grouping=Grouping("pipeline"))
    pipelines = {"make": Pipeline("make", make), "use": Pipeline("use", (use,))}
    manifest = Manifest(Project("Shop", "shop", "1.0.0"), None, config, {}, {}, pipelines)

    def options(pipeline: str, **arguments: Any) -> list[str]:
        (group,) = build_plan(manifest, pipeline, **arguments).groups
        return [word for word in group.arguments if word.startswith("--")]

    assert "--shared-output" not in options("make")
    assert options("make", shares_data=True).count("--shared-output") == 1
    assert options("use", shares_data=True).count("--shared-input") == 1  # nobody makes "kept"


def test_containers_of_a_slice_know_it_where_mlflow_or_an_experiment_is_told_its_end(manifest: Manifest) -> None:
    untracked = replace(manifest.config, experiment_name=None)
    nodes = manifest.pipeline("__default__").nodes
    selection = Selection(to_nodes=(nodes[0].name,))

    def told(chosen: Selection | None, **config: object) -> list[tuple[str, ...]]:
        plan = build_plan(manifest, config=untracked.overridden(config), selection=chosen)
        return [group.arguments for group in plan.groups if "--settings" in group.arguments]

    tracked = {"mlflow": {"tracking_uri": "http://mlflow"}}
    assert told(selection) == told(None, **tracked) == []
    for follows in (tracked, {"experiment_name": "shop"}):
        ((*_, given),) = told(selection, **follows)
        assert json.loads(given) == {"mlflow": {"selection": {"to_nodes": [nodes[0].name]}}}
    assert told(None, experiment_name="shop") == []


def test_a_slice_takes_what_earlier_runs_left() -> None:
    nodes = (Node("a", (), ("x@csv", "y")), Node("b", ("x@pandas", "params:p"), ("z",)), Node("c", ("z", "y"), ()))
    datasets = {
        name: Dataset(name, "pandas.CSVDataset", f"gs://b/{name}", "remote") for name in ("x@csv", "x@pandas", "y")
    }
    pipelines = {"__default__": Pipeline("__default__", nodes)}
    manifest = Manifest(Project("Shop", "shop", "1.0.0"), None, CONFIG, {}, datasets, pipelines)
    plan = build_plan(manifest, selection=Selection(from_nodes=("b",)))
    assert [group.arguments[4:] for group in plan.groups] == [("--free-input", "x"), ("--free-input", "y")]
    assert not any("--free-input" in group.arguments for group in build_plan(manifest).groups)


def test_several_pipelines_run_together(manifest: Manifest) -> None:
    nodes = manifest.pipelines["__default__"].nodes
    both = replace(manifest, pipelines={"first": Pipeline("first", nodes[:3]), "second": Pipeline("second", nodes[2:])})
    plan = build_plan(both, " first,second ")
    assert plan.name == "small-shop-first-second"
    assert plan.groups[0].arguments == ("--pipeline", "first", "--pipeline", "second", "--node", "clean_orders")
    assert {group.name: group.upstream for group in plan.groups} == {
        group.name: group.upstream for group in build_plan(manifest).groups
    }
    with pytest.raises(PlanError, match=r"has no registered pipeline 'secnd'. Did you mean 'second'"):
        build_plan(both, "first,secnd")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("a", ("x",), ())], "they have two different nodes 'a'."),
        ([Node("b", (), ("y",))], "nodes 'a' and 'b' both make 'y'."),
        ([Node("b", ("y@spark",), ())], "one uses 'y' with transcoding, as 'y@spark', and another one without."),
        ([Node("b", ("y",), ("x",))], "Some of the nodes 'a', 'b' depend on each other."),
    ],
)
def test_pipelines_that_do_not_go_together(manifest: Manifest, nodes: list[Node], message: str) -> None:
    one = Pipeline("one", (Node("a", ("x",), ("y",)),))
    both = replace(manifest, pipelines={"one": one, "two": Pipeline("two", tuple(nodes))})
    with pytest.raises(PlanError) as caught:
        build_plan(both, "one,two")
    assert str(caught.value).endswith(message)


def test_the_exit_pipeline_is_one_group_that_stands_apart(manifest: Manifest) -> None:
    config = manifest.config.overridden({"on_exit_pipeline": "orders"})
    plan = build_plan(manifest, config=config)
    assert plan.exit_group is not None
    assert (plan.exit_group.name, plan.exit_group.task_id, plan.exit_group.upstream) == ("orders", "on-exit", ())
    assert plan.exit_group.nodes == ("clean_orders", "features.daily.join", "write_table")
    assert plan.exit_group.resources == Resources("500m", "4Gi")
    assert plan.exit_group.arguments[:4] == ("--pipeline", "orders", "--node", "clean_orders")
    assert plan.groups == build_plan(manifest).groups
    # It does not run after itself.
    assert build_plan(manifest, "orders", config).exit_group is None
    with pytest.raises(PlanError, match="The on_exit_pipeline 'empty' of project 'Small Shop' has no nodes"):
        build_plan(manifest, config=manifest.config.overridden({"on_exit_pipeline": "empty"}))
    with pytest.raises(PlanError, match=r"has no registered pipeline 'odrers'. Did you mean 'orders'"):
        build_plan(manifest, config=manifest.config.overridden({"on_exit_pipeline": "odrers"}))


def test_a_node_may_not_be_named_like_the_exit_task() -> None:
    pipelines = {"__default__": Pipeline("__default__", (Node("on_exit", (), ("x",)),))}
    pipelines["notify"] = Pipeline("notify", (Node("notify", (), ("y",)),))
    manifest = Manifest(Project("Shop", "shop", "1.0.0"), None, CONFIG, {}, {}, pipelines)
    assert build_plan(manifest).groups[0].task_id == "on-exit"
    with pytest.raises(PlanError, match="'on_exit' and 'on-exit' would both be named 'on-exit' on Vertex AI"):
        build_plan(manifest, config=replace(CONFIG, on_exit_pipeline="notify"))


def test_a_part_of_a_plan_takes_the_rest_as_stored(manifest: Manifest) -> None:
    plan = build_plan(manifest, config=manifest.config.overridden({"on_exit_pipeline": "orders"}))
    part = plan.only(["report", "train-model"])
    assert in_groups(part) == {"train-model": (("Train Model",), ()), "report": (("report",), ("train-model",))}
    assert part.groups[0].inputs == ("features.daily.joined", "table")
    assert part.exit_group == plan.exit_group
    with pytest.raises(PlanError, match=r"Plan 'small-shop' has no group 'reprot'. Did you mean 'report'"):
        plan.only(["reprot"])
    with pytest.raises(PlanError, match="No group of plan 'small-shop' is chosen"):
        plan.only([])


def test_the_projects_own_grouping_is_in_the_manifest() -> None:
    config = replace(CONFIG, grouping=Grouping("callable", callable="shop.groups:by_size"))
    nodes = (Node("a", (), ("x",), group="big"), Node("b", ("x",), ("y",), group="big"), Node("c", ("y",), ()))
    assert in_groups(plan_of(*nodes, config=config)) == {"big": (("a", "b"), ()), "c": (("c",), ("big",))}
    with pytest.raises(PlanError) as caught:
        plan_of(Node("a", (), ("x",)), config=config)
    assert str(caught.value) == (
        "The manifest has no groups of shop.groups:by_size, since the project's own function is called when the "
        "manifest is written. Set run_config.grouping in conf/base/vertexai.yml and write the manifest again."
    )


@pytest.mark.filterwarnings("ignore:Namespace .* is interrupted")
@settings(max_examples=100)
@given(kedro_pipelines(), kedro_pipelines())
def test_several_pipelines_are_what_kedro_makes_of_them(one: KedroPipeline, other: KedroPipeline) -> None:
    pipelines = {"one": manifest_pipeline(one, "one"), "other": manifest_pipeline(other, "other")}
    manifest = Manifest(Project("Shop", "shop", "1.0.0"), None, CONFIG, {}, {}, pipelines)
    try:
        expected = [node.name for node in (one + other).nodes]
    except (ValueError, OutputNotUniqueError, CircularDependencyError):
        with pytest.raises(PlanError):
            registered(manifest, "one,other")
        return
    assert [node.name for node in registered(manifest, "one,other").nodes] == expected


CHAIN = (
    Node("load", ("raw",), ("table",), ("daily",)),
    Node("fit", ("table",), ("model",)),
    Node("check", ("table",), ("checked",), ("daily",)),
    Node("tell", ("model",), ("told",)),
)


def chosen(*names: str, selection: Selection | None = None, **grouping: Any) -> Plan:
    """A plan of some nodes of a pipeline whose datasets all lie in storage."""
    datasets = {name: Dataset(name, "p.CSVDataset", f"gs://shop/{name}", "remote") for name in ("table", "model")}
    config = replace(CONFIG, grouping=Grouping(**grouping)) if grouping else CONFIG
    pipelines = {"__default__": Pipeline("__default__", CHAIN)}
    manifest = Manifest(Project("Shop", "shop", "1.0.0"), None, config, {}, datasets, pipelines)
    return build_plan(manifest, selection=selection, only_nodes=names)


def test_the_nodes_of_one_run_are_chosen_by_names_and_tags() -> None:
    assert [group.name for group in chosen("daily", "tell").groups] == ["load", "check", "tell"]
    assert [group.upstream for group in chosen("daily", "tell").groups] == [(), ("load",), ()]
    # What another run has made is free to take.
    assert chosen("tell").groups[0].arguments[-2:] == ("--free-input", "model")
    assert chosen("load", "fit", "check", "tell") == chosen()
    # Those of the slice alone are to be chosen.
    with pytest.raises(PlanError, match="has no node or tag 'check'"):
        chosen("check", selection=Selection(to_nodes=("tell",)))


def test_nodes_that_are_chosen_for_one_run_stay_in_their_groups() -> None:
    whole = {group.task_id: group for group in chosen(kind="auto").groups}
    assert [group.nodes for group in whole.values()] == [("load",), ("fit", "tell"), ("check",)]
    # By itself, what is left would be one chain.
    (load, fit) = chosen("load", "fit", "tell", kind="auto").groups
    assert (load.task_id, load.nodes) == ("load", ("load",))
    assert (fit.task_id, fit.nodes, fit.upstream) == ("fit", ("fit", "tell"), ("load",))
    (part,) = chosen("tell", kind="auto").groups
    # The group keeps its name, and so the task that stands for it.
    assert (part.task_id, part.name, part.nodes) == ("fit", "fit", ("tell",))
    assert part.arguments == ("--pipeline", "__default__", "--node", "tell", "--free-input", "model")


def test_a_part_of_a_group_has_the_groups_container() -> None:
    config = {"resources": {"fit": {"memory": "8Gi"}}, "grouping": "pipeline"}
    manifest = Manifest(
        Project("Shop", "shop", "1.0.0"), None, CONFIG.overridden(config), {}, {}, {"p": Pipeline("p", CHAIN)}
    )
    (group,) = build_plan(manifest, "p", only_nodes=["load"]).groups
    assert (group.nodes, group.resources.memory) == (("load",), "8Gi")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("fti",), r"Pipeline '__default__' has no node or tag 'fti'\. Did you mean 'fit'\?"),
        (("load", "x", "y"), "has no node or tag 'x', 'y'"),
    ],
)
def test_an_unknown_node_of_a_run_is_told(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        chosen(*names)


def test_nodes_that_lack_what_others_keep_in_memory_are_refused() -> None:
    with pytest.raises(PlanError, match=r"Node 'b' needs dataset 'x', which node 'a' makes in memory"):
        build_plan(
            Manifest(
                Project("Shop", "shop", "1.0.0"),
                None,
                CONFIG,
                {},
                {},
                {"p": Pipeline("p", (Node("a", ("raw",), ("x",)), Node("b", ("x",), ("y",))))},
            ),
            "p",
            only_nodes=["b"],
        )
