"""The assets of the factory's tasks, and what a task that runs drops of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex import asset, kedro_vertex_dag, kedro_vertex_task_group
from airflow_provider_kedro_vertex.compat import DAG, Asset
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Node, Pipeline
from airflow_provider_kedro_vertex.lineage.assets import report
from tests.unit.conftest import small_manifest

NODES = (
    Node("make", ("raw", "params:rows"), ("table@pandas", "notes")),
    Node("report", ("table@spark", "notes"), ("result",)),
)
PLACES = {"raw": "gs://data/raw", "table@pandas": "gs://data/t", "table@spark": "gs://data/t", "result": "gs://data/x"}


pytestmark = pytest.mark.usefixtures("uri_handlers")


@pytest.fixture
def file(tmp_path: Path) -> str:
    datasets = {name: Dataset(name, "p.ParquetDataset", place, "remote") for name, place in PLACES.items()}
    value = replace(
        small_manifest(),
        datasets={**datasets, "notes": Dataset("notes", "MemoryDataset")},
        pipelines={"__default__": Pipeline("__default__", NODES)},
    )
    manifests.write(value, tmp_path / "shop.json")
    return str(tmp_path / "shop.json")


def uris(dag: DAG) -> dict[str, tuple[list[str], list[str]]]:
    """Task id to the URIs of its inlets and outlets."""
    return {
        task.task_id: ([each.uri for each in task.inlets], [each.uri for each in task.outlets]) for task in dag.tasks
    }


NODE_TASKS = {
    "make": (["gs://data/raw"], ["gs://data/t"]),
    "report": (["gs://data/t"], ["gs://data/x"]),
}


def test_what_a_task_writes_is_its_outlet_and_what_it_reads_its_inlet(file: str) -> None:
    given: dict[str, Any] = {"manifest": file, "schedule": None}
    assert uris(kedro_vertex_dag("a", mode="custom_job", **given)) == NODE_TASKS
    assert uris(kedro_vertex_dag("a", watch="nodes", **given)) == {"submit": ([], []), **NODE_TASKS}
    # What the job makes and reads itself is written.
    whole = (["gs://data/raw"], ["gs://data/t", "gs://data/x"])
    assert uris(kedro_vertex_dag("a", **given)) == {"submit": ([], []), "wait": whole}
    some = kedro_vertex_dag("a", selection={"to_nodes": ["make"]}, **given)
    assert uris(some)["wait"] == (["gs://data/raw"], ["gs://data/t"])
    with DAG("mine", schedule=None) as mine:
        kedro_vertex_task_group("group", manifest=file)
    assert uris(mine)["group.wait"] == whole


def test_assets_are_chosen_and_stand_beside_those_of_the_dags_author(file: str) -> None:
    given: dict[str, Any] = {"manifest": file, "schedule": None, "mode": "custom_job"}
    none = kedro_vertex_dag("a", assets=False, **given)
    assert [task.outlets or task.inlets for task in none.tasks] == [[], []]
    mapped = {"result": "gs://elsewhere/x", "raw": None, "notes": Asset("gs://notes/n")}
    own = {"report": {"outlets": [Asset("gs://mine/y")]}}
    found = uris(kedro_vertex_dag("a", assets=mapped, node_arguments=own, **given))
    assert found == {
        "make": ([], ["gs://data/t", "gs://notes/n"]),
        "report": (["gs://data/t", "gs://notes/n"], ["gs://mine/y", "gs://elsewhere/x"]),
    }
    with pytest.raises(ConfigError, match=r"assets: the project has no dataset 'reslut'\. Did you mean 'result'\?"):
        kedro_vertex_dag("a", assets={"reslut": None}, **given)


def test_the_asset_of_a_dataset_is_that_of_the_task(file: str) -> None:
    dag = kedro_vertex_dag("a", manifest=file, schedule=None, mode="custom_job")
    assert [asset("result", manifest=file)] == dag.task_dict["report"].outlets
    started_by = [asset("result", manifest=file)]
    assert kedro_vertex_dag("b", manifest=file, schedule=started_by, start_date=datetime(2013, 6, 1)).dag_id == "b"
    with pytest.raises(ConfigError, match="Dataset 'notes' of Small Project has no asset"):
        asset("notes", manifest=file)
    with pytest.raises(ConfigError, match=r"has no dataset .resutl.\. Did you mean .result."):
        asset("resutl", manifest=file)


class Events:
    """As Airflow's: what is asked for is there, also of an asset that has no hash, as Airflow 3.1's."""

    def __init__(self) -> None:
        self.by_uri: dict[str, Any] = {}

    def __getitem__(self, asset: Asset) -> Any:
        return self.by_uri.setdefault(asset.uri, SimpleNamespace(extra={}))


def told(dag: DAG, task_id: str, job: dict[str, Any], **more: Any) -> tuple[list[str], dict[str, Any]]:
    """The outlets that are left, and the extras of their events."""
    task = dag.task_dict[task_id]
    events = Events()
    context: Any = {"ti": SimpleNamespace(task=task), "outlet_events": events}
    report(task, context, job, None, **more)
    return [each.uri for each in task.outlets], {uri: event.extra for uri, event in events.by_uri.items()}


JOB = {
    "name": "projects/p/locations/r/pipelineJobs/j",
    "state": "PIPELINE_STATE_SUCCEEDED",
    "runtimeConfig": {"parameterValues": {"run_context": json.dumps({"run_key": "k", "save_version": "v"})}},
    "pipelineSpec": {
        "deploymentSpec": {
            "executors": {
                "exec-make": {"container": {"args": ["--pipeline", "__default__", "--node", "make"]}},
                "exec-report": {"container": {"args": ["--node", "report"]}},
            }
        }
    },
    "jobDetail": {
        "taskDetails": [
            {"taskName": "make", "parentTaskId": "1", "state": "SKIPPED"},
            {"taskName": "report", "parentTaskId": "1", "state": "SUCCEEDED"},
        ]
    },
}


def test_what_vertex_ai_took_from_its_cache_is_not_told(file: str) -> None:
    dag = kedro_vertex_dag("a", manifest=file, schedule=None)
    outlets, extras = told(dag, "wait", JOB)
    assert outlets == ["gs://data/x"]
    assert extras == {
        "gs://data/x": {"run_key": "k", "version": "v", "job": JOB["name"], "node": "report", "dataset": "result"}
    }


def test_what_was_written_before_is_not_told_again(file: str) -> None:
    dag = kedro_vertex_dag("a", manifest=file, schedule=None, watch="nodes")
    assert told(dag, "report", JOB, nothing_new=True) == ([], {})


def test_a_custom_job_tells_its_run(file: str) -> None:
    args = ["--node", "make", "--params", "{}", "--context", json.dumps({"run_key": "k", "save_version": "v"})]
    job = {
        "name": "projects/p/locations/r/customJobs/1",
        "state": "JOB_STATE_SUCCEEDED",
        "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"args": args}}]},
    }
    dag = kedro_vertex_dag("a", manifest=file, schedule=None, mode="custom_job")
    outlets, extras = told(dag, "make", job)
    assert outlets == ["gs://data/t"]
    assert extras["gs://data/t"]["run_key"] == "k"
    assert extras["gs://data/t"]["dataset"] == "table@pandas"
