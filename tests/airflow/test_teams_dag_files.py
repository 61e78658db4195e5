"""DAG files as teams write them, parsed by Airflow: wrappers, two environments, zips, names of every form."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline
from tests.unit.conftest import small_manifest

PARSE = """
import json, sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": list(bag.import_errors.values()),
                  "dags": {dag.dag_id: sorted(dag.task_dict) for dag in bag.dags.values()},
                  "files": {dag.dag_id: dag.fileloc for dag in bag.dags.values()}}))
"""

IMPORTS = (
    "from datetime import datetime\nfrom airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_dags\n"
)
ONE = IMPORTS + 'dag = kedro_vertex_dag("one", manifest="m.json", schedule=None)\n'
WRAPPER = IMPORTS + "def team_dag(name):\n    return kedro_vertex_dag(name, manifest='m.json', schedule=None)\n"


def parse(folder: Path, path: Path) -> dict[str, Any]:
    """Let Airflow parse a folder."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(path / "home"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(folder),
    }
    command = [sys.executable, "-W", "ignore", "-c", PARSE, str(folder)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def with_nodes(*names: str, pipeline: str = "__default__", namespace: str | None = None) -> Manifest:
    nodes = tuple(Node(name, (), (f"out_{at}",), (), namespace) for at, name in enumerate(names))
    datasets = {f"out_{at}": Dataset(f"out_{at}", "kedro.io.MemoryDataset") for at in range(len(names))}
    return dataclasses.replace(small_manifest(), datasets=datasets, pipelines={pipeline: Pipeline(pipeline, nodes)})


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    manifests.write(small_manifest(), folder / "m.json")
    return folder


def test_a_wrapper_in_another_module_starts_at_the_dag_file(dags: Path, tmp_path: Path) -> None:
    (dags / "common").mkdir()
    (dags / "common" / "__init__.py").write_text("")
    (dags / "common" / "factory.py").write_text(WRAPPER)
    team = dags / "team"
    team.mkdir()
    (dags / "m.json").rename(team / "m.json")
    (team / "sales.py").write_text("from common.factory import team_dag\ndag = team_dag('sales')  # airflow: DAG\n")

    found = parse(dags, tmp_path)

    assert found["errors"] == []
    # A running task reads the manifest from the folder of this file.
    assert found["files"] == {"sales": str(team / "sales.py")}


def test_two_environments_in_one_file(dags: Path, tmp_path: Path) -> None:
    both = "kedro_vertex_dags(globals(), manifest='m.json', schedule=None)\n"
    (dags / "both.py").write_text(f"{IMPORTS}{both}{both}")

    (error,) = parse(dags, tmp_path)["errors"]
    assert "This file has a DAG 'small' already" in error
    assert 'dag_id_prefix=".."' in error

    (dags / "both.py").write_text(f"{IMPORTS}{both}{both[:-2]}, dag_id_prefix='test_')\n")
    found = parse(dags, tmp_path)
    assert (found["errors"], sorted(found["dags"])) == (
        [],
        ["small", "small_first", "test_small", "test_small_first"],
    )


def test_a_packaged_dag_has_its_manifest_in_the_zip(dags: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(dags / "shop.zip", "w") as packed:
        packed.writestr("one.py", ONE)
        packed.write(dags / "m.json", "m.json")
    with zipfile.ZipFile(dags / "bare.zip", "w") as packed:
        packed.writestr("bare.py", ONE)
    (dags / "m.json").unlink()

    found = parse(dags, tmp_path)

    assert list(found["dags"]) == ["one"]
    (error,) = found["errors"]
    assert "has no manifest m.json" in error
    assert "Put it into the zip, beside the DAG file." in error


def test_names_of_every_form_become_ids(dags: Path, tmp_path: Path) -> None:
    deep = ".".join(f"a_rather_long_namespace_{level}" for level in range(11))
    manifest = with_nodes(f"{deep}.first", f"{deep}.second", namespace=deep)
    odd = {
        "Train & Eval": with_nodes("größe", "grüße", "日本語", "中文", pipeline="Train & Eval"),
        "Train/Eval": with_nodes("a, b", pipeline="Train/Eval"),
    }
    pipelines = {**manifest.pipelines, **{name: one.pipelines[name] for name, one in odd.items()}}
    datasets = {**manifest.datasets, **odd["Train & Eval"].datasets}
    manifests.write(dataclasses.replace(manifest, pipelines=pipelines, datasets=datasets), dags / "m.json")
    (dags / "all.py").write_text(
        f"{IMPORTS}kedro_vertex_dags(globals(), manifest='m.json', schedule=None, mode='custom_job')\n"
    )

    found = parse(dags, tmp_path)

    assert found["errors"] == []
    tasks = found["dags"]
    assert len(tasks) == 3
    assert sum(name.startswith("small_Train_Eval_") for name in tasks) == 2
    assert [len(ids) for ids in sorted(tasks.values(), key=len)] == [1, 2, 4]
    assert all(len(task_id) <= 250 and task_id.isascii() for ids in tasks.values() for task_id in ids)


def test_arguments_of_jobs_reach_the_jobs_and_not_the_teardown(dags: Path) -> None:
    manifests.write(small_manifest(on_exit_pipeline="first"), dags / "m.json")
    # In a process of its own, as every DAG file.
    code = (
        "import json; from airflow_provider_kedro_vertex import kedro_vertex_dag\n"
        "dag = kedro_vertex_dag('one', manifest='m.json', schedule=None, job_overrides={'displayName': 'x'},\n"
        "    labels={'team': 'sales'}, display_name='Daily', outage_timeout=60, quota_timeout=120,\n"
        "    default_args={'job_overrides': {'runtimeConfig': {}}})\n"
        "names = ('job_overrides', 'labels', 'display_name', 'outage_timeout', 'quota_timeout')\n"
        "print(json.dumps({task.task_id: {name: getattr(task, name, None) for name in names} for task in dag.tasks}))\n"
    )
    file = dags / "one.py"
    file.write_text(code)
    done = subprocess.run([sys.executable, "-W", "ignore", str(file)], check=True, capture_output=True, text=True)
    tasks = json.loads(done.stdout.splitlines()[-1])

    assert tasks["submit"] == {
        "job_overrides": {"displayName": "x"},
        "labels": {"team": "sales"},
        "display_name": "Daily",
        "outage_timeout": 900.0,  # it does not wait
        "quota_timeout": 120,
    }
    assert tasks["wait"]["outage_timeout"] == 60
    assert (tasks["on_exit"]["job_overrides"], tasks["on_exit"]["display_name"]) == (None, None)
    assert tasks["on_exit"]["labels"] == {"team": "sales"}
