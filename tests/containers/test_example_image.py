"""The example's Dockerfile: built as it is, and run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage
from tests.containers import base_image
from tests.containers.conftest import ROOT
from tests.fresh_project import run
from tests.storage import storage_emulator, storage_variables

FLIGHTS = ROOT / "dags_examples" / "flights"
#: As conf/base/vertexai.yml names it.
IMAGE = f"{base_image.REGISTRY}/demo-project/kedro/flights:1.0.0"


@pytest.fixture(scope="module")
def image(podman: dict[str, str]) -> str:
    run(FLIGHTS, "podman", "build", "--tag", IMAGE, ".", env=podman)
    return IMAGE


def test_the_whole_project_runs_in_it_as_a_user_who_is_not_root(image: str, podman: dict[str, str]) -> None:
    program = "id -un && kedro run --env laptop --params run_date=2013-06-02 && cat data/2013-06-02/metrics.json"
    said = run(Path(), "podman", "run", "--rm", image, "sh", "-c", program, env=podman)
    assert said.splitlines()[0] == "kedro"
    assert '"mae_minutes"' in said


@pytest.fixture
def vertex(image: str, podman: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    for name, value in podman.items():
        monkeypatch.setenv(name, value)
    with (
        storage_emulator("flights-demo") as storage,
        VertexEmulator({image: ContainerImage(image)}, env=storage_variables(storage)) as running,
    ):
        yield {**podman, **storage_variables(storage), "KEDRO_VERTEX_API_ENDPOINT": running.url}


def test_a_node_runs_in_it_as_on_vertex_ai(vertex: dict[str, str]) -> None:
    nodes = ("--nodes", "features.select_flights,features.schedule_features", "--param", "run_date=2013-06-02")
    said = run(FLIGHTS, "kedro", "vertex", "run-once", "--pipeline", "features", *nodes, "--wait", env=vertex)
    assert "Succeeded." in said
