"""The files that kedro-vertexai's documents show: they load as they stand, and what cannot work is said once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.checks.findings import Finding
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(value):
    return value

def register_pipelines():
    return {"__default__": pipeline([
        node(copy, "raw", "train_x", name="data_import_step"),
        node(copy, "train_x", "train_y", name="model_training"),
        node(copy, "train_y", "regressor", name="tensorflow_step"),
    ])}
"""

VERTEXAI = """
project_id: shop-project
region: europe-west1
run_config:
  image: eu.gcr.test/shop-project/shop:${commit_id}
  image_pull_policy: IfNotPresent
  root: bucket_name/suffix
  experiment_name: MyShop
  scheduled_run_name: MyShopRun
  run_name: shop-${run_id}
  ttl: 604800
  resources:
    data_import_step:
      memory: 2Gi
    model_training:
      cpu: 8
      memory: 1Gi
    tensorflow_step:
      nvidia.com/gpu: 1
    __default__:
      cpu: 200m
      memory: 64Mi
  dynamic_config_providers: []
"""

CATALOG = """
raw:
  type: pandas.CSVDataset
  filepath: gs://<bucket>/raw.csv
train_x:
  type: pandas.CSVDataset
  filepath: gs://<bucket>/shop/${run_id}/05_model_input/train_x.csv
train_y:
  type: pandas.CSVDataset
  filepath: gs://<bucket>/shop/${run_id}/05_model_input/train_y.csv
regressor:
  type: pickle.PickleDataset
  filepath: gs://<bucket>/shop/${run_id}/06_models/regressor.pickle
  versioned: true
"""

FILES = {
    "src/{package}/pipeline_registry.py": REGISTRY,
    "conf/base/vertexai.yaml": VERTEXAI,
    "conf/base/catalog.yml": CATALOG,
}


def loaded(project: Path) -> Manifest:
    with pytest.warns(ConfigWarning) as caught:
        manifest = inspect_project(project)
    assert sorted(str(item.message).split(" is ignored")[0].split(": ")[1] for item in caught) == [
        "run_config.image_pull_policy",
        "run_config.run_name",
    ]
    return manifest


def test_the_sample_loads(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDRO_CONFIG_COMMIT_ID", "c0ffee")
    manifest = loaded(make_project(FILES))
    assert manifest.config.image == "eu.gcr.test/shop-project/shop:c0ffee"
    assert manifest.config.nodes["__default__"].env == {"KEDRO_CONFIG_COMMIT_ID": "c0ffee"}
    assert {name: (dataset.scope, dataset.location) for name, dataset in manifest.datasets.items()} == {
        "raw": ("remote", "gs://<bucket>/raw.csv"),
        "train_x": ("remote", "gs://<bucket>/shop/<run_id>/05_model_input/train_x.csv"),
        "train_y": ("remote", "gs://<bucket>/shop/<run_id>/05_model_input/train_y.csv"),
        "regressor": ("remote", "gs://<bucket>/shop/<run_id>/06_models/regressor.pickle"),
    }


def test_a_gpu_without_its_type_is_one_finding(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, vertex: Vertex
) -> None:
    monkeypatch.setenv("KEDRO_CONFIG_COMMIT_ID", "c0ffee")
    done = vertex(make_project(FILES), "check", "--format", "json")
    findings = [Finding(**{key: item[key] for key in ("code", "level", "message", "fix")}) for item in
                json.loads(done.stdout)["findings"]]  # fmt: skip
    (finding,) = [each for each in findings if each.level == "error"]
    assert "'tensorflow_step' asks for 1 gpu but names no accelerator_type" in finding.message
    assert "resources.<node>.accelerator_type" in finding.fix
    assert done.exit_code == 1


def test_a_variable_that_is_not_set_is_one_finding(make_project: MakeProject, vertex: Vertex) -> None:
    done = vertex(make_project(FILES), "check", "--format", "json")
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["message"].startswith("conf/base/vertexai.yaml, line 5: run_config.image cannot be resolved: ")
    assert finding["message"].endswith("If it stands for an environment variable, set KEDRO_CONFIG_COMMIT_ID.")


def test_settings_at_the_top_of_the_file_are_told_their_place(make_project: MakeProject, vertex: Vertex) -> None:
    """As the documents' sample stands on some of its pages."""
    text = "project_id: p\nregion: r\nrun_config:\n  image: i:1\nroot: bucket/x\nresources: {__default__: {cpu: 1}}\n"
    done = vertex(make_project({**FILES, "conf/base/vertexai.yaml": text}), "check")
    assert done.exit_code == 1
    for line, key in ((5, "root"), (6, "resources")):
        assert f"line {line}: unknown key {key}. It belongs into run_config." in done.stderr


def test_the_catalog_of_old_documents_is_told_in_a_line(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, vertex: Vertex
) -> None:
    """Class names of before kedro-datasets 2.0, a layer, and two names for one file, as the documents have them."""
    monkeypatch.setenv("KEDRO_CONFIG_COMMIT_ID", "c0ffee")
    names = ("X_train", "y_train", "X_test", "y_test")
    pipelines = ("active", "candidate")
    registry = """
from kedro.pipeline import node, pipeline

def split(*values):
    return values

def register_pipelines():
    made = pipeline([
        node(split, "companies", ["X_train", "y_train", "X_test", "y_test"], name="split"),
        node(split, ["X_train", "y_train"], "regressor", name="train"),
    ])
    return {"__default__": sum((pipeline(made, namespace=name, inputs="companies") for name in ("active", "candidate")),
                               start=pipeline([]))}
"""
    entries = "companies: {type: pandas.CSVDataSet, filepath: gs://STAGING/companies.csv, layer: raw}\n" + "".join(
        f"{pipeline}.{name}:\n  type: pickle.PickleDataSet\n"
        f"  filepath: gs://STAGING/${{run_id}}/05_model_input/{name}.pickle\n  layer: model_input\n"
        for pipeline in pipelines
        for name in names
    )
    files = {**FILES, "src/{package}/pipeline_registry.py": registry, "conf/base/catalog.yml": entries}
    settings = VERTEXAI.replace("nvidia.com/gpu: 1", "cpu: 1")
    done = vertex(make_project({**files, "conf/base/vertexai.yaml": settings}), "check")
    told = [line for line in done.stderr.splitlines() if line.startswith("KV0")]
    (old,) = [line for line in told if line.startswith("KV030")]
    assert "9 datasets have class names of before kedro-datasets 2.0: " in old
    assert (
        "Write Dataset where they say DataSet, and metadata: {kedro-viz: {layer: raw}} in place of layer: raw." in old
    )
    one_file = [line for line in told if line.startswith("KV029")]
    assert [f"{name}.pickle" in line for name, line in zip(sorted(names), sorted(one_file), strict=True)] == [True] * 4
