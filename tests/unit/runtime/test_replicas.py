"""A node that several machines run together: they find each other, and the first one alone keeps what it makes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline
from airflow_provider_kedro_vertex.core.settings.run_config import Grouping, RunConfig
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator
from airflow_provider_kedro_vertex.runtime.process.cluster import Replica, find_replica
from tests.unit.runtime.dag_tasks import Vertex, running_vertex

CLUSTER = Path(__file__).parent / "cluster"
TOGETHER = {"replica_count": 3, "distributed": "torch"}


def cluster_manifest(**train: Any) -> Manifest:
    config = {"project_id": "demo-project", "region": "europe-west1", "image": "cluster", "root": "bucket/runs"}
    noted = "cluster.pipeline_registry.Noted"
    return Manifest(
        project=manifests.Project("Cluster", "cluster", "1.0.0"),
        env=None,
        config=RunConfig.from_dict({**config, "nodes": {"train": train}}),
        parameters={"dies": Parameter("integer", -1)},
        datasets={
            "rows": Dataset("rows", noted, "gs://bucket/rows", "remote"),
            "result": Dataset("result", noted, "gs://bucket/result", "remote"),
            "versioned": Dataset("versioned", "json.JSONDataset", "gs://bucket/versioned.json", "remote", True),
            "answer": Dataset("answer", "json.JSONDataset", "gs://bucket/answer.json", "remote"),
        },
        pipelines={
            "__default__": Pipeline(
                "__default__",
                (
                    Node("train", ("rows", "params:dies"), ("model", "result", "versioned")),
                    Node("answer", ("model", "versioned"), ("answer",)),
                ),
            )
        },
    )


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vertex]:
    folder = tmp_path_factory.mktemp("cluster")
    project = shutil.copytree(CLUSTER, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    with running_vertex("cluster", project) as running:
        yield running


class Run:
    """One DAG run of the two nodes as CustomJobs."""

    def __init__(self, folder: Path, dag_id: str, manifest: Manifest, **params: Any) -> None:
        self.notes = folder / "notes"
        self.notes.mkdir()
        path = folder / "cluster.manifest.json"
        manifests.write(manifest, path)
        with DAG(dag_id, schedule=None, params={"dies": -1, **params}) as dag:
            for group in ("train", "answer"):
                KedroVertexCustomJobOperator(
                    task_id=group,
                    group=group,
                    manifest=str(path),
                    scope_group_id="",
                    run_config={"nodes": {"__default__": {"env": {"NOTES": str(self.notes)}}}},
                )
        self.dag = dag

    def noted(self, what: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.notes.glob(f"{what}-*"))]


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_three_machines_run_a_node_and_the_first_one_saves(vertex: Vertex, tmp_path: Path, framework: str) -> None:
    run = Run(tmp_path, f"together_{framework}", cluster_manifest(replica_count=3, distributed=framework))
    (job,) = vertex.succeed(vertex.submit(run.dag.get_task("train")))
    vertex.succeed(vertex.submit(run.dag.get_task("answer")))

    assert [pool["replicaCount"] for pool in job["jobSpec"]["workerPoolSpecs"]] == ["1", "2"]
    told = run.noted("train")
    assert sorted(each["RANK"] for each in told) == ["0", "1", "2"]
    assert {(each["WORLD_SIZE"], each["LOCAL_RANK"]) for each in told} == {("3", "0")}
    assert len({(each["MASTER_ADDR"], each["MASTER_PORT"]) for each in told}) == 1
    assert Counter(each["rank"] for each in run.noted("load-rows")) == {"0": 1, "1": 1, "2": 1}
    assert run.noted("save-result") == [{"rank": "0", "data": {"made_by": 0}}]
    assert [each["rank"] for each in run.noted("confirm-rows")] == ["0"]
    # What one machine alone adds up, stored by a machine of three and taken by the next container.
    assert vertex.stored("answer.json") == {"model": {"total": 66}, "versioned": {"total": 66, "made_by": 0}}


def test_one_machine_runs_a_distributed_node_too(vertex: Vertex, tmp_path: Path) -> None:
    run = Run(tmp_path, "alone", cluster_manifest(distributed="env"))
    vertex.succeed(vertex.submit(run.dag.get_task("train")))
    assert [each["WORLD_SIZE"] for each in run.noted("train")] == ["1"]
    assert run.noted("save-result") == [{"rank": "0", "data": {"made_by": 0}}]


def test_a_machine_that_is_lost_fails_the_job_once_and_nothing_is_saved(vertex: Vertex, tmp_path: Path) -> None:
    run = Run(tmp_path, "lost", cluster_manifest(**TOGETHER), dies=2)
    (job,) = vertex.end(vertex.submit(run.dag.get_task("train")))
    assert job["state"] == "JOB_STATE_FAILED"
    assert "workerpool1-1" in job["error"]["message"]
    assert run.noted("save-result") == []
    assert run.noted("confirm-rows") == []
    assert sorted(each["RANK"] for each in run.noted("train")) in (["0", "1", "2"], ["0", "2"], ["1", "2"], ["2"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"replica_count": 3}, "replica_count is 3 for 'train', but nothing says how these machines work together"),
        ({"distributed": "torch", "replica_count": 2, "grouped": True}, "is distributed, and has 2 nodes in one"),
    ],
)
def test_machines_that_would_each_save_are_refused(
    vertex: Vertex, tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    manifest = cluster_manifest(**{name: value for name, value in settings.items() if name != "grouped"})
    if "grouped" in settings:
        manifest = replace(manifest, config=replace(manifest.config, grouping=Grouping("pipeline")))
    run = Run(tmp_path, "refused", manifest)
    with pytest.raises(ConfigError, match="KV032") as refused:
        vertex.submit(run.dag.get_task("train"))
    assert told in str(refused.value)


def spec(pool: str, index: int, **pools: list[str]) -> dict[str, str]:
    cluster = pools or {"workerpool0": ["chief:2222"], "workerpool1": ["a:2222", "b:2223"], "workerpool2": ["ps:2222"]}
    task = {"type": pool, "index": index, "trial": ""}
    return {"CLUSTER_SPEC": json.dumps({"cluster": cluster, "environment": "cloud", "task": task, "job": "{}"})}


def test_ranks_follow_the_pools() -> None:
    places = [("workerpool0", 0), ("workerpool1", 0), ("workerpool1", 1), ("workerpool2", 0)]
    found = [find_replica(spec(pool, index)) for pool, index in places]
    assert found == [Replica(rank, 4, "chief:2222") for rank in range(4)]
    assert [replica.is_chief for replica in found] == [True, False, False, False]
    assert find_replica({}) == Replica(0, 1, "")


def test_the_variables_of_a_replica() -> None:
    expected = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "chief", "MASTER_PORT": "2222"}
    assert Replica(1, 2, "chief:2222").variables("torch") == expected
    assert Replica(1, 2, "chief:2222").variables("jax") == {**expected, "JAX_COORDINATOR_ADDRESS": "chief:2222"}
    assert Replica(1, 2, "[::1]:2222").variables("env")["MASTER_ADDR"] == "::1"


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps({"cluster": {}, "task": {"type": "workerpool0", "index": 0}}),
        json.dumps({"cluster": {"workerpool0": ["a:1"]}, "task": {"type": "workerpool0", "index": 1}}),
        json.dumps({"cluster": {"workerpool0": ["a:1"]}, "task": {"type": "workerpool1", "index": 0}}),
        json.dumps({"cluster": {"workerpool0": ["a"]}, "task": {"type": "workerpool0", "index": 0}}),
        json.dumps({"cluster": {"workerpool0": [["a:1"]]}, "task": {"type": "workerpool0", "index": 0}}),
    ],
)
def test_a_cluster_that_vertex_ai_does_not_write_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="CLUSTER_SPEC"):
        find_replica({"CLUSTER_SPEC": text})
