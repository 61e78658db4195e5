"""A small manifest that the tests of the Airflow side share."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core import manifest as manifests
from airflow_provider_kedro_vertex.core.config import RunConfig
from airflow_provider_kedro_vertex.core.manifest import Dataset, Manifest, Node, Pipeline, Project

IMAGE = "example/image:1"


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
        parameters={"rows": 3},
        datasets={name: Dataset(name, "MemoryDataset") for name in ("table", "rows", "result")},
        pipelines={"__default__": Pipeline("__default__", nodes), "first": Pipeline("first", nodes[:1])},
    )


@pytest.fixture
def manifest_file(tmp_path: Path) -> Path:
    path = tmp_path / "small.manifest.json"
    manifests.write(small_manifest(), path)
    return path
