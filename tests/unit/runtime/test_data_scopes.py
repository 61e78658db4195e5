"""Tasks of one DAG run that run a pipeline side by side: none takes what another one made, unless it is to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex import kedro_vertex_task_group
from airflow_provider_kedro_vertex.compat import DAG, TaskGroup
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError
from airflow_provider_kedro_vertex.core.jobs.states import succeeded
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from tests.unit.runtime.dag_tasks import Vertex, running_vertex

COUNTRIES = Path(__file__).parent / "countries"


def context_of(job: dict[str, Any]) -> dict[str, Any]:
    """The run context that a job's containers got."""
    if "/customJobs/" in job["name"]:
        arguments = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"]
        text = arguments[arguments.index("--context") + 1]
    else:
        text = job["runtimeConfig"]["parameterValues"]["run_context"]
    found: dict[str, Any] = json.loads(text)
    return found


def answer(vertex: Vertex, country: str) -> Any:
    """What the pipeline has made for a country."""
    return vertex.stored(f"answers/{country}.json")


def expected(country: str) -> dict[str, Any]:
    return {"asked": country, "got": country, "totals": country, "seen": ["load", "clean"]}


def countries_manifest() -> Manifest:
    making = (
        Node("load", ("params:country",), ("rows",)),
        Node("clean", ("rows",), ("cleaned",)),
        Node("total", ("rows",), ("totals",)),
    )
    using = (Node("report", ("cleaned", "totals", "params:country"), ("answer",)),)
    config = {"project_id": "demo-project", "region": "europe-west1", "image": "countries", "root": "bucket/runs"}
    return Manifest(
        project=manifests.Project("Countries", "countries", "1.0.0"),
        env=None,
        config=RunConfig.from_dict(config),
        parameters={"country": Parameter("string", "nobody")},
        datasets={
            "rows": Dataset("rows", "MemoryDataset"),
            "cleaned": Dataset("cleaned", "MemoryDataset"),
            "totals": Dataset("totals", "json.JSONDataset", "gs://bucket/totals.json", "remote", versioned=True),
            "answer": Dataset("answer", "json.JSONDataset", "gs://bucket/answers", "remote"),
        },
        pipelines={
            "__default__": Pipeline("__default__", (*making, *using)),
            "make": Pipeline("make", making),
            "use": Pipeline("use", using),
        },
    )


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vertex]:
    folder = tmp_path_factory.mktemp("countries")
    project = shutil.copytree(COUNTRIES, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    with running_vertex("countries", project) as running:
        yield running


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("dags") / "countries.manifest.json"
    manifests.write(countries_manifest(), path)
    return str(path)


def test_the_nodes_of_two_task_groups_take_turns_and_take_their_own_data(vertex: Vertex, manifest: str) -> None:
    with DAG("country_groups", schedule=None) as dag:
        for country in ("de", "fr"):
            kedro_vertex_task_group(
                f"country_{country}", manifest=manifest, params={"country": country}, mode="custom_job"
            )
    jobs = []
    for nodes in (["load"], ["clean", "total"], ["report"]):
        tasks = [dag.get_task(f"country_{country}.{node}") for node in nodes for country in ("de", "fr")]
        jobs += vertex.succeed(*map(vertex.submit, tasks))

    assert [answer(vertex, country) for country in ("de", "fr")] == [expected("de"), expected("fr")]
    keys = {(context["data_scope"], context["run_key"]) for context in map(context_of, jobs)}
    assert sorted(title for title, _ in keys) == ["country_de", "country_fr"]
    assert len({job["labels"]["airflow-dag-run-key"] for job in jobs}) == 1
    assert {job["labels"]["airflow-run-key"] for job in jobs} == {key for _, key in keys}


def test_operators_side_by_side_take_their_own_data(vertex: Vertex, manifest: str) -> None:
    with DAG("operators", schedule=None, params={"country": "nobody"}) as dag:
        for country in ("es", "pt", "it"):
            given = {"params": {"country": country}} if country == "es" else {"runtime_params": {"country": country}}
            KedroVertexPipelineOperator(task_id=f"run_{country}", manifest=manifest, **given)
    jobs = vertex.succeed(*map(vertex.submit, dag.tasks))

    assert [answer(vertex, country) for country in ("es", "pt", "it")] == list(map(expected, ("es", "pt", "it")))
    contexts = [context_of(job) for job in jobs]
    assert len({context["run_key"] for context in contexts}) == 3
    assert len({context["save_version"] for context in contexts}) == 3


def test_operators_with_one_data_scope_go_on_with_each_others_data(vertex: Vertex, manifest: str) -> None:
    def make_and_use(country: str, making: dict[str, Any], using: dict[str, Any], scope: str) -> None:
        with DAG(f"shares_{country}", schedule=None):
            given: dict[str, Any] = {"manifest": manifest, "data_scope": scope, "params": {"country": country}}
            make = KedroVertexPipelineOperator(task_id="make", **making, **given)
            use = KedroVertexPipelineOperator(task_id="use", **using, **given)
            make >> use
        contexts = [context_of(job) for task in (make, use) for job in vertex.succeed(vertex.submit(task))]
        assert answer(vertex, country) == expected(country)
        assert len({context["run_key"] for context in contexts}) == 1
        assert not any("data_scope" in context for context in contexts)  # there is only one in this DAG

    slices = ({"selection": {"to_nodes": ["clean", "total"]}}, {"selection": {"node_names": ["report"]}})
    make_and_use("pl", *slices, scope="both")
    # Of another pipeline, and in one container, which then stores what no other container of its own pipeline takes.
    grouped = {"pipeline": "make", "run_config": {"grouping": "pipeline"}}
    make_and_use("cz", grouped, {"pipeline": "use"}, scope="{{ dag.dag_id }}")


def test_without_a_data_scope_nobody_is_there_to_make_the_data(vertex: Vertex, manifest: str) -> None:
    with DAG("alone", schedule=None) as dag:
        given: dict[str, Any] = {"manifest": manifest}
        KedroVertexPipelineOperator(task_id="slice", selection={"node_names": ["report"]}, **given)
        KedroVertexPipelineOperator(task_id="pipeline", pipeline="use", **given)
        KedroVertexPipelineOperator(task_id="empty", data_scope="{{ params.get('nothing', '') }}", **given)

    with pytest.raises(PlanError, match="needs dataset 'cleaned'"):
        vertex.submit(dag.get_task("slice"))
    with pytest.raises(ConfigError, match="KV003"):
        vertex.submit(dag.get_task("pipeline"))
    with pytest.raises(ConfigError, match="Task 'empty': data_scope is empty"):
        vertex.submit(dag.get_task("empty"))


def test_what_the_other_task_did_not_store_is_named(vertex: Vertex, manifest: str) -> None:
    with DAG("nothing_there", schedule=None):
        task = KedroVertexPipelineOperator(
            task_id="use", manifest=manifest, pipeline="use", data_scope="both", params={"country": "dk"}
        )
    (job,) = vertex.end(vertex.submit(task))

    assert not succeeded(job["state"])
    said = json.dumps(vertex.log())
    assert "a task with the same data_scope should have saved it to" in said
    assert "nothing-there-manual-" in said


def test_each_instance_of_a_mapped_task_group_has_its_own_data(vertex: Vertex, manifest: str) -> None:
    with DAG("mapped_groups", schedule=None) as dag, TaskGroup("each"):
        kedro_vertex_task_group(
            "report", manifest=manifest, mode="custom_job", params={"country": "{{ ti.map_index }}"}
        )
    jobs = []
    for nodes in (["load"], ["clean", "total"], ["report"]):
        tasks = [dag.get_task(f"each.report.{node}") for node in nodes]
        jobs += vertex.succeed(*(vertex.submit(task, map_index=index) for index in (0, 1, 2) for task in tasks))

    answers = [answer(vertex, str(index)) for index in (0, 1, 2)]
    assert [(each["asked"], each["got"], each["totals"]) for each in answers] == [(n,) * 3 for n in "012"]
    assert {context_of(job)["data_scope"] for job in jobs} == {f"each.report[{index}]" for index in (0, 1, 2)}
