"""What a task notes for OpenLineage, and what OpenLineage's provider is given when it asks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex import kedro_vertex_dag
from airflow_provider_kedro_vertex.compat import DAG, Asset
from airflow_provider_kedro_vertex.core.errors import UnavailableError
from airflow_provider_kedro_vertex.core.jobs.outcome import tasks
from airflow_provider_kedro_vertex.core.jobs.saved import Saved, to_line
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.task import lineage
from tests.unit.conftest import small_manifest
from tests.unit.test_assets import JOB, NODES, PLACES

REPOSITORY = "https://git.test/org/shop"


def shop(**settings: Any) -> Manifest:
    datasets = {name: Dataset(name, "p.ParquetDataset", place, "remote") for name, place in PLACES.items()}
    return replace(
        small_manifest(),
        config=small_manifest().config.overridden({"on_exit_pipeline": "tidy", **settings}),
        datasets={**datasets, "notes": Dataset("notes", "MemoryDataset")},
        pipelines={
            "__default__": Pipeline("__default__", NODES),
            "tidy": Pipeline("tidy", (Node("make", ("result",), ("told",)),)),
        },
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    manifests.write(shop(), tmp_path / "shop.json")
    return str(tmp_path / "shop.json")


class Hook:
    """Reaches a Vertex AI that has some lines of log, or none that answers."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self.lines = lines
        self.filters: list[str] = []

    def job_url(self, name: str) -> str:
        return f"https://console.test/{name}"

    def client_of(self, name: str) -> Hook:
        return self

    def log_entries(self, filter: str, limit: int, deadline: float) -> list[dict[str, Any]]:
        self.filters.append(filter)
        if self.lines is None:
            raise UnavailableError("Cloud Logging is away.")
        return [{"jsonPayload": {"message": line}} for line in self.lines]


def done(*states: str) -> dict[str, Any]:
    details = [
        {
            "taskName": name,
            "parentTaskId": "1",
            "state": state,
            "executorDetail": {"containerDetail": {"mainJob": f"projects/p/locations/r/customJobs/{number}"}},
        }
        for number, (name, state) in enumerate(zip(("make", "report"), states, strict=True))
    ]
    return {**JOB, "jobDetail": {"taskDetails": details}, "labels": {"kedro-commit": "0123abc"}}


def noted(task: Any, job: Any, hook: Any, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Any:
    """What OpenLineage's own extractor gets of a task that noted a job."""
    base = pytest.importorskip("airflow.providers.openlineage.extractors.base", reason="the provider is not installed")
    monkeypatch.setattr(lineage, "has_listeners", lambda: True)
    context: Any = {"ti": SimpleNamespace(task=task)}
    find = more.pop("find_nodes", partial(task.task_nodes, context))
    lineage.note(context, task.log, hook, job, find, tasks(job), **more)
    return base.DefaultExtractor(task).extract_on_complete(SimpleNamespace(state="success"))


def names(datasets: list[Any]) -> list[str]:
    return [f"{dataset.namespace}/{dataset.name}" for dataset in datasets]


#: Of a task without templates, whose job is made of the present manifest.
CONTEXT: Any = {}


def operator(file: str, **more: Any) -> KedroVertexPipelineOperator:
    return KedroVertexPipelineOperator(task_id="run", manifest=file, dag=DAG("alone", schedule=None), **more)


def test_what_vertex_ai_took_from_its_cache_was_read_and_not_written(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = noted(operator(file, exit_handler=False), done("SKIPPED", "SUCCEEDED"), Hook(), monkeypatch, wrote=True)
    assert (names(told.inputs), names(told.outputs)) == (["gs://data/t"], ["gs://data/x"])
    whole = noted(operator(file, exit_handler=False), done("SUCCEEDED", "SUCCEEDED"), Hook(), monkeypatch, wrote=True)
    assert (names(whole.inputs), names(whole.outputs)) == (["gs://data/raw"], ["gs://data/t", "gs://data/x"])


def test_a_slice_a_group_and_the_pipeline_that_runs_last_tell_of_their_own_nodes(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = operator(file, selection={"to_nodes": ["make"]}, exit_handler=False)
    assert [node.name for node in some.task_nodes(CONTEXT).nodes] == ["make"]
    whole = operator(file).task_nodes(CONTEXT)
    assert ([node.name for node in whole.nodes], whole.pipeline) == (["make", "report", "make"], "__default__")
    assert whole.nodes[0] != whole.nodes[2]
    last = KedroVertexCustomJobOperator(task_id="last", group="on-exit", manifest=file, dag=DAG("a", schedule=None))
    assert [(node.name, node.inputs) for node in last.task_nodes(CONTEXT).nodes] == [("make", ("result",))]
    assert last.task_nodes(CONTEXT).pipeline == "tidy"
    dag = kedro_vertex_dag("a", manifest=file, schedule=None, watch="nodes")
    assert [node.name for node in dag.task_dict["submit"].task_nodes(CONTEXT, "report").nodes] == ["report"]


def test_a_job_that_has_not_ended_has_read_and_written_nothing(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {**done("RUNNING", ""), "state": "PIPELINE_STATE_RUNNING"}
    told = noted(operator(file), job, Hook(), monkeypatch, read=False, wrote=False)
    assert (told.inputs, told.outputs) == ([], [])
    assert told.run_facets["kedroVertex_job"].state == "RUNNING"
    assert told.run_facets["kedroVertex_job"].failureClass is None


def test_columns_and_rows_are_read_only_where_that_is_asked_for(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = to_line({"result": Saved(5, (("a", "int64"),)), "unknown": Saved(1)})
    hook = Hook(["noise", line])
    job = done("SKIPPED", "SUCCEEDED")
    told = noted(operator(file), job, hook, monkeypatch, wrote=True)
    assert (told.outputs[0].facets, told.outputs[0].outputFacets, hook.filters) == ({}, {}, [])
    assert told.job_facets == {}

    manifests.write(shop(lineage={"report_data": True, "repository": REPOSITORY}), tmp_path / "asking.json")
    asking = operator(str(tmp_path / "asking.json"), exit_handler=False)
    told = noted(asking, job, hook, monkeypatch, wrote=True)
    assert told.outputs[0].outputFacets["outputStatistics"].rowCount == 5
    assert [field.name for field in told.outputs[0].facets["schema"].fields] == ["a"]
    assert told.job_facets["sourceCodeLocation"].version == "0123abc"
    assert len(hook.filters) == 1
    assert 'job_id="0" OR resource.labels.job_id="1"' in hook.filters[0]
    assert noted(asking, job, hook, monkeypatch, wrote=False).outputs == []
    assert len(hook.filters) == 1

    away = noted(asking, job, Hook(None), monkeypatch, wrote=True)
    assert (names(away.outputs), away.outputs[0].facets) == (["gs://data/x"], {})


def test_a_task_succeeds_whatever_is_wrong_with_what_openlineage_is_told(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = operator(file)

    def fail() -> Any:
        raise RuntimeError("no nodes")

    told = noted(task, done("SUCCEEDED", "SUCCEEDED"), Hook(), monkeypatch, wrote=True, find_nodes=fail)
    assert (told.inputs, told.outputs, told.run_facets) == ([], [], {})


def test_nothing_is_noted_where_nobody_listens(file: str) -> None:
    task = operator(file)
    context: Any = {"ti": SimpleNamespace(task=task)}
    lineage.note(context, task.log, Hook(), JOB, pytest.fail, [], wrote=True)  # type: ignore[arg-type]
    assert "noted" not in vars(task)


def test_a_failed_task_that_knows_no_data_has_not_written_its_outlets(file: str) -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="the provider is not installed")
    own = {"report": {"outlets": [Asset("gs://mine/y")]}}
    dag = kedro_vertex_dag("a", manifest=file, schedule=None, mode="custom_job", node_arguments=own)
    task = dag.task_dict["report"]
    assert task.get_openlineage_facets_on_failure(None).outputs == []
    assert [each.uri for each in task.outlets] == ["gs://mine/y"]


def test_names_of_the_factory_and_of_an_operator_have_the_values_of_all_runs(tmp_path: Path) -> None:
    placed = replace(
        shop(),
        datasets={
            **shop().datasets,
            "result": Dataset("result", "p.D", "gs://a/x", "remote", runtime_params=("day",), pattern="gs://a/<day>"),
        },
        runtime_params={"day": False},
    )
    manifests.write(placed, tmp_path / "placed.json")
    given = {"day": "fixed", "rows": 3}
    for dag in (
        kedro_vertex_dag("a", manifest=str(tmp_path / "placed.json"), schedule=None, params=given),
        kedro_vertex_dag("b", manifest=str(tmp_path / "placed.json"), schedule=None, params=given, form=False),
    ):
        assert dict(dag.task_dict["submit"].task_nodes(CONTEXT).params) == given
    mine = DAG("mine", schedule=None, params={"day": "fixed"})
    task = KedroVertexPipelineOperator(
        task_id="run", manifest=str(tmp_path / "placed.json"), params={"rows": 3}, dag=mine
    )
    assert task.task_nodes(CONTEXT).params == given


def test_nothing_of_openlineage_is_imported_by_a_dag_file(file: str) -> None:
    code = (
        "import sys; from airflow_provider_kedro_vertex import kedro_vertex_dag; "
        f"dag = kedro_vertex_dag('a', manifest={file!r}, schedule=None, watch='nodes'); "
        "import json; print(json.dumps([name for name in sys.modules if 'openlineage' in name or 'facets' in name]))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    ours = [name for name in json.loads(done.stdout.splitlines()[-1]) if name.startswith("airflow_provider")]
    assert ours == ["airflow_provider_kedro_vertex.lineage.openlineage"]
    assert "openlineage.client" not in done.stdout
