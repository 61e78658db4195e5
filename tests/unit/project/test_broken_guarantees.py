"""What kedro-vertexai's documents promise and its code does not do, as far as the project's side is concerned.

(That dynamic configuration is merged, and the documents' OAuth class, are the containers' matter: tests/unit/runtime.)
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.jobs.parameters import to_json
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Parameter
from airflow_provider_kedro_vertex.project.cli.parameters import parse_params
from airflow_provider_kedro_vertex.project.inspect import inspect_project

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values

def register_pipelines():
    return {
        "__default__": pipeline([
            node(copy, "raw", "clean", name="data_import_step"),
            node(copy, "clean", "model", name="tensorflow_step"),
        ]),
        "notify_via_slack": pipeline([node(copy, "params:run_outcome", "sent", name="send")]),
    }
"""
# The documents' sample in its parts: underscored names, Kubernetes' own name of a GPU, an exit pipeline, a ttl.
VERTEXAI = """
project_id: shop-project
region: europe-west1
run_config:
  image: r.test/shop:1
  root: bucket_name/gcs_suffix
  experiment_name: MyExperiment
  ttl: 604800
  on_exit_pipeline: notify_via_slack
  resources:
    data_import_step: {memory: 2Gi}
    tensorflow_step: {nvidia.com/gpu: 1, accelerator_type: NVIDIA_TESLA_T4}
    __default__: {cpu: 200m, memory: 64Mi}
"""
FILES = {
    "src/{package}/pipeline_registry.py": REGISTRY,
    "conf/base/vertexai.yml": VERTEXAI,
    "conf/base/catalog.yml": "raw: {type: pandas.CSVDataset, filepath: gs://shop/raw.csv}\n",
    "conf/base/parameters.yml": "run_outcome: null\nname: x\n",
}


def documented(make_project: MakeProject) -> Manifest:
    return inspect_project(make_project(FILES))


def test_the_exit_pipeline_runs_last_whatever_became_of_the_others(make_project: MakeProject) -> None:
    plan = build_plan(documented(make_project))
    assert plan.exit_group is not None
    assert plan.exit_group.nodes == ("send",)
    tasks = pipeline_spec(plan)["root"]["dag"]["tasks"].values()
    (last,) = [task for task in tasks if task.get("triggerPolicy")]
    assert last["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert last["dependentTasks"]


def test_the_ttl_reaches_airflow_which_cleans_up(make_project: MakeProject) -> None:
    assert documented(make_project).config.ttl == 604800


def test_kubernetes_name_of_a_gpu_asks_for_one(make_project: MakeProject) -> None:
    spec = pipeline_spec(build_plan(documented(make_project)))
    containers = {name: item["container"] for name, item in spec["deploymentSpec"]["executors"].items()}
    (resources,) = [item["resources"] for name, item in containers.items() if "tensorflow" in name]
    assert resources["accelerator"]["count"] == "1"
    assert resources["accelerator"]["type"] == "NVIDIA_TESLA_T4"


def test_a_nodes_own_name_selects_its_resources(make_project: MakeProject) -> None:
    by_name = {group.name: group.resources for group in build_plan(documented(make_project)).groups}
    assert (by_name["data_import_step"].memory, by_name["data_import_step"].cpu) == ("2Gi", "200m")
    assert by_name["tensorflow_step"].memory == "64Mi"


def test_schedule_schedules(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project(FILES)
    assert vertex(project, "schedule", "-c", "0 0 4 * * *").exit_code == 0
    file = ast.parse((project / "dags" / f"{project.name}.py").read_text())
    assert "0 4 * * *" in [item.value for item in ast.walk(file) if isinstance(item, ast.Constant)]


def test_the_workflow_on_merge_is_written(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project({key: text for key, text in FILES.items() if "vertexai" not in key})
    assert vertex(project, "init", "shop-project", "europe-west1", "--with-github-actions").exit_code == 0
    workflow = yaml.safe_load((project / ".github/workflows/kedro-vertex-on-merge.yml").read_text())
    assert workflow[True]["push"]["branches"] == ["main", "master"]  # YAML takes the word "on" for true


def test_what_init_writes_is_valid(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project({key: text for key, text in FILES.items() if "vertexai" not in key})
    assert vertex(project, "init", "shop-project", "europe-west1").exit_code == 0
    assert vertex(project, "check", "--strict").exit_code == 0


@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_parameter_may_be_any_text(value: str) -> None:
    """Quotes, newlines, dollars: the value reaches the container as it is, since no shell reads it."""
    given = parse_params([f"name={value}"], {"name": Parameter("string", "x")})
    assert json.loads(to_json(given)) == {"name": value}
