"""A small manifest and a Vertex AI emulator, which several rooms' tests share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.unit.jobs import IMAGE


def small_manifest(**config: object) -> Manifest:
    nodes = (
        Node("load", ("params:rows",), ("table",)),
        Node("clean", ("table",), ("rows",)),
        Node("report", ("rows", "parameters"), ("result",), ("slow",)),
    )
    settings = {"project_id": "demo-project", "region": "europe-west1", "image": IMAGE, "root": "bucket/runs"}
    return Manifest(
        project=Project("Small Project", "small", "1.7.0"),
        env=None,
        config=RunConfig.from_dict({**settings, **config}),
        parameters={"rows": Parameter("integer", 3)},
        datasets={name: Dataset(name, "MemoryDataset") for name in ("table", "rows", "result")},
        pipelines={"__default__": Pipeline("__default__", nodes), "first": Pipeline("first", nodes[:1])},
        runtime_params={"run_date": False},
    )


@pytest.fixture
def manifest_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.manifest.json"
    manifests.write(small_manifest(), path)
    return path


@pytest.fixture(scope="session")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    folder = tmp_path_factory.mktemp("image")
    with VertexEmulator(images={IMAGE: folder}, data=tmp_path_factory.mktemp("vertex")) as running:
        yield running


@pytest.fixture(scope="session")
def uri_handlers() -> None:
    """For its first URI, Airflow before 2.11.2 imports hooks of its own, whose requirements warn of each other."""
    from airflow_provider_kedro_vertex.compat import Asset  # tests beside Kedro alone have no Airflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Asset("gs://bucket/object")
