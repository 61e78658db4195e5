"""Containers whose catalog has relative paths, which lie in a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from tests.storage import storage_emulator, storage_variables
from tests.unit.runtime.containers import Project, Result

BUCKET = "shop-bucket"
SETTINGS = "src/shop/settings.py"


@pytest.fixture
def bucket(shop: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project, with a bucket that its containers reach."""
    with storage_emulator(BUCKET) as url:
        for name, value in storage_variables(url).items():
            monkeypatch.setenv(name, value)
        yield shop.with_variables(**storage_variables(url))


def in_container(
    project: Project,
    *nodes: str,
    root: str = f"gs://{BUCKET}/d",
    local: tuple[str, ...] = (),
    pipeline: str = "__default__",
    **arguments: object,
) -> Result:
    settings = RuntimeSettings(data_root=root, local_datasets=local).to_json()
    return project.command(*project.arguments(*nodes, pipeline=pipeline, **arguments), "--settings", settings)


def objects() -> dict[str, bytes]:
    storage = fsspec.filesystem("gs", token="anon", skip_instance_cache=True)
    return {name.removeprefix(f"{BUCKET}/"): storage.cat_file(name) for name in storage.find(BUCKET)}


def files(project: Project) -> list[str]:
    return sorted(
        file.relative_to(project.path).as_posix() for file in project.path.glob("data/**/*") if file.is_file()
    )


def ok(result: Result) -> Result:
    assert result.code == ExitCode.SUCCEEDED, result.log
    return result


CATALOG = """
total: {type: json.JSONDataset, filepath: data/total.json, versioned: true}
numbers@write: {type: json.JSONDataset, filepath: ./data/numbers.json}
numbers@read: {type: text.TextDataset, filepath: data/numbers.json}
inbox: {type: partitions.IncrementalDataset, path: data/inbox, dataset: json.JSONDataset, filename_suffix: .json}
outbox: {type: partitions.PartitionedDataset, path: data/outbox/, dataset: json.JSONDataset}
cached: {type: CachedDataset, dataset: {type: json.JSONDataset, filepath: data/cached.json}}
"{name}_file": {type: json.JSONDataset, filepath: "data/files/{name}.json"}
"""
REGISTRY = """
from kedro.pipeline import Pipeline, node

def register_pipelines():
    return {
        "__default__": Pipeline(
            [
                node(lambda size: [*range(size)], "params:size", "numbers@write", name="make"),
                node(lambda text: {"text": text}, "numbers@read", "total", name="sum"),
                node(lambda total: total["text"], "total", "cached", name="again"),
                node(lambda text: text * 2, "cached", "twice_file", name="twice"),
                node(sorted, "inbox", "seen_file", name="take", confirms="inbox"),
                node(lambda seen: {f"{name}.json": name for name in seen}, "seen_file", "outbox", name="send"),
            ]
        )
    }
"""
NODES = ("make", "sum", "again", "twice", "take", "send")


def with_every_shape(project: Project) -> Project:
    (project.path / "conf/base/catalog.yml").write_text(CATALOG)
    (project.path / "src/shop/pipeline_registry.py").write_text(REGISTRY)
    (project.path / "data/inbox").mkdir(parents=True)
    for name in ("a", "b"):
        (project.path / f"data/inbox/{name}.json").write_text(f'"{name}"')
    return project


def test_each_shape_lies_below_the_place_as_at_home(bucket: Project) -> None:
    project = with_every_shape(bucket)
    storage = fsspec.filesystem("gs", token="anon", skip_instance_cache=True)
    for name in ("a", "b"):
        storage.pipe_file(f"{BUCKET}/d/data/inbox/{name}.json", f'"{name}"'.encode())
    for name in NODES:  # each in a container of its own
        ok(in_container(project, name))
    assert files(project) == ["data/inbox/a.json", "data/inbox/b.json"]
    there = {name.removeprefix("d/"): data for name, data in objects().items()}

    project.kedro("run")
    versions = [file for file in files(project) if file.startswith("data/total.json/")]
    here = {name: (project.path / name).read_bytes() for name in files(project)}
    version = bucket.context.save_version
    here[f"data/total.json/{version}/total.json"] = here.pop(*versions)
    assert there == here
    assert there["data/inbox/CHECKPOINT"] == b"b"

    # The checkpoint holds in the next run.
    ok(in_container(project, "take"))
    assert json.loads(objects()["d/data/files/seen.json"]) == []
    # A second try saves the version of its run again.
    ok(in_container(project, "sum"))
    assert {name.removeprefix("d/") for name in objects()} == set(there)


def test_datasets_that_stay(bucket: Project) -> None:
    project = with_every_shape(bucket)
    ok(in_container(project, *NODES, local=("twice_*", "inbox", "numbers")))
    assert files(project) == [
        "data/files/twice.json",
        "data/inbox/CHECKPOINT",
        "data/inbox/a.json",
        "data/inbox/b.json",
        "data/numbers.json",
    ]
    version = f"d/data/total.json/{bucket.context.save_version}/total.json"
    outbox = {f"d/data/outbox/{name}.json" for name in ("a", "b")}
    assert set(objects()) == {version, "d/data/cached.json", "d/data/files/seen.json", *outbox}


def test_the_run_fills_in_what_depends_on_it(bucket: Project) -> None:
    root = f"gs://{BUCKET}/${{airflow:logical_date}}/${{airflow:run_id,none}}/${{airflow:data_interval_end,open}}"
    ok(in_container(bucket, "look", root=root, pipeline="look"))
    assert [*objects()] == ["2013-01-01T00:00:00+00:00/run-1/open/data/seen.json"]


def test_a_run_without_the_value(bucket: Project) -> None:
    result = in_container(bucket, "look", root=f"gs://{BUCKET}/${{airflow:data_interval_end}}", pipeline="look")
    assert result.code == ExitCode.MISCONFIGURED
    assert "data_interval_end}': ${airflow:data_interval_end} has no value" in result.last["error"]
    assert objects() == {}


def test_an_input_that_nobody_has_brought_there(bucket: Project) -> None:
    project = with_every_shape(bucket)
    result = in_container(project, "take")
    assert result.code == ExitCode.SUCCEEDED  # an IncrementalDataset may be empty
    (project.path / "conf/base/catalog.yml").write_text(CATALOG.replace("Incremental", "Partitioned"))
    result = in_container(project, "take")
    assert result.code == ExitCode.INPUT_MISSING
    assert result.last["error"] == (
        f"Dataset 'inbox', which no node of this run makes, is not at gs://{BUCKET}/d/data/inbox. An input of the "
        "project is uploaded by kedro vertex push-data, or stays in the image if run_config.local_datasets names it; "
        "for another, run the pipeline that makes it."
    )
    # What a node makes is told as ever.
    assert (
        in_container(project, "twice")
        .last["error"]
        .startswith("Dataset 'cached', an input of node 'twice', is missing")
    )


HOOK = """
from kedro.framework.hooks import hook_impl
from kedro.io import AbstractDataset
from omegaconf import OmegaConf
from pathlib import Path

class Late:
    @hook_impl
    def after_context_created(self, context):
        OmegaConf.register_new_resolver("folder", lambda: "late", replace=True)

class OnDisk(AbstractDataset):
    def __init__(self, filepath):
        self._path = Path(filepath)

    def _load(self):
        return self._path.read_text()

    def _save(self, data):
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(str(data))

    def _describe(self):
        return {}
"""


def test_a_resolver_that_a_hook_of_the_project_registers(bucket: Project) -> None:
    (bucket.path / "src/shop/late.py").write_text(HOOK)
    (bucket.path / SETTINGS).write_text("from shop.late import Late\nHOOKS = (Late(),)\n")
    catalog = "seen: {type: json.JSONDataset, filepath: '${folder:}/seen.json'}\n"
    (bucket.path / "conf/base/catalog.yml").write_text(catalog)
    ok(in_container(bucket, "look", pipeline="look"))
    assert [*objects()] == ["d/late/seen.json"]


def test_a_class_that_takes_the_place_for_a_folder(bucket: Project) -> None:
    (bucket.path / "src/shop/late.py").write_text(HOOK)
    (bucket.path / "conf/base/catalog.yml").write_text("seen: {type: shop.late.OnDisk, filepath: data/seen.txt}\n")
    result = in_container(bucket, "look", pipeline="look")
    assert result.code == ExitCode.MISCONFIGURED
    assert result.last["error"] == (
        "Dataset 'seen' was saved on the container's own disk, in a folder gs:/: its class takes no URL. Use a class "
        "that opens files by fsspec, or name the dataset in run_config.local_datasets."
    )
    assert (bucket.path / "gs:" / BUCKET / "d/data/seen.txt").exists()
    ok(in_container(bucket, "look", pipeline="look", local=("seen",)))
    assert (bucket.path / "data/seen.txt").exists()


LOADER = """
from kedro.config import OmegaConfigLoader

class Own(OmegaConfigLoader):
    def __getitem__(self, key):
        return {"seen": {"type": "json.JSONDataset", "filepath": "data/seen.json"}} if key == "catalog" else %s

CONFIG_LOADER_CLASS = Own
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
"""


def test_a_config_loader_that_keeps_nothing_it_is_given(bucket: Project) -> None:
    (bucket.path / SETTINGS).write_text(LOADER % "super().__getitem__(key)")
    result = in_container(bucket, "look", pipeline="look")
    assert result.code == ExitCode.MISCONFIGURED
    assert "loader Own gives another catalog than it was given" in result.last["error"]
    assert objects() == {}


def test_home_stays_home(shop: Project) -> None:
    """Without the container's command nothing is different, whatever vertexai.yml says."""
    (shop.path / "conf/base/vertexai.yml").write_text(f"run_config: {{data_root: gs://{BUCKET}/d}}\n")
    shop.kedro("run", "--pipeline", "look")
    assert Path(shop.path / "data/seen.json").exists()
