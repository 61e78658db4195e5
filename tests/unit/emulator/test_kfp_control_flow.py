"""What kfp's DSL compiles for loops, importers, retries and machines runs here unchanged: ``kfp_control_flow.py``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.unit.emulator.specs import PARENT, body
from tests.unit.emulator.test_kfp_dsl import ended, outputs_of, tasks_of

IMAGE = "python:3.11"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kfp")
    program = str(Path(__file__).parent / "kfp_control_flow.py")
    subprocess.run([sys.executable, "-W", "ignore", program, str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    with VertexEmulator({IMAGE: tmp_path_factory.mktemp("image")}, max_parallel=2) as emulator:
        yield emulator


def parameters(tasks: Mapping[str, Any], name: str) -> dict[str, Any]:
    metadata = tasks[name].get("execution", {}).get("metadata", {})
    return {key.removeprefix("output:"): value for key, value in metadata.items() if key.startswith("output:")}


def succeeded(emulator: VertexEmulator, compiled: Path, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    job = ended(emulator, compiled, name, values)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED", job
    return tasks_of(job)


def test_loops_over_parameters(emulator: VertexEmulator, compiled: Path) -> None:
    tasks = succeeded(emulator, compiled, "parameter-loops", {"xs": [1, 2]})
    assert parameters(tasks, "") == {"Output": 42}
    assert parameters(tasks, "for-loop-2") == {"pipelinechannel--double-Output": [10, 14, 18]}
    assert [parameters(tasks, f"for-loop-2.{at}.double")["Output"] for at in range(3)] == [10, 14, 18]
    # A loop in a loop collects a list of lists.
    assert parameters(tasks, "for-loop-3") == {"pipelinechannel--double-2-Output": [[2, 2], [4, 4]]}
    assert parameters(tasks, "flatten") == {"Output": [2, 2, 4, 4]}
    assert parameters(tasks, "for-loop-3.1.for-loop-5.0.say") == {"Output": "10"}
    # Parts of an item, in arguments and in a condition.
    assert parameters(tasks, "concat") == {"Output": "n0,n1,n2"}
    conditions = [tasks[f"for-loop-6.{at}.condition-7"]["state"] for at in range(3)]
    assert conditions == ["NOT_TRIGGERED", "NOT_TRIGGERED", "SUCCEEDED"]
    assert parameters(tasks, "for-loop-6.2.condition-7.double-3") == {"Output": 4}
    # A loop over nothing succeeds, and nothing is collected from it.
    assert tasks["for-loop-8"]["state"] == "SUCCEEDED"
    assert parameters(tasks, "concat-2") == {"Output": ""}


def test_loops_over_artifacts(emulator: VertexEmulator, compiled: Path) -> None:
    tasks = succeeded(emulator, compiled, "artifact-loops", {})
    assert parameters(tasks, "join") == {"Output": "n00:0 n11:1"}
    assert parameters(tasks, "concat") == {"Output": "n00,n11"}
    # The artifacts of a loop in a loop are one flat list.
    assert parameters(tasks, "join-2") == {"Output": "x1:1 x2:2 y1:1 y2:2"}
    assert len(tasks["for-loop-3"]["outputs"]["pipelinechannel--write-out"]["artifacts"]) == 4


def test_importers(emulator: VertexEmulator, compiled: Path) -> None:
    jobs = [succeeded(emulator, compiled, "imports", {"uri": "gs://bucket/mine.txt"}) for _ in range(2)]
    for tasks in jobs:
        assert parameters(tasks, "describe") == {"Output": "bucket/constant.txt [('kind', 'constant'), ('n', '3')]"}
        assert parameters(tasks, "describe-2") == {"Output": "bucket/mine.txt []"}
        assert tasks["importer"]["execution"]["schemaTitle"] == "system.ImporterExecution"
    names = [
        [tasks[name]["outputs"]["artifact"]["artifacts"][0]["name"] for tasks in jobs]
        for name in ("importer", "importer-2")
    ]
    # What was imported before is the same artifact, unless it is to be imported again.
    assert names[0][0] == names[0][1]
    assert names[1][0] != names[1][1]


def test_a_pipeline_is_given_artifacts(emulator: VertexEmulator, compiled: Path) -> None:
    made = succeeded(emulator, compiled, "artifact-loops", {})["write-all"]["outputs"]["Output"]["artifacts"][0]
    spec = next(iter(yaml.safe_load_all((compiled / "given-artifacts.yaml").read_text())))

    def create(given: Mapping[str, Any]) -> requests.Response:
        data = body(spec)
        data["runtimeConfig"]["inputArtifacts"] = given
        return requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=data, timeout=30)

    response = create({"data": {"artifactId": made["name"].rpartition("/")[2]}})
    assert response.status_code == 200, response.text
    while (job := requests.get(f"{emulator.url}/v1/{response.json()['name']}", timeout=30).json())["state"] not in (
        "PIPELINE_STATE_SUCCEEDED",
        "PIPELINE_STATE_FAILED",
    ):
        pass
    assert outputs_of(emulator, tasks_of(job)[""]) == {"Output": "n00"}
    for given, said in (
        ({}, "this input artifact is required"),
        ({"data": {"artifactId": "none"}}, 'no artifact "none"'),
        ({"other": {"artifactId": "none"}}, "no input artifact of this name; it has: data"),
    ):
        refused = create(given)
        assert refused.status_code == 400
        assert said in refused.json()["error"]["message"]


def test_a_nested_pipeline_is_tried_again_as_a_whole(emulator: VertexEmulator, compiled: Path, tmp_path: Path) -> None:
    tasks = succeeded(emulator, compiled, "retries", {"folder": str(tmp_path / "tries")})
    assert parameters(tasks, "") == {"Output": 2}
    assert sorted(tasks) == ["", "flaky", "flaky.fail-twice"]
    history = [status["state"] for status in tasks["flaky"]["pipelineTaskStatus"]]
    assert history == ["PENDING", "RUNNING", "PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED"]


def test_machines_and_images_from_parameters(emulator: VertexEmulator, compiled: Path) -> None:
    tasks = succeeded(emulator, compiled, "machines", {"image": IMAGE})
    assert [parameters(tasks, name)["Output"] for name in ("say", "say-3", "say-4")] == ["limited", "made", "image"]
