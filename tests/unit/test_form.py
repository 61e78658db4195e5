"""The trigger form of the factory's DAGs, and which of its values are given to Kedro."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_dags
from airflow_provider_kedro_vertex.compat import Param
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node, Parameter, Pipeline
from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
from airflow_provider_kedro_vertex.factory.pipeline import KedroVertexDag
from airflow_provider_kedro_vertex.operators.job_request import read_config
from airflow_provider_kedro_vertex.task.run import runtime_params
from tests.unit.conftest import small_manifest

PARAMETERS = {
    "model.depth": Parameter("integer", 3),
    "model.rate": Parameter("number", 1.0),
    "model.strict": Parameter("boolean", True),
    "title": Parameter("string", "x"),
    "secret": Parameter("string"),
    "shops": Parameter("array", ["a", "b"]),
    "unused": Parameter("integer", 1),
}
TAGS = ("late", "daily", "night")
NODES = (Node("train", ("params:model", "params:title", "params:secret", "params:shops"), ("fit",), TAGS),)


def manifest(**parameters: Parameter) -> Manifest:
    return replace(
        small_manifest(),
        parameters={**PARAMETERS, **parameters},
        pipelines={"__default__": Pipeline("__default__", NODES)},
    )


def chained() -> Manifest:
    nodes = (Node("load", ("raw",), ("table",)), Node("train", ("table",), ("fit",), ("daily",)))
    return replace(manifest(), pipelines={"__default__": Pipeline("__default__", nodes)})


def made(folder: Path, value: Manifest | None = None, **arguments: Any) -> KedroVertexDag:
    value = value or manifest()
    path = folder / f"{value.digest[7:20]}.json"
    manifests.write(value, path)
    return kedro_vertex_dag("made", manifest=str(path), **{"schedule": None, **arguments})


def given(dag: KedroVertexDag, conf: dict[str, Any] | None) -> dict[str, Any]:
    """What Kedro gets. Airflow lays what the form sends over the DAG's own params, in their place."""
    dag.params.update(conf or {})
    context: Any = {"dag_run": SimpleNamespace(conf=conf), "params": dag.params.validate(), "ds": "2013-06-01"}
    return runtime_params(dag.task_dict["submit"], context, None, known_parameters(manifest()))


def form(dag: KedroVertexDag, **changed: Any) -> dict[str, Any]:
    """What Airflow's form sends: all fields, those that nobody changed too."""
    return {**dag.params.dump(), **{name.replace("__", "."): value for name, value in changed.items()}}


def test_the_form_has_the_types_and_values_of_the_project(tmp_path: Path) -> None:
    params = made(tmp_path).params
    assert list(params) == [
        *("run_date", "secret", "shops", "title"),
        *("model.depth", "model.rate", "model.strict", "force_full_run"),
    ]
    assert (params["model.depth"], params.get_param("model.depth").schema) == (
        3,
        {"title": "depth", "type": "integer", "section": "model"},
    )
    assert params.get_param("secret").schema == {"type": ["null", "string"]}
    assert params.get_param("secret").description == "Left empty, it is what the project says."
    assert list(made(tmp_path, form=["unused"]).params) == ["unused", "force_full_run"]
    assert list(made(tmp_path, form=False).params) == ["force_full_run"]


def test_nothing_is_given_by_a_form_that_nobody_changed_and_by_a_schedule(tmp_path: Path) -> None:
    assert given(made(tmp_path), None) == {}
    dag = made(tmp_path)
    # A browser's numbers are of one kind.
    assert given(dag, form(dag, model__rate=1)) == {}


def test_what_a_person_changed_is_given_with_its_type_and_nothing_else(tmp_path: Path) -> None:
    dag = made(tmp_path)
    sent = given(dag, form(dag, model__depth=5, secret="{{ ds }}", shops=["a"]))
    assert sent == {"model": {"depth": 5}, "secret": "{{ ds }}", "shops": ["a"]}
    assert type(sent["model"]["depth"]) is int
    dag = made(tmp_path)
    assert given(dag, form(dag, model__strict=False)) == {"model": {"strict": False}}
    dag = made(tmp_path)
    assert given(dag, {"model": {"depth": 7}, "unused": 1}) == {"model": {"depth": 7}, "unused": 1}


def test_a_wrong_type_is_refused_when_the_run_is_asked_for(tmp_path: Path) -> None:
    for wrong in ({"model.depth": "many"}, {"model.depth": 2.5}, {"model.strict": 1}, {"shops": [1]}):
        with pytest.raises(Exception, match=f"Invalid input for param {next(iter(wrong))}"):
            given(made(tmp_path), wrong)


def test_what_the_dags_author_gives_goes_before_the_form(tmp_path: Path) -> None:
    own = {"title": "{{ ds }}", "model.depth": 3, "shops": Param(["z"], type="array"), "model.rate": "{{ 2 }}"}
    dag = made(tmp_path, params=own)
    assert dag.params.get_param("title").schema == {"type": ["null", "string"]}
    assert dag.params.get_param("model.depth").schema == {
        "title": "depth",
        "type": ["null", "integer"],
        "section": "model",
    }
    assert dag.params.get_param("model.rate").schema == {}
    assert dag.params.get_param("shops").schema == {"type": "array"}
    # It is given though the project has the same; its templates are rendered though the form sends them back.
    expected = {"title": "2013-06-01", "model": {"depth": 3, "rate": 2}, "shops": ["z"]}
    assert given(dag, None) == expected
    dag = made(tmp_path, params=own)
    assert given(dag, form(dag)) == expected
    # What a person types is no template.
    dag = made(tmp_path, params=own)
    assert given(dag, form(dag, title="{{ ds_nodash }}"))["title"] == "{{ ds_nodash }}"


def test_a_nested_value_of_the_author_takes_the_place_of_the_fields_in_it(tmp_path: Path) -> None:
    dag = made(tmp_path, params={"model": {"depth": 4}}, default_args={"params": {"title": "t"}})
    assert [name for name in dag.params if name.startswith("model")] == ["model"]
    assert given(dag, form(dag)) == {"model": {"depth": 4}, "title": "t"}


def test_a_name_that_the_project_does_not_have_is_an_import_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"form: the project has no parameter 'titel'\. Did you mean 'title'\?"):
        made(tmp_path, form=["titel"])


def test_a_scheduled_dag_takes_a_form_with_empty_fields(tmp_path: Path) -> None:
    from datetime import datetime

    dag = made(tmp_path, schedule="@daily", start_date=datetime(2013, 6, 1))
    assert dag.params["secret"] is None


SERIALIZE = """
import json, runpy, sys
from airflow_provider_kedro_vertex.compat import DAG
try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialized
except ImportError:
    from airflow.serialization.serialized_objects import SerializedDAG as Serialized
dags = [value for value in runpy.run_path(sys.argv[1]).values() if isinstance(value, DAG)]
print(json.dumps([Serialized.to_dict(dag) for dag in sorted(dags, key=lambda dag: dag.dag_id)], sort_keys=True))
"""
FILE = """
from airflow_provider_kedro_vertex import kedro_vertex_dag
dag = kedro_vertex_dag("made", manifest="small.json", schedule=None, mode="custom_job", params={"title": "{{ ds }}"})
other = kedro_vertex_dag("other", manifest="small.json", schedule=None, ask_for=["only_nodes", "image"])
"""


def serialized(folder: Path, value: Manifest, seed: str = "0") -> Any:
    manifests.write(value, folder / "small.json")
    (folder / "dags.py").write_text(FILE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SERIALIZE, str(folder / "dags.py")],
        env={**os.environ, "PYTHONHASHSEED": seed, "AIRFLOW_HOME": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stdout.splitlines()[-1]


def test_serialized_dags_are_the_same_bytes_with_every_hash_seed(tmp_path: Path) -> None:
    assert serialized(tmp_path, manifest(), "1")[1] == serialized(tmp_path, manifest(), "2")[1]


def test_a_changed_value_changes_the_dag_only_where_the_form_shows_it(tmp_path: Path) -> None:
    before = serialized(tmp_path, manifest())[0]
    assert serialized(tmp_path, manifest(unused=Parameter("integer", 2)))[0] == before
    assert serialized(tmp_path, manifest(title=Parameter("string", "y")))[0][1] != before[1]
    # The author's own value stands there.
    assert serialized(tmp_path, manifest(title=Parameter("string", "y")))[0][0] == before[0]
    assert serialized(tmp_path, manifest(more=Parameter("integer", 2)))[0] != before


def test_each_pipeline_shows_what_its_own_nodes_take(tmp_path: Path) -> None:
    value = replace(
        manifest(),
        pipelines={
            "__default__": Pipeline("__default__", NODES),
            "tell": Pipeline("tell", (Node("tell", ("params:title",), ("told",)),)),
        },
    )
    manifests.write(value, tmp_path / "m.json")
    found = kedro_vertex_dags({"__file__": str(tmp_path / "d.py")}, manifest="m.json", schedule=None)
    assert list(found["small_tell"].params) == ["run_date", "title", "force_full_run"]
    assert "model.depth" in found["small"].params


def test_a_form_asks_for_nodes_and_an_image_where_the_author_wants_it(tmp_path: Path) -> None:
    dag = made(tmp_path, chained(), ask_for=["image", "only_nodes"], form=False)
    assert dict(dag.params) == {"only_nodes": [], "image": None, "force_full_run": False}
    nodes = dag.params.get_param("only_nodes").schema
    assert nodes["examples"] == ["load", "train", "daily"]
    assert (nodes["type"], nodes["title"]) == (["null", "array"], "Only these nodes")
    assert dag.params.get_param("image").schema["type"] == ["null", "string"]
    one = made(tmp_path, ask_for=["image"], form=False, mode="custom_job")
    assert list(one.params) == ["image"]
    some = made(tmp_path, chained(), ask_for=["only_nodes"], form=False, selection={"to_outputs": ["table"]})
    assert some.params.get_param("only_nodes").schema["examples"] == ["load"]


def test_what_is_about_the_run_is_given_to_nobody_else(tmp_path: Path) -> None:
    dag = made(tmp_path, ask_for=["only_nodes", "image"])
    assert given(dag, form(dag)) == {}
    dag = made(tmp_path, ask_for=["only_nodes", "image"])
    assert given(dag, form(dag, only_nodes=["train"], image="i:2", title="z")) == {"title": "z"}
    # Who asks for nothing has room for parameters of these names.
    assert given(made(tmp_path), {"image": "i:2"}) == {"image": "i:2"}


def rendered_submit(dag: KedroVertexDag, conf: dict[str, Any]) -> Any:
    task = dag.task_dict["submit"].prepare_for_execution()
    task.render_template_fields({"params": {**dag.params.dump(), **conf}, "ds": "2013-06-01"})
    return task


def test_a_person_chooses_nodes_and_image_of_the_job(tmp_path: Path) -> None:
    dag = made(tmp_path, ask_for=["only_nodes", "image"])
    task = rendered_submit(dag, {"only_nodes": ["train", "a([b,c])"], "image": "{{ ds }}"})
    assert (task.only_nodes, task.run_config) == ("train,a([b,c])", {"image": "{{ ds }}"})
    for empty in ({}, {"only_nodes": None, "image": ""}, {"only_nodes": [], "image": None}):
        task = rendered_submit(dag, empty)
        assert (task.only_nodes, task.run_config) == ("", {"image": ""})
        assert read_config(task).image == manifest().config.image
    own = {"image": "own:{{ ds }}", "experiment_name": "e"}
    dag = made(tmp_path, ask_for=["image"], run_config=own)
    assert rendered_submit(dag, {}).run_config == {"image": "own:2013-06-01", "experiment_name": "e"}
    assert read_config(rendered_submit(dag, {"image": "chosen:1"})).image == "chosen:1"


@pytest.mark.parametrize("wrong", ["image", ["images"], [1], [["image"]], 1])
def test_a_form_cannot_ask_for_anything_else(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"ask_for must be a list .* It can ask for 'only_nodes' and 'image'"):
        made(tmp_path, ask_for=wrong)


def test_a_parameter_of_the_project_has_no_second_meaning(tmp_path: Path) -> None:
    for name in ("image", "image.width"):
        with pytest.raises(ConfigError, match="ask_for: the project has a parameter 'image' of its own"):
            made(tmp_path, manifest(**{name: Parameter("integer", 1)}), ask_for=["image"])


def test_a_task_after_another_node_decides_for_itself_whether_to_run(tmp_path: Path) -> None:
    value = chained()
    for mode in ({"watch": "nodes"}, {"mode": "custom_job"}):
        dag = made(tmp_path, value, ask_for=["only_nodes"], **mode)
        assert {name: task.trigger_rule.value for name, task in dag.task_dict.items() if name != "submit"} == {
            "load": "all_success",
            "train": "none_failed",
        }
        plain = made(tmp_path, value, **mode)
        assert {task.trigger_rule.value for task in plain.tasks} == {"all_success"}
        rule = {"train": {"trigger_rule": "all_done"}}
        own = made(tmp_path, value, ask_for=["only_nodes"], node_arguments=rule, **mode)
        assert own.task_dict["train"].trigger_rule.value == "all_done"
