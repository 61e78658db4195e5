"""PyTorch and LightGBM train on three machines what they train on one.

Run by ``make test-distributed``, in whose environment PyTorch is, with some gigabytes of libraries.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator
from tests.unit.runtime.dag_tasks import Vertex, running_vertex

TRAINING = Path(__file__).parent / "training"
PYTHON = Path(__file__).parents[2] / ".venv-distributed" / "bin" / "python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-distributed: make test-distributed")


def training_manifest() -> Manifest:
    config = {"project_id": "demo-project", "region": "europe-west1", "image": "training:1", "root": "bucket/runs"}
    fitted = [f"{name}_fitted" for name in ("torch", "lightgbm")]
    return Manifest(
        project=manifests.Project("Training", "training", "1.0.0"),
        env=None,
        config=RunConfig.from_dict(config),
        parameters={"machines": Parameter("integer", 1)},
        datasets={name: Dataset(name, "json.JSONDataset", f"gs://bucket/{name}", "remote") for name in fitted},
        pipelines={
            "__default__": Pipeline(
                "__default__",
                (
                    Node("make_rows", ("params:machines",), ("rows",)),
                    Node("fit_torch", ("rows",), ("torch_fitted",)),
                    Node("fit_lightgbm", ("rows",), ("lightgbm_fitted",)),
                ),
            )
        },
    )


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vertex]:
    folder = tmp_path_factory.mktemp("training")
    project = shutil.copytree(TRAINING, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    with running_vertex("training:1", project, PYTHON) as running:
        yield running


def fitted(vertex: Vertex, manifest: Path, machines: int, name: str, framework: str) -> dict[str, Any]:
    """The model that so many machines make."""
    node = {"replica_count": machines, "distributed": framework} if machines > 1 else {}
    with DAG(f"on_{machines}_{name}", schedule=None, params={"machines": machines}) as dag:
        for group in ("make_rows", f"fit_{name}"):
            KedroVertexCustomJobOperator(
                task_id=group,
                group=group,
                manifest=str(manifest),
                scope_group_id="",
                run_config={"nodes": {f"fit_{name}": node}},
            )
    for task in dag.tasks:
        vertex.succeed(vertex.submit(task))
    found: dict[str, Any] = vertex.stored(f"{machines}/{name}.json")
    return found


@pytest.mark.parametrize(
    ("name", "framework", "key"), [("torch", "torch", "weights"), ("lightgbm", "env", "predictions")]
)
def test_three_machines_train_what_one_trains(
    vertex: Vertex, tmp_path: Path, name: str, framework: str, key: str
) -> None:
    manifest = tmp_path / "training.manifest.json"
    manifests.write(training_manifest(), manifest)
    alone = fitted(vertex, manifest, 1, name, framework)
    together = fitted(vertex, manifest, 3, name, framework)
    assert (alone["processes"], together["processes"]) == (1, 3)
    assert together[key] == pytest.approx(alone[key], rel=1e-9)
    assert len(set(together[key])) > 3
