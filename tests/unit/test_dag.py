from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.errors import ConfigError, ManifestError, PlanError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from tests.unit.conftest import small_manifest

HEAD = """
from datetime import datetime
from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_dags, kedro_vertex_task_group
"""

FACTORY = """
kedro_vertex_dags(globals(), manifest="small.manifest.json", schedule="@daily", start_date=datetime(2013, 6, 1),
                  catchup=False, max_active_runs=3, params={"run_date": "{{ ds }}", "rows": 5},
                  default_args={"retries": 2}, gcp_conn_id="other", region="us-central1", poll_interval=7)
"""

NODE_MODES = ('mode="custom_job"', 'watch="nodes"')


def load(folder: Path, body: str) -> dict[str, Any]:
    """Run a DAG file as Airflow's loader does."""
    file = folder / "dags.py"
    file.write_text(HEAD + body)
    return runpy.run_path(str(file))


def dags(namespace: dict[str, Any]) -> dict[str, DAG]:
    return {value.dag_id: value for value in namespace.values() if isinstance(value, DAG)}


def test_one_dag_for_each_registered_pipeline(manifest_file: Path) -> None:
    found = dags(load(manifest_file.parent, FACTORY))

    assert sorted(found) == ["small", "small_first"]
    for dag in found.values():
        assert sorted(dag.task_dict) == ["submit", "wait"]
        assert dag.task_dict["submit"].downstream_task_ids == {"wait"}
        assert dag.max_active_runs == 3
        assert dag.catchup is False
        assert dict(dag.params) == {"run_date": "{{ ds }}", "rows": 5, "force_full_run": False}
        assert set(dag.tags) == {"kedro", "small"}
        assert all(task.retries == 2 for task in dag.tasks)
    assert found["small_first"].task_dict["submit"].pipeline == "first"
    assert "3 nodes" in (found["small"].doc_md or "")


def test_arguments_reach_the_tasks(manifest_file: Path) -> None:
    dag = dags(load(manifest_file.parent, FACTORY))["small"]
    submit, wait = dag.task_dict["submit"], dag.task_dict["wait"]

    assert (submit.region, submit.gcp_conn_id, submit.wait_for_completion) == ("us-central1", "other", False)
    assert (wait.gcp_conn_id, wait.poke_interval, wait.reschedule) == ("other", 7, True)
    assert wait.job == "{{ ti.xcom_pull(task_ids='submit', map_indexes=ti.map_index)['name'] }}"


def test_the_projects_description_is_the_dags_unless_its_file_has_another(manifest_file: Path) -> None:
    manifests.write(small_manifest(description="What the shop sells."), manifest_file)
    body = """
shop = kedro_vertex_dag("a", manifest="small.manifest.json", schedule=None)
mine = kedro_vertex_dag("b", manifest="small.manifest.json", schedule=None, description="Mine.")
"""
    found = load(manifest_file.parent, body)
    assert (found["shop"].description, found["mine"].description) == ("What the shop sells.", "Mine.")


def test_only_the_pipelines_that_were_asked_for(manifest_file: Path) -> None:
    body = 'kedro_vertex_dags(globals(), manifest="small.manifest.json", pipelines=["first"], schedule=None)'

    assert sorted(dags(load(manifest_file.parent, body))) == ["small_first"]


def test_one_dag_with_an_id_of_its_own(manifest_file: Path) -> None:
    body = 'dag = kedro_vertex_dag("mine", pipeline="first", manifest="small.manifest.json", tags=["a"], schedule=None)'
    dag = load(manifest_file.parent, body)["dag"]

    assert dag.dag_id == "mine"
    assert set(dag.tags) == {"a"}
    assert dag.fileloc == str(manifest_file.parent / "dags.py")


def test_a_task_group_in_a_dag_of_ones_own(manifest_file: Path) -> None:
    body = """
with DAG("mine", schedule=None, params={"email": "a@b.c"}) as dag:
    group = kedro_vertex_task_group(manifest="small.manifest.json", params={"rows": 4}, tooltip="Kedro")
    other = kedro_vertex_task_group("again", pipeline="first", manifest="small.manifest.json")
    group >> other
"""
    dag = load(manifest_file.parent, body)["dag"]

    assert sorted(dag.task_dict) == ["again.submit", "again.wait", "small.submit", "small.wait"]
    assert dict(dag.task_dict["small.submit"].params) == {"email": "a@b.c", "rows": 4}
    assert (
        dag.task_dict["small.wait"].job
        == "{{ ti.xcom_pull(task_ids='small.submit', map_indexes=ti.map_index)['name'] }}"
    )
    assert dag.task_dict["small.wait"].downstream_task_ids == {"again.submit"}


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (
            'kedro_vertex_dags(globals(), manifest="none.json")',
            ManifestError,
            "There is no manifest at {folder}/none.json. "
            "Make it in the Kedro project with: kedro vertex manifest -o none.json",
        ),
        (
            'kedro_vertex_dags(globals(), manifest="cut.json")',
            ManifestError,
            "The manifest {folder}/cut.json is damaged or cut short",
        ),
        (
            'kedro_vertex_dag(pipeline="frist", manifest="small.manifest.json")',
            PlanError,
            "Project 'Small Project' has no registered pipeline 'frist'. Did you mean 'first'?",
        ),
        (
            "kedro_vertex_dag()",
            ConfigError,
            "Give either manifest= (a file) or project= (a Kedro project's folder).",
        ),
        (
            'kedro_vertex_dag(manifest="small.manifest.json", kedro_env="prod")',
            ConfigError,
            "python= and kedro_env= go with project=",
        ),
    ],
)
def test_a_wrong_dag_file_gets_one_clear_line(
    manifest_file: Path, body: str, error: type[Exception], message: str
) -> None:
    folder = manifest_file.parent
    (folder / "cut.json").write_text(manifest_file.read_text()[:-40])

    with pytest.raises(error) as raised:
        load(folder, body)

    assert str(raised.value).startswith(message.format(folder=folder))
    assert "\n" not in str(raised.value)


NODES = """
with DAG("mine", schedule=None) as dag:
    group = kedro_vertex_task_group("kedro", manifest="nodes.manifest.json", {mode}, node_arguments={arguments})
"""
MODES = {"custom_job": 'mode="custom_job"', "watched": 'watch="nodes"'}


def nodes_manifest(folder: Path, **config: Any) -> Path:
    nodes = (
        Node("load", ("raw",), ("table",), tags=("daily",)),
        Node("submit", ("table",), ("copy",), tags=("small", "daily")),
        Node("model.fit", ("table",), ("model.line",), namespace="model", tags=("gpu",)),
        Node("model.inner.score it", ("model.line",), ("score",), namespace="model.inner"),
        Node("model", ("score", "copy"), ("result",)),
    )
    tidy = Pipeline("tidy", (Node("tell", ("params:run_outcome",), ("told",)),))
    settings = {"project_id": "demo-project", "region": "europe-west1", "image": "a/b:1", "root": "bucket/runs"}
    path = folder / "nodes.manifest.json"
    datasets = {name: Dataset(name, "MemoryDataset") for name in ("table", "copy", "model.line", "score", "result")}
    manifest = Manifest(
        project=Project("Nodes", "nodes", "1.7.0"),
        env=None,
        config=RunConfig.from_dict({**settings, **config}),
        parameters={},
        datasets=datasets,
        pipelines={"__default__": Pipeline("__default__", nodes), "tidy": tidy},
        runtime_params={"day": False},
    )
    manifests.write(manifest, path)
    return path


def graph(folder: Path, mode: str, arguments: str = "{}") -> tuple[DAG, Any]:
    found = load(folder, NODES.format(mode=MODES[mode], arguments=arguments))
    return found["dag"], found["group"]


@pytest.mark.parametrize("mode", ["custom_job", "watched"])
def test_nodes_are_tasks_in_groups_that_mirror_the_namespaces(tmp_path: Path, mode: str) -> None:
    nodes_manifest(tmp_path)
    dag, group = graph(tmp_path, mode)
    # A node is named like a task of the factory, another one like a namespace: both are kept apart.
    submit = "submit_" if mode == "watched" else "submit"
    tasks = {f"kedro.{name}" for name in ("load", submit, "model_.fit", "model_.inner.score_it", "model")}
    first = {"kedro.submit"} if mode == "watched" else set()
    assert set(dag.task_dict) == tasks | first
    assert dag.task_dict["kedro.load"].upstream_task_ids == first
    assert dag.task_dict["kedro.load"].downstream_task_ids == {f"kedro.{submit}", "kedro.model_.fit"}
    assert dag.task_dict["kedro.model"].upstream_task_ids == {"kedro.model_.inner.score_it", f"kedro.{submit}"}
    assert {name: task.task_id for name, task in group.tasks_map.items()} == {
        "load": "kedro.load",
        "submit": f"kedro.{submit}",
        "model.fit": "kedro.model_.fit",
        "model.inner.score it": "kedro.model_.inner.score_it",
        "model": "kedro.model",
    }
    assert group.tasks_map["model.inner.score it"].group == "model-inner-score-it"
    assert dag.topological_sort()  # no circle, and every id is known


def test_a_node_that_tasks_map_does_not_have_is_told_with_the_closest_one(tmp_path: Path) -> None:
    nodes_manifest(tmp_path)
    _, group = graph(tmp_path, "custom_job")
    with pytest.raises(PlanError, match=r"^tasks_map has no node 'model\.fitt'\. Did you mean 'model\.fit'\?$"):
        group.tasks_map["model.fitt"]
    assert "model.fitt" not in group.tasks_map
    assert group.tasks_map.get("model.fitt") is None


@pytest.mark.parametrize("mode", ["custom_job", "watched"])
def test_airflow_arguments_come_from_vertexai_yml_and_the_dag_file(tmp_path: Path, mode: str) -> None:
    airflow = {
        "__default__": {"airflow": {"retries": 1, "pool": "small"}},
        "gpu": {"airflow": {"pool": "gpus", "execution_timeout": 60, "retry_delay": 5}},
    }
    nodes_manifest(tmp_path, nodes=airflow)
    _, group = graph(tmp_path, mode, '{"model.*": {"retries": 4}, "small": {"priority_weight": 7}}')
    load, fit, submit = (group.tasks_map[name] for name in ("load", "model.fit", "submit"))
    assert (load.pool, load.retries, load.execution_timeout) == ("small", 1, None)
    assert (fit.pool, fit.retries) == ("gpus", 4)
    assert (fit.execution_timeout, fit.retry_delay) == (timedelta(seconds=60), timedelta(seconds=5))
    assert (submit.priority_weight, load.priority_weight) == (7, 1)


@pytest.mark.parametrize("options", ['mode="custom_job"', 'watch="nodes"', 'mode="pipeline_job"'])
def test_a_slice_has_the_tasks_of_its_nodes_alone(tmp_path: Path, options: str) -> None:
    nodes_manifest(tmp_path, on_exit_pipeline="tidy")
    selection = {"tags": ["daily", "gpu"], "to_nodes": "model.fit, submit"}
    body = f"""
given = {{"manifest": "nodes.manifest.json", "selection": {selection}}}
dag = kedro_vertex_dag("mine", schedule=None, tags=["a team's"], {options}, **given)
with DAG("other", schedule=None) as other:
    group = kedro_vertex_task_group({options}, **given)
"""
    found = load(tmp_path, body)
    dag = found["dag"]
    assert set(dag.tags) == {"a team's"}
    assert "on Vertex AI: 3 of 5 nodes." in (dag.doc_md or "")
    for made in (dag, found["group"]):
        assert set(made.tasks_map) == {"load", "submit", "model.fit"}
    jobs = [task for task in dag.tasks if isinstance(task, VertexJobOperator)]
    assert jobs
    assert all(task.selection == selection for task in jobs)
    if "pipeline_job" in options:
        assert set(dag.task_dict) == {"submit", "wait", "on_exit"}
    else:
        own = {"submit_", "submit"} if "watch" in options else {"submit"}
        assert set(dag.task_dict) == {*own, "load", "model.fit", "on_exit"}


@pytest.mark.parametrize("options", ['mode="custom_job"', 'watch="nodes"', 'mode="pipeline_job"'])
@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        ({"from_nodes": ["laod"]}, PlanError, "Pipeline '__default__' has no node 'laod'. Did you mean 'load'?"),
        ({"tags": ["huge"]}, PlanError, "No node of pipeline '__default__' is selected by all of the filters "),
        ({"tags": ["gpu"]}, PlanError, "Node 'model.fit' needs dataset 'table', which node 'load' makes in memory "),
        ({"tag": ["gpu"]}, ConfigError, "unknown key selection.tag. Did you mean 'tags'?"),
        (["gpu"], ConfigError, "selection must be a mapping, not ['gpu']."),
    ],
)
def test_a_wrong_selection_is_an_error_of_the_dag_file(
    tmp_path: Path, options: str, selection: object, error: type[Exception], message: str
) -> None:
    nodes_manifest(tmp_path)
    body = f'kedro_vertex_dag(manifest="nodes.manifest.json", schedule=None, selection={selection}, {options})'
    with pytest.raises(error) as raised:
        load(tmp_path, body)
    assert str(raised.value).startswith(message)


def test_default_args_reach_the_tasks_of_nodes(tmp_path: Path) -> None:
    nodes_manifest(tmp_path)
    body = """
with DAG("mine", schedule=None, default_args={"retries": 3, "owner": "a"}) as dag:
    group = kedro_vertex_task_group(manifest="nodes.manifest.json", watch="nodes", default_args={"owner": "b"})
made = kedro_vertex_dag("made", manifest="nodes.manifest.json", mode="custom_job", schedule=None,
                        default_args={"retries": 2}, params={"day": "{{ ds }}"})
"""
    found = load(tmp_path, body)
    fit = found["group"].tasks_map["model.fit"]
    assert (fit.retries, fit.owner) == (3, "b")
    assert found["made"].tasks_map["load"].retries == 2
    assert dict(found["made"].params) == {"day": "{{ ds }}"}


@pytest.mark.parametrize("options", ['mode="custom_job"', 'watch="nodes"', "mode='pipeline_job'"])
def test_the_exit_pipeline_is_a_teardown(tmp_path: Path, options: str) -> None:
    nodes_manifest(tmp_path, on_exit_pipeline="tidy")
    body = f'dag = kedro_vertex_dag("mine", manifest="nodes.manifest.json", schedule=None, {options})'
    dag = load(tmp_path, body)["dag"]
    last = dag.task_dict["on_exit"]
    assert last.is_teardown
    assert last.group == "on-exit"
    assert last.upstream_task_ids == {"wait"} if "pipeline_job" in options else {"model"}
    if "submit" in dag.task_dict:
        assert not getattr(dag.task_dict["submit"], "exit_handler", False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('mode="custom"', "mode must be one of pipeline_job, custom_job, not 'custom'."),
        ('watch="node"', "watch must be one of job, nodes, not 'node'."),
        ('mode="custom_job", watch="nodes"', 'watch="nodes" goes with mode="pipeline_job": '),
        ('node_arguments={"load": {"pool": "p"}}', "node_arguments= finds no tasks of nodes: "),
        (
            'mode="custom_job", node_arguments={"laod": {"pool": "p"}}',
            "node_arguments: no node or tag is named 'laod'. ",
        ),
    ],
)
def test_a_wrong_argument_of_the_factory_gets_one_clear_line(tmp_path: Path, options: str, message: str) -> None:
    nodes_manifest(tmp_path)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, f'kedro_vertex_dag(manifest="nodes.manifest.json", schedule=None, {options})')
    assert str(raised.value).startswith(message)


SERIALIZE = """
import json, runpy, sys
try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization
for name, value in sorted(runpy.run_path(sys.argv[1]).items()):
    if name.startswith("small"):
        # Airflow stores and compares serialized DAGs with sorted keys (models/serialized_dag.py).
        print(json.dumps(DagSerialization.to_dict(value), sort_keys=True))
"""


READ_BACK = f"""{SERIALIZE}
        read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(value))))
        names = {{task.task_id: [link.name for link in task.operator_extra_links] for task in read.tasks}}
        print("links", json.dumps(names))
"""


@pytest.mark.parametrize("mode", ['mode="pipeline_job"', *NODE_MODES])
def test_the_links_of_a_stored_dag_are_those_of_its_tasks(manifest_file: Path, mode: str) -> None:
    file = manifest_file.name
    dag = load(manifest_file.parent, f'small = kedro_vertex_dag(manifest="{file}", schedule=None, {mode})')["small"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_BACK, str(manifest_file.parent / "dags.py")],
        check=True,
        capture_output=True,
        text=True,
    )
    (read,) = (json.loads(line[len("links ") :]) for line in done.stdout.splitlines() if line.startswith("links "))

    for task in dag.tasks:
        assert sorted(read[task.task_id]) == sorted(link.name for link in task.operator_extra_links), task.task_id
    assert any("Vertex AI job" in names for names in read.values())


def test_the_serialized_dag_is_the_same_in_every_process(manifest_file: Path) -> None:
    load(manifest_file.parent, FACTORY)
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SERIALIZE, str(manifest_file.parent / "dags.py")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    ]

    # Airflow 3.2 logs to stdout, with the time.
    dags = {tuple(line for line in output.splitlines() if line.startswith("{")) for output in outputs}
    assert len(dags) == 1
    (lines,) = dags
    assert len(lines) == 2
    assert str(manifest_file.parent / "small.manifest.json") not in lines[0]
    assert json.loads(lines[0])["dag"]["doc_md"].startswith("Pipeline `__default__` of the Kedro project Small Project")


@pytest.mark.parametrize("mode", NODE_MODES)
def test_each_node_task_has_a_text_unless_it_was_given_one(manifest_file: Path, mode: str) -> None:
    body = f"""
dag = kedro_vertex_dag(manifest="small.manifest.json", schedule=None, {mode},
                       node_arguments={{"clean": {{"doc_md": "Mine."}}}})
"""
    tasks = load(manifest_file.parent, body)["dag"].task_dict

    assert "- Outputs: `result`" in tasks["report"].doc_md
    assert "`kedro run --to-nodes report`" in tasks["report"].doc_md
    assert tasks["clean"].doc_md == "Mine."


@pytest.mark.parametrize("mode", NODE_MODES)
def test_a_dag_of_many_nodes_has_no_texts(manifest_file: Path, mode: str) -> None:
    small = small_manifest()
    nodes = tuple(Node(f"node_{number}", ("raw",), (f"data_{number}",)) for number in range(101))
    many = replace(small, datasets={}, pipelines={"__default__": Pipeline("__default__", nodes)})
    manifests.write(many, manifest_file)
    dag = load(manifest_file.parent, f'dag = kedro_vertex_dag(manifest="{manifest_file.name}", schedule=None, {mode})')
    task = dag["dag"].task_dict["node_100"]

    assert task.doc_md is None
    assert "Node logs" in [link.name for link in task.operator_extra_links]


@pytest.mark.parametrize("mode", NODE_MODES)
def test_tasks_are_called_as_somebody_chose(manifest_file: Path, mode: str) -> None:
    body = f"""
dag = kedro_vertex_dag(manifest="small.manifest.json", schedule=None, {mode},
                       task_id=lambda group: f"do_{{group.name}}",
                       task_display_name=lambda group: f"Step {{len(group.nodes)}}: {{group.name}}")
"""
    dag = load(manifest_file.parent, body)["dag"]

    assert {"do_load", "do_clean", "do_report"} <= set(dag.task_dict)
    assert dag.task_dict["do_clean"].upstream_task_ids == {"do_load"}
    assert dag.tasks_map["clean"] is dag.task_dict["do_clean"]
    assert dag.task_dict["do_clean"].task_display_name == "Step 1: clean"


def test_whatever_waits_tells_of_failed_nodes(manifest_file: Path) -> None:
    for mode, waits in (("", "wait"), ('watch="nodes"', "clean"), ('mode="custom_job"', "clean")):
        body = f'dag = kedro_vertex_dag(manifest="small.manifest.json", schedule=None, on_node_failure=print, {mode})'
        assert load(manifest_file.parent, body)["dag"].task_dict[waits].on_node_failure is print


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ('task_id=lambda group: "a b", watch="nodes"', r"^task_id= gave 'a b' for 'load'\. Let it give letters, "),
        ('task_id=lambda group: "a.b", watch="nodes"', r"^task_id= gave 'a\.b' for 'load'\."),
        (
            'task_display_name=lambda group: 1, watch="nodes"',
            r"^task_display_name= gave 1 for 'load'\. Let it give a t",
        ),
        ('task_id=lambda group: "a"', r"^task_id= and task_display_name= find no tasks of nodes: use mode="),
    ],
)
def test_a_name_that_is_none_is_an_import_error(manifest_file: Path, argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(manifest_file.parent, f'kedro_vertex_dag(manifest="small.manifest.json", schedule=None, {argument})')


def test_a_dags_text_has_the_line_for_home_and_kedro_viz(manifest_file: Path) -> None:
    manifests.write(small_manifest(kedro_viz_url="https://viz.example.com/shop"), manifest_file)
    body = """
whole = kedro_vertex_dag("a", manifest="small.manifest.json", schedule=None)
part = kedro_vertex_dag("b", manifest="small.manifest.json", schedule=None, selection={"node_names": ["load"]})
"""
    found = load(manifest_file.parent, body)

    assert "At home: `kedro run`\n\n[Kedro-Viz](https://viz.example.com/shop)" in found["whole"].doc_md
    assert "At home" not in found["part"].doc_md
