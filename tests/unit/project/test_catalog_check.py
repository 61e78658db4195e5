"""What ``kedro vertex check`` finds in a catalog that a manifest does not tell: classes and their arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.project.inspect import inspect_project

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(value):
    return value

def register_pipelines():
    return {
        "load": pipeline([node(copy, "raw", "rows", name="load")]),
        "__default__": pipeline([node(copy, "raw", "rows", name="load"), node(copy, "rows", "model", name="train")]),
    }
"""
SETTINGS = """
project_id: shop-project
region: europe-west1
run_config: {image: "r.test/shop:1", root: shop}
"""
FILES = {"src/{package}/pipeline_registry.py": REGISTRY, "conf/base/vertexai.yml": SETTINGS}
PATH = "filepath: gs://shop/rows.csv"


@pytest.mark.parametrize(
    ("entry", "deep", "said"),
    [
        (f"{{type: pandas.CSVDataset, {PATH}, versioned: true, metadata: {{kedro-viz: {{layer: raw}}}}}}", True, None),
        (f"{{type: pandas.CSVDataset, {PATH}, credentials: store, load_args: {{sep: x}}}}", True, None),
        (
            f"{{type: pandas.CSVDataSet, {PATH}}}",
            False,
            "error: Dataset 'rows': pandas.CSVDataSet is the name that the class had before kedro-datasets 2.0. "
            "Write pandas.CSVDataset.",
        ),
        (
            f"{{type: pandas.CSVDataSet, {PATH}, layer: raw}}",
            False,
            "Write pandas.CSVDataset, and metadata: {kedro-viz: {layer: raw}} in place of the layer.",
        ),
        (f"{{type: pandas.CSVDataset, {PATH}, layer: raw}}", False, "Write metadata: {kedro-viz: {layer: raw}}"),
        (f"{{type: CachedDataset, dataset: {{type: pandas.CSVDataSet, {PATH}}}}}", False, "Write pandas.CSVDataset."),
        (f"{{type: shop_of_ours.RowsDataSet, {PATH}, layer: raw}}", False, None),
        (f"{{type: shop_of_ours.RowsDataset, {PATH}}}", True, "there is no class shop_of_ours.RowsDataset here."),
        (f"{{type: pandas.CSVDatset, {PATH}}}", False, None),
        (f"{{type: pandas.CSVDatset, {PATH}}}", True, "Did you mean 'pandas.CSVDataset'?"),
        (
            "{type: pandas.CSVDataset, filepaht: gs://shop/rows.csv}",
            True,
            "pandas.CSVDataset does not take these arguments: missing a required argument: 'filepath'. "
            "Did you mean 'filepath'?",
        ),
        (f"{{type: pandas.CSVDataset, {PATH}, sep: x}}", True, "got an unexpected keyword argument 'sep'"),
        ("{type: partitions.PartitionedDataset, path: gs://shop/p, dataset: pandas.CSVDataset}", True, None),
        ("{type: partitions.PartitionedDataset, path: gs://shop/p, dataset: {type: pandas.CSVDataset}}", True, None),
        ("{type: partitions.PartitionedDataset, path: gs://shop/p, dataset: pandas.CSVDataSet}", False, "CSVDataset."),
        (f"{{type: CachedDataset, dataset: {{type: pandas.CSVDataset, {PATH}}}}}", True, None),
    ],
)
def test_entries_against_their_classes(
    make_project: MakeProject, vertex: Vertex, entry: str, deep: bool, said: str | None
) -> None:
    catalog = f"raw: {{type: MemoryDataset, data: 1}}\nrows: {entry}\nunused: {{type: pandas.CSVDataSet}}\n"
    project = make_project({**FILES, "conf/base/catalog.yml": catalog})
    done = vertex(project, "check", *(["--deep"] if deep else []))
    if said is None:
        assert (done.exit_code, done.stderr) == (0, "")
    else:
        assert done.exit_code == 1
        (line,) = done.stderr.splitlines()[:-1]
        assert line.startswith("KV030 error: Dataset 'rows'")
        assert said in line.replace("required keyword-only argument", "required argument")  # as Python 3.13 says it


def test_a_finding_has_nodes_and_pipelines(make_project: MakeProject, vertex: Vertex) -> None:
    files = {**FILES, "conf/base/catalog.yml": "rows: {type: pandas.CSVDataSet, filepath: gs://shop/rows.csv}\n"}
    found = json.loads(vertex(make_project(files), "check", "--format", "json").stdout)["findings"]
    (finding,) = (each for each in found if each["code"] == "KV030")
    assert (finding["dataset"], finding["nodes"], finding["pipelines"]) == (
        "rows",
        ["load", "train"],
        ["__default__", "load"],
    )


HOOKED = """
from kedro.framework.hooks import hook_impl

class AddRates:
    @hook_impl
    def after_catalog_created(self, catalog):
        raise AssertionError("no hook is called")

class Clock:
    @hook_impl
    def after_context_created(self, context):
        raise AssertionError("no hook is called")

HOOKS = (Clock(), AddRates())
"""


def test_hooks_that_may_add_datasets_are_in_the_manifest(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project({**FILES, "src/{package}/settings.py": HOOKED, "conf/base/catalog.yml": ""})
    manifest = inspect_project(project)
    assert manifest.hooks == ("AddRates",)
    assert manifests.loads(manifests.dumps(manifest), "x") == manifest
    done = vertex(project, "check")
    assert (done.exit_code, done.stderr.startswith("KV003 warning: Dataset 'raw'")) == (0, True)


@pytest.mark.parametrize("disabled", [False, True])
def test_a_plugin_that_is_not_known_may_add_datasets(make_project: MakeProject, disabled: bool) -> None:
    plugin = "src/wings-1.0.dist-info"
    files = {
        f"{plugin}/METADATA": "Metadata-Version: 2.1\nName: kedro-wings\nVersion: 1.0\n",
        f"{plugin}/entry_points.txt": "[kedro.hooks]\nwings = no_such_module:hooks\n",
        "src/{package}/settings.py": f"DISABLE_HOOKS_FOR_PLUGINS = {('kedro-wings',) if disabled else ()}\n",
    }
    assert inspect_project(make_project({**FILES, **files})).hooks == (() if disabled else ("kedro-wings",))


def test_a_memory_dataset_with_data_is_in_the_manifest_without_them(make_project: MakeProject) -> None:
    files = {
        **FILES,
        "conf/base/catalog.yml": "raw: {type: MemoryDataset, data: hunter2}\nrows: {type: MemoryDataset}\n",
    }
    manifest = inspect_project(make_project(files))
    assert [manifest.datasets[name].has_data for name in ("raw", "rows")] == [True, False]
    text = manifests.dumps(manifest)
    assert "hunter2" not in text
    assert manifests.loads(text, "x") == manifest


def test_the_place_in_base_dataset_args_is_seen(make_project: MakeProject) -> None:
    kind = "kedro_vertexai.pipelines.KedroVertexAIMetadataDataset"
    entry = f"{{type: {kind}, base_dataset: pandas.CSVDataset, base_dataset_args: {{filepath: data/rows.csv}}}}"
    manifest = inspect_project(make_project({**FILES, "conf/base/catalog.yml": f"rows: {entry}\n"}))
    assert (manifest.datasets["rows"].scope, manifest.datasets["rows"].location) == ("local", "data/rows.csv")


@pytest.mark.parametrize(
    ("place", "lost"),
    [
        ("path: data/inbox", "data/inbox/CHECKPOINT"),
        ("path: gs://shop/inbox", None),
        ("path: /gcs/shop/inbox", None),
        ("path: gs://shop/inbox, checkpoint: {filepath: data/seen.txt}", "data/seen.txt"),
        ("path: data/inbox, checkpoint: {filepath: gs://shop/seen.txt}", None),
        ("path: data/inbox, checkpoint: '2024-01-01'", "data/inbox/CHECKPOINT"),
    ],
)
def test_the_checkpoint_of_an_incremental_dataset(
    make_project: MakeProject, vertex: Vertex, place: str, lost: str | None
) -> None:
    entry = f"{{type: partitions.IncrementalDataset, {place}, dataset: json.JSONDataset}}"
    catalog = f"raw: {entry}\nrows: {{type: json.JSONDataset, {PATH}}}\n"
    project = make_project({**FILES, "conf/base/catalog.yml": catalog})
    done = vertex(project, "check", "--format", "json")
    found = [finding for finding in json.loads(done.stdout)["findings"] if finding["code"] == "KV004"]
    told = [finding["message"] for finding in found if finding["dataset"] == "raw"]
    assert done.exit_code == 0
    assert told == [
        f"Dataset 'raw' keeps its checkpoint in {place!r}, which is lost with the container: each run reads the same "
        "partitions again."
        for place in filter(None, [lost])
    ]


def test_no_job_is_made_of_an_entry_that_no_container_loads(
    make_project: MakeProject, vertex: Vertex, tmp_path: Path
) -> None:
    catalog = f"raw: {{type: pandas.CSVDataset, {PATH}}}\nmodel: {{type: pickle.PickleDataSet, {PATH}}}\n"
    project = make_project({**FILES, "conf/base/catalog.yml": catalog})
    for command in (["run-once", "--api-endpoint", "http://127.0.0.1:1"], ["compile", "-o", str(tmp_path / "p.yaml")]):
        done = vertex(project, *command)
        assert done.exit_code == 1
        assert "KV030 error: Dataset 'model': pickle.PickleDataSet is the name that the class had" in done.stderr
    assert not (tmp_path / "p.yaml").exists()
    # The pipeline that does not use it.
    assert vertex(project, "compile", "-p", "load", "-o", str(tmp_path / "p.yaml")).exit_code == 0
