from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_kedro_vertex.core.errors import ConfigError, ManifestError, PlanError

HEAD = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_dags, kedro_vertex_task_group
"""

FACTORY = """
kedro_vertex_dags(globals(), manifest="small.manifest.json", schedule="@daily", start_date=datetime(2013, 6, 1),
                  catchup=False, max_active_runs=3, params={"run_date": "{{ ds }}", "rows": 5},
                  default_args={"retries": 2}, gcp_conn_id="other", region="us-central1", poll_interval=7)
"""


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
    assert wait.job == "{{ ti.xcom_pull(task_ids='submit')['name'] }}"


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
    assert dag.task_dict["small.wait"].job == "{{ ti.xcom_pull(task_ids='small.submit')['name'] }}"
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


def test_the_serialized_dag_is_the_same_in_every_process(manifest_file: Path) -> None:
    load(manifest_file.parent, FACTORY)
    outputs = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SERIALIZE, str(manifest_file.parent / "dags.py")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }

    assert len(outputs) == 1
    lines = outputs.pop().splitlines()
    assert len(lines) == 2
    assert str(manifest_file.parent / "small.manifest.json") not in lines[0]
    assert json.loads(lines[0])["dag"]["doc_md"].startswith("Pipeline `__default__` of the Kedro project Small Project")
