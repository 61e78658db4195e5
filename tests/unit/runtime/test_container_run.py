"""The container's command against a small Kedro project: what runs, what it is given, and what it stores."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from kedro.io import DataCatalog

from airflow_provider_kedro_vertex.core.jobs.parameters import MAX_LENGTH
from tests.unit.runtime.containers import Project, context


def test_groups_hand_over_what_the_catalog_does_not_declare(shop: Project) -> None:
    shop.succeed("numbers", params={"size": 4})
    assert shop.stored() == ["numbers.bin"]
    shop.succeed("double", "total")
    assert shop.stored() == ["numbers.bin"], "what stays in the group stays in memory"
    assert shop.total() == {"total": 12}
    shop.succeed("report")
    assert shop.stored() == ["numbers.bin", "report.bin"], "a result of the pipeline is kept"


def test_one_group_of_all_nodes_stores_only_the_result(shop: Project) -> None:
    shop.succeed("report", "numbers", "total", "double")
    assert shop.stored() == ["report.bin"]


@pytest.mark.skipif(
    version("kedro").startswith("1.0."), reason="Kedro 1.0 puts no pipelines together; our error says so"
)
def test_several_pipelines_are_put_together(shop: Project) -> None:
    done = shop.command("--pipeline", "look", *shop.arguments("numbers", "look"))
    assert done.code == 0, done.log
    assert shop.stored() == ["numbers.bin"], "the nodes of the other pipeline outside the group want it"
    assert shop.json("data/seen.json")["size"] == 3


def test_the_hooks_are_called_as_kedro_run_calls_them(shop: Project) -> None:
    kedro = Project(shop.path.with_name("judge"), shop.context)
    shutil.copytree(shop.path, kedro.path)
    kedro.kedro("run", "--nodes", "numbers,double,total", "--env", "prod")
    shop.succeed("numbers", "double", "total", env="prod")
    ours, theirs = ((project.path / "hooks.log").read_text() for project in (shop, kedro))
    assert ours == theirs
    assert "before node double" in ours
    assert shop.total() == {"total": 300}


def test_the_error_hooks_are_called(shop: Project) -> None:
    shop.succeed("numbers", pipeline="wrong")
    shop.run("fail", pipeline="wrong")
    hooks = (shop.path / "hooks.log").read_text()
    assert "node error fail cannot work with [0, 1, 2]\npipeline error ValueError\n" in hooks


def test_which_datasets_count_as_undeclared(shop: Project) -> None:
    kinds = ("memo", "cached", "cached_memo", "pattern_file", "hooked", "table")
    shop.succeed(*(f"make_{kind}" for kind in kinds), pipeline="kinds")
    assert shop.stored() == ["cached_memo.bin", "memo.bin", "table%40memory.bin"]
    shop.succeed(*(f"use_{kind}" for kind in kinds), pipeline="kinds")
    assert {f"{kind}_copy.bin" for kind in kinds} <= set(shop.stored())


def test_a_declared_memory_dataset_keeps_its_validator(shop: Project) -> None:
    if not hasattr(DataCatalog(), "validator_specs"):
        # Kedro has them since 1.6, and this package runs with 1.0 and newer: there is nothing to keep before.
        pytest.skip("this Kedro has no validators")
    catalog = shop.path / "conf" / "base" / "catalog.yml"
    catalog.write_text(
        catalog.read_text().replace("type: MemoryDataset\n", "type: MemoryDataset\n  validator: shop.nodes.short\n", 1)
    )
    shop.succeed("make_memo", pipeline="kinds")
    result = shop.run("make_memo", pipeline="kinds", params={"size": 100})
    assert result.code == 1
    assert "100 are too many" in result.last["error"]


def test_namespaces(shop: Project) -> None:
    shop.succeed("today.numbers", pipeline="namespaced")
    shop.succeed("today.double", pipeline="namespaced")
    assert shop.stored() == ["today.doubled.bin", "today.numbers.bin"]


def test_names_that_look_like_options(shop: Project) -> None:
    result = shop.command(*shop.arguments("--node", pipeline="dashed"), "--shared-output", "--given")
    assert result.code == 0, result.log
    assert shop.stored() == ["--given.bin"]


def test_runs_do_not_share_undeclared_datasets(shop: Project) -> None:
    shop.succeed("numbers")
    other = shop.in_run(context(shop.context.root, "run-2", day=2))
    assert other.run("double").code == 3


def test_the_environment_of_the_nodes(shop: Project) -> None:
    told = replace(shop.context, data_interval_start="2013-01-01T00:00:00+00:00", project_id="p-1", region="r-1")
    forwarded = shop.in_run(told).with_variables(KEDRO_CONFIG_COMMIT_ID="abc")
    forwarded.succeed("environment", pipeline="environment", env="prod")
    assert shop.json("data/seen.json") == {
        "AIRFLOW_CTX_DAG_ID": "shop",
        "AIRFLOW_CTX_DAG_RUN_ID": "run-1",
        "AIRFLOW_CTX_LOGICAL_DATE": "2013-01-01T00:00:00+00:00",
        "AIRFLOW_CTX_DATA_INTERVAL_START": "2013-01-01T00:00:00+00:00",
        "GCP_PROJECT_ID": "p-1",
        "GCP_REGION": "r-1",
        "KEDRO_CONFIG_COMMIT_ID": "abc",
        "KEDRO_CONFIG_RUN_ID": shop.context.run_key,
        "KEDRO_CONFIG_JOB_NAME": shop.context.job_id,
        "KEDRO_ENV": "prod",
        "DO_NOT_TRACK": "1",
        "KEDRO_DISABLE_TELEMETRY": "1",
        "argv": ["run"],
        "cwd": str(shop.path),
    }


def test_the_airflow_run_in_the_configuration(shop: Project) -> None:
    lines = ("size: 1", "day: ${airflow:logical_date}", "until: ${airflow:data_interval_end,2013-01-31}")
    parameters = shop.path / "conf" / "base" / "parameters.yml"
    parameters.write_text("\n".join((*lines, "run: ${airflow:run_id}", "")))
    log = shop.with_variables(PYTHONWARNINGS="default").succeed("look", pipeline="look").log
    day = "2013-01-01T00:00:00+00:00"
    assert shop.json("data/seen.json") == {"size": 1, "day": day, "until": "2013-01-31", "run": "run-1"}
    assert "airflow_provider_kedro_vertex" not in log, "the package must not be what a warning is about"


def test_a_catch_all_pattern_keeps_what_was_undeclared(shop: Project) -> None:
    with (shop.path / "conf" / "base" / "catalog.yml").open("a") as catalog:
        catalog.write('"{name}":\n  type: json.JSONDataset\n  filepath: data/${airflow:run_key,local}/{name}.json\n')
    for node in ("numbers", "double", "total"):
        shop.succeed(node, params={"size": 3})
    assert shop.json(f"data/{shop.context.run_key}/doubled.json") == [0, 2, 4]
    assert shop.stored() == []
    shop.kedro("run", "--nodes", "numbers", "--params", "size=2")
    assert shop.json("data/local/numbers.json") == [0, 1]


def test_the_airflow_run_in_the_configuration_of_a_laptop(shop: Project) -> None:
    parameters = shop.path / "conf" / "base" / "parameters.yml"
    parameters.write_text("size: 1\nday: ${airflow:logical_date,2013-01-31}\n")
    shop.kedro("run", "--pipeline", "look")
    assert shop.json("data/seen.json") == {"size": 1, "day": "2013-01-31"}


def test_a_part_of_the_airflow_run_that_is_not_there(shop: Project) -> None:
    parameters = shop.path / "conf" / "base" / "parameters.yml"
    parameters.write_text("size: 1\nuntil: ${airflow:data_interval_end}\n")
    result = shop.run("look", pipeline="look")
    assert result.code == 2
    assert "Give a default, ${airflow:data_interval_end,VALUE}" in result.last["error"]


def _as_file(shop: Project, text: str) -> str:
    folder = shop.path.parent / "root"
    folder.mkdir(exist_ok=True)
    path = folder / f"params-{hashlib.sha256(text.encode()).hexdigest()}.json"
    path.write_text(text)
    return f"@{path}"


def test_parameters_in_a_file(shop: Project) -> None:
    text = json.dumps({"long": "é" * 1_000_000, "size": 4})
    arguments = [*shop.arguments("look", pipeline="look"), "--params", _as_file(shop, text)]
    assert shop.command(*arguments).code == 0
    seen = shop.json("data/seen.json")
    assert (len(seen["long"]), seen["size"]) == (1_000_000, 4)


@pytest.mark.parametrize(
    ("damage", "code", "said"),
    [
        ("missing", 3, "are missing"),
        ("changed", 3, "are not those"),
        ("renamed", 2, "params-<sha256"),
        ("larger than any", 2, "more than 16,777,216 bytes"),
    ],
)
def test_parameters_in_a_file_that_is_not_right(shop: Project, damage: str, code: int, said: str) -> None:
    reference = _as_file(shop, "{}")
    path = Path(reference[1:])
    if damage == "missing":
        path.unlink()
    elif damage == "changed":
        path.write_text('{"size": 1}')
    elif damage == "larger than any":
        path.write_bytes(bytes(MAX_LENGTH + 1))
    else:
        reference = f"@{path.rename(path.with_name('params.json'))}"
    result = shop.command(*shop.arguments("look", pipeline="look"), "--params", reference)
    assert result.code == code
    assert said in result.last["error"]


def test_how_the_run_ended_is_told_to_an_exit_pipeline(shop: Project) -> None:
    message = "The DAG failed because some tasks failed. The failed tasks are: [double, total]."
    status = {"state": "FAILED", "pipelineTaskName": "exit-handler-1", "error": {"code": 9, "message": message}}
    result = shop.command(*shop.arguments("look", pipeline="look"), "--final-status", json.dumps(status))
    assert result.code == 0, result.log
    outcome = {"state": "FAILED", "failed_nodes": ["double", "total"], "errors": [message]}
    assert shop.json("data/seen.json")["run_outcome"] == outcome


def test_nodes_in_threads(shop: Project) -> None:
    arguments = [*shop.arguments("meet", "meet_too", pipeline="meeting"), "--settings", '{"runner": "thread"}']
    assert shop.command(*arguments).code == 0, "they wait for each other"
    assert shop.stored() == ["met.bin", "met_too.bin"]


WEIRD = {
    "quotes": 'it\'s "quoted" `here`',
    "lines": "one\ntwo\r\n\ttabbed",
    "shell": "$(rm -rf .) $HOME ; | & > {{$}} {{ ds }} %s",
    "unicode": "żółć 日本語 🛩 \u2028",
    "empty": "",
    "types": [1, 1.0, True, None, -0.5, 1e300, [], {}, [[1], [2.5]]],
    "number-like": ["1", "1.0", "true", "null", "2013-01-01"],
    "model": {"depth": 2.0, "deeper": {"list": [{"a": None}]}},
}


def test_parameters_of_any_kind_arrive_with_their_types(shop: Project) -> None:
    shop.succeed("look", pipeline="look", params=WEIRD)
    seen = shop.json("data/seen.json")
    merged = {**WEIRD, "model": {"depth": 2.0, "name": "tree", "weights": [1, 2], "deeper": {"list": [{"a": None}]}}}
    # As text, since 1 == 1.0 == True in Python.
    assert json.dumps(seen, sort_keys=True) == json.dumps({"size": 3, "factor": 2, **merged}, sort_keys=True)


def test_parameters_merge_as_kedro_run_merges_them(shop: Project) -> None:
    kedro = Project(shop.path.with_name("judge"), shop.context)
    shutil.copytree(shop.path, kedro.path)
    given = "size=5,factor=1.5,name=one two,flag=true,model.depth=7,model.extra.deep=x=y,model.name="
    kedro.kedro("run", "--pipeline", "look", "--params", given)
    params = {
        "size": 5,
        "factor": 1.5,
        "name": "one two",
        "flag": True,
        "model": {"depth": 7, "extra": {"deep": "x=y"}, "name": None},
    }
    shop.succeed("look", pipeline="look", params=params)
    ours, theirs = ((project.path / "data" / "seen.json").read_text() for project in (shop, kedro))
    assert json.loads(ours) == json.loads(theirs)


def test_stored_datasets_need_no_compression(shop: Project) -> None:
    plain = shop.with_variables(KEDRO_VERTEX_COMPRESSION="none")
    plain.succeed("numbers")
    shop.succeed("double")


REGISTRY = """
from kedro.framework.project import find_pipelines

def register_pipelines():
    found = find_pipelines()
    {composed}
    found["__default__"] = sum(found.values())
    return found
"""
PIPELINE = """
from pathlib import Path
from kedro.pipeline import Pipeline, node
from shop import nodes

Path("imported-{name}").touch()

def create_pipeline():
    return Pipeline([node(nodes.keep, "{source}", "{name}", name="{name}")])
"""


def _with_found_pipelines(shop: Project, composed: str = "") -> None:
    source = shop.path / "src" / "shop"
    (source / "pipeline_registry.py").write_text(REGISTRY.format(composed=composed))
    for name, upstream in (("first", "params:size"), ("second", "first")):
        folder = source / "pipelines" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(PIPELINE.format(name=name, source=upstream))


def test_only_the_pipeline_that_is_asked_for_is_loaded(shop: Project) -> None:
    framework = pytest.importorskip("kedro.framework.project")
    if not hasattr(framework.pipelines, "set_requested"):
        # Kedro can load one alone since 1.5; for older ones the other tests show that loading all works.
        pytest.skip("this Kedro always loads every pipeline")
    _with_found_pipelines(shop)
    shop.succeed("first", pipeline="first")
    assert sorted(path.name for path in shop.path.glob("imported-*")) == ["imported-first"]


def test_a_registry_that_puts_pipelines_together(shop: Project) -> None:
    # Kedro 1.7 itself cannot run this one by name: alone, "both" is made of pipelines that were not loaded.
    _with_found_pipelines(shop, 'found["both"] = found["first"] + found["second"]')
    result = shop.succeed("second", "first", pipeline="both")
    assert shop.stored() == ["second.bin"]
    assert "imported" not in result.log


def test_the_project_needs_no_settings_and_no_hooks(shop: Project) -> None:
    (shop.path / "src" / "shop" / "settings.py").write_text('DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)\n')
    shop.succeed("numbers")
    assert not (shop.path / "hooks.log").exists()
    assert Path(shop.context.root).is_dir()
