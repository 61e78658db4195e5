"""Tasks of one DAG run that run a pipeline side by side: none takes what another one made, unless it is to."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_kedro_vertex import kedro_vertex_task_group
from airflow_provider_kedro_vertex.compat import DAG, TaskGroup
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError
from airflow_provider_kedro_vertex.core.jobs.states import is_over, succeeded
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.hooks import KedroVertexHook
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.task.run import rendered
from airflow_provider_kedro_vertex.vertex.submission import submit_job
from tests.storage import storage_emulator, storage_variables

COUNTRIES = Path(__file__).parent / "countries"
MOMENT = datetime(2024, 1, 1, tzinfo=timezone.utc)
PARENT = "projects/demo-project/locations/europe-west1"


class Vertex:
    """Vertex AI and Cloud Storage, and what Airflow does with a task until its job is there."""

    def __init__(self, emulator: VertexEmulator, storage: str, manifest: str) -> None:
        self.manifest = manifest
        self._emulator = emulator
        self._storage = storage

    def submit(self, task: Any, run_id: str = "manual", map_index: int = -1, conf: Any = None) -> str:
        """Submit a task's job, and return its name."""
        # What is read of it; the rest takes a database.
        context: Any = {
            "ti": SimpleNamespace(
                dag_id=task.dag.dag_id,
                run_id=run_id,
                task_id=task.task_id,
                map_index=map_index,
                try_number=1,
                max_tries=0,
            ),
            "dag": task.dag,
            "dag_run": SimpleNamespace(conf=conf, start_date=MOMENT, run_after=MOMENT),
            "params": task.params.dump(),
            "logical_date": MOMENT,
        }
        task = rendered(task, context)
        if isinstance(task, KedroVertexCustomJobOperator):
            task.pre_execute(context)
        asked = task.submission(context)
        made = submit_job(asked.client, asked.request.collection, asked.task, asked.request.body)
        assert made.created
        return str(made.job["name"])

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self._emulator.url}/v1/{name}", timeout=30).json()
        return found

    def end(self, *names: str) -> list[dict[str, Any]]:
        """Wait until all of these jobs have ended."""
        jobs = []
        for name in names:
            deadline = time.monotonic() + 240
            while not is_over((job := self.job(name))["state"]):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            jobs.append(job)
        return jobs

    def succeed(self, *names: str) -> list[dict[str, Any]]:
        jobs = self.end(*names)
        assert all(succeeded(job["state"]) for job in jobs), [job.get("error") for job in jobs]
        return jobs

    def answer(self, country: str) -> dict[str, Any]:
        """What the pipeline has made for a country."""
        path = quote(f"answers/{country}.json", safe="")
        answer = requests.get(f"{self._storage}/storage/v1/b/bucket/o/{path}?alt=media", timeout=30)
        found: dict[str, Any] = answer.json()
        return found


def context_of(job: dict[str, Any]) -> dict[str, Any]:
    """The run context that a job's containers got."""
    if "/customJobs/" in job["name"]:
        arguments = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"]
        text = arguments[arguments.index("--context") + 1]
    else:
        text = job["runtimeConfig"]["parameterValues"]["run_context"]
    found: dict[str, Any] = json.loads(text)
    return found


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
        parameters={"country": "nobody"},
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
    manifest = folder / "countries.manifest.json"
    manifests.write(countries_manifest(), manifest)
    with storage_emulator("bucket") as storage:
        variables = {**storage_variables(storage), "PYTHONWARNINGS": "ignore"}
        with VertexEmulator({"countries": project}, env=variables) as emulator, pytest.MonkeyPatch.context() as patch:
            extra = {"is_anonymous": True, "api_endpoint": emulator.url, "logging_endpoint": emulator.url}
            connection = {"conn_type": "google_cloud_platform", "extra": {**extra, "storage_endpoint": storage}}
            patch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
            yield Vertex(emulator, storage, str(manifest))


def test_the_nodes_of_two_task_groups_take_turns_and_take_their_own_data(vertex: Vertex) -> None:
    with DAG("country_groups", schedule=None) as dag:
        for country in ("de", "fr"):
            kedro_vertex_task_group(
                f"country_{country}", manifest=vertex.manifest, params={"country": country}, mode="custom_job"
            )
    jobs = []
    for nodes in (["load"], ["clean", "total"], ["report"]):
        tasks = [dag.get_task(f"country_{country}.{node}") for node in nodes for country in ("de", "fr")]
        jobs += vertex.succeed(*map(vertex.submit, tasks))

    assert [vertex.answer(country) for country in ("de", "fr")] == [expected("de"), expected("fr")]
    keys = {(context["data_scope"], context["run_key"]) for context in map(context_of, jobs)}
    assert sorted(title for title, _ in keys) == ["country_de", "country_fr"]
    assert len({job["labels"]["airflow-dag-run-key"] for job in jobs}) == 1
    assert {job["labels"]["airflow-run-key"] for job in jobs} == {key for _, key in keys}


def test_operators_side_by_side_take_their_own_data(vertex: Vertex) -> None:
    with DAG("operators", schedule=None, params={"country": "nobody"}) as dag:
        for country in ("es", "pt", "it"):
            given = {"params": {"country": country}} if country == "es" else {"runtime_params": {"country": country}}
            KedroVertexPipelineOperator(task_id=f"run_{country}", manifest=vertex.manifest, **given)
    jobs = vertex.succeed(*map(vertex.submit, dag.tasks))

    assert [vertex.answer(country) for country in ("es", "pt", "it")] == list(map(expected, ("es", "pt", "it")))
    contexts = [context_of(job) for job in jobs]
    assert len({context["run_key"] for context in contexts}) == 3
    assert len({context["save_version"] for context in contexts}) == 3


def test_operators_with_one_data_scope_go_on_with_each_others_data(vertex: Vertex) -> None:
    def make_and_use(country: str, making: dict[str, Any], using: dict[str, Any], scope: str) -> None:
        with DAG(f"shares_{country}", schedule=None):
            given: dict[str, Any] = {"manifest": vertex.manifest, "data_scope": scope, "params": {"country": country}}
            make = KedroVertexPipelineOperator(task_id="make", **making, **given)
            use = KedroVertexPipelineOperator(task_id="use", **using, **given)
            make >> use
        contexts = [context_of(job) for task in (make, use) for job in vertex.succeed(vertex.submit(task))]
        assert vertex.answer(country) == expected(country)
        assert len({context["run_key"] for context in contexts}) == 1
        assert not any("data_scope" in context for context in contexts)  # there is only one in this DAG

    slices = ({"selection": {"to_nodes": ["clean", "total"]}}, {"selection": {"node_names": ["report"]}})
    make_and_use("pl", *slices, scope="both")
    # Of another pipeline, and in one container, which then stores what no other container of its own pipeline takes.
    grouped = {"pipeline": "make", "run_config": {"grouping": "pipeline"}}
    make_and_use("cz", grouped, {"pipeline": "use"}, scope="{{ dag.dag_id }}")


def test_without_a_data_scope_nobody_is_there_to_make_the_data(vertex: Vertex) -> None:
    with DAG("alone", schedule=None) as dag:
        given: dict[str, Any] = {"manifest": vertex.manifest}
        KedroVertexPipelineOperator(task_id="slice", selection={"node_names": ["report"]}, **given)
        KedroVertexPipelineOperator(task_id="pipeline", pipeline="use", **given)
        KedroVertexPipelineOperator(task_id="empty", data_scope="{{ params.get('nothing', '') }}", **given)

    with pytest.raises(PlanError, match="needs dataset 'cleaned'"):
        vertex.submit(dag.get_task("slice"))
    with pytest.raises(ConfigError, match="KV003"):
        vertex.submit(dag.get_task("pipeline"))
    with pytest.raises(ConfigError, match="Task 'empty': data_scope is empty"):
        vertex.submit(dag.get_task("empty"))


def test_what_the_other_task_did_not_store_is_named(vertex: Vertex) -> None:
    with DAG("nothing_there", schedule=None):
        task = KedroVertexPipelineOperator(
            task_id="use", manifest=vertex.manifest, pipeline="use", data_scope="both", params={"country": "dk"}
        )
    (job,) = vertex.end(vertex.submit(task))

    assert not succeeded(job["state"])
    log = KedroVertexHook().client("demo-project", "europe-west1").log_entries('resource.type="ml_job"', 1000)
    said = json.dumps([entry.get("jsonPayload") for entry in log])
    assert "a task with the same data_scope should have saved it to" in said
    assert "nothing-there-manual-" in said


def test_each_instance_of_a_mapped_task_group_has_its_own_data(vertex: Vertex) -> None:
    with DAG("mapped_groups", schedule=None) as dag, TaskGroup("each"):
        kedro_vertex_task_group(
            "report", manifest=vertex.manifest, mode="custom_job", params={"country": "{{ ti.map_index }}"}
        )
    jobs = []
    for nodes in (["load"], ["clean", "total"], ["report"]):
        tasks = [dag.get_task(f"each.report.{node}") for node in nodes]
        jobs += vertex.succeed(*(vertex.submit(task, map_index=index) for index in (0, 1, 2) for task in tasks))

    answers = [vertex.answer(str(index)) for index in (0, 1, 2)]
    assert [(answer["asked"], answer["got"], answer["totals"]) for answer in answers] == [(n,) * 3 for n in "012"]
    assert {context_of(job)["data_scope"] for job in jobs} == {f"each.report[{index}]" for index in (0, 1, 2)}
