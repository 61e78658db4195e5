from __future__ import annotations

from airflow_provider_kedro_vertex.core.plan.node_text import node_texts
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project.kedro_run import kedro_run
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

NODES = (
    Node("load", ("raw", "params:rows"), ("table",), description="Load the rows."),
    Node("fit model", ("table",), ("model", "notes"), namespace=None),
    Node("report", ("model",), (), description="Tell what was found."),
)


def texts(pipeline: str = "__default__", env: str | None = None, **config: object) -> dict[str, str]:
    settings = {"region": "europe-west1", "image": "a/b:1", "root": "bucket/runs", **config}
    datasets = {"table": Dataset("table", "MemoryDataset"), "model": Dataset("model", "a.B", "gs://b/m", "remote")}
    project = Project("Shop", "shop", "1.7.0")
    manifest = Manifest(
        project, env, RunConfig.from_dict(settings), {}, datasets, {pipeline: Pipeline(pipeline, NODES)}
    )
    return node_texts(build_plan(manifest, pipeline), manifest)


def test_a_text_has_the_docstring_the_data_the_machine_and_the_line_for_home() -> None:
    lines = texts(resources={"__default__": {"machine_type": "n1-standard-4"}})["load"].splitlines()

    assert lines[:4] == ["Load the rows.", "", "- Inputs: `raw`, `params:rows`", "- Outputs: `table`"]
    assert lines[4].startswith("- Machine: `n1-standard-4`, about $0.")
    assert lines[5:] == [
        "- As in a run of Airflow: `kedro vertex replay DAG_ID/RUN_ID --node load`",
        "- At home: `kedro run --nodes load`",
    ]


def test_at_home_runs_too_what_others_make_in_memory() -> None:
    found = texts("training", env="prod")

    line = "- At home: `kedro run --pipeline training --env prod"
    assert found["fit-model"].endswith(f"{line} --to-nodes 'fit model'`")
    assert found["report"].endswith(f"{line} --nodes report`"), "the catalog declares what it takes"
    assert kedro_run("a,b", None) == "kedro run --pipelines a,b"


def test_a_text_of_several_nodes_names_each_and_what_goes_in_and_out() -> None:
    (text,) = texts(grouping="pipeline").values()

    assert text.splitlines()[:6] == [
        "3 nodes in one container.",
        "",
        "- **load**: Load the rows.",
        "- **report**: Tell what was found.",
        "",
        "- Inputs: `raw`, `params:rows`",
    ]


def test_a_machine_that_does_not_exist_is_for_the_checks_to_tell() -> None:
    assert "Machine" not in texts(resources={"__default__": {"cpu": "5000"}})["load"]


def test_replicas_cost_as_much_as_all_of_them() -> None:
    one = texts(resources={"__default__": {"machine_type": "n1-standard-4"}})["load"]
    two = texts(resources={"__default__": {"machine_type": "n1-standard-4"}}, nodes={"load": {"replica_count": 2}})[
        "load"
    ]

    price, doubled = (float(text.partition("$")[2].partition(" ")[0]) for text in (one, two))
    assert "- Machine: `2 x (n1-standard-4)`" in two
    assert abs(doubled - 2 * price) < 0.011


def test_long_lists_are_cut() -> None:
    node = Node("wide", tuple(f"in_{number}" for number in range(30)), ())
    manifest = Manifest(
        Project("Shop", "shop", "1.7.0"),
        None,
        RunConfig.from_dict({"image": "a/b:1", "root": "bucket/runs"}),
        {},
        {},
        {"__default__": Pipeline("__default__", (node,))},
    )
    text = node_texts(build_plan(manifest), manifest)["wide"]
    assert "`in_11` and 18 more" in text
    assert "in_12" not in text
