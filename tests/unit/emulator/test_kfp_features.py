"""Each feature of kfp's DSL that docs/emulator.md tells of, compiled by kfp: see ``kfp_features.py``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.unit.emulator.specs import PARENT, body
from tests.unit.emulator.test_kfp_dsl import ended, outputs_of, tasks_of

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "docs" / "emulator.md"
IMAGE = "python:3.11"
OUTPUTS = {
    "environment-variables": "green",
    "order-and-names": "second",
    "optional-inputs": "hello",
    "container-component": "a 'b' $(c) \u00e9",
    "collected-in-dag": ["a", "b"],
    "artifacts-through-pipelines": "kept",
    "workspace": "ab",
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the compiled pipelines and kfp's own outputs. kfp warns a lot: it has a process of its own."""
    folder = tmp_path_factory.mktemp("kfp")
    command = [sys.executable, "-W", "ignore", str(FOLDER / "kfp_features.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    with VertexEmulator({IMAGE: tmp_path_factory.mktemp("image")}, max_parallel=2) as emulator:
        yield emulator


def states(job: dict[str, Any]) -> dict[str, str]:
    return {name: task["state"] for name, task in tasks_of(job).items()}


def test_each_pipeline_has_its_output(emulator: VertexEmulator, compiled: Path) -> None:
    found = {}
    for name in OUTPUTS:
        job = ended(emulator, compiled, name, {})
        assert job["state"] == "PIPELINE_STATE_SUCCEEDED", job
        found[name] = outputs_of(emulator, tasks_of(job)[""])["Output"]
    assert found == OUTPUTS
    local = json.loads((compiled / "local.json").read_text())
    assert local == {name: OUTPUTS[name] for name in local}
    assert len(local) == 5


def test_placeholders_of_the_run(emulator: VertexEmulator, compiled: Path) -> None:
    job = ended(emulator, compiled, "run-placeholders", {})
    job_id = job["name"].rpartition("/")[2]
    assert outputs_of(emulator, tasks_of(job)[""]) == {"Output": f"{job_id}|gs://bucket/root|say"}


def test_what_has_no_output(emulator: VertexEmulator, compiled: Path) -> None:
    job = ended(emulator, compiled, "ignore-upstream-failure", {})
    assert (job["state"], states(job)) == (
        "PIPELINE_STATE_FAILED",
        {"": "FAILED", "fail": "FAILED", "say": "SUCCEEDED"},
    )
    job = ended(emulator, compiled, "final-status", {})
    assert outputs_of(emulator, tasks_of(job)["state-of"]) == {"Output": "SUCCEEDED"}
    job = ended(emulator, compiled, "accelerators", {})
    assert states(job) == {"": "SUCCEEDED", "say": "SUCCEEDED"}


def test_what_is_not_run_is_refused_by_name(emulator: VertexEmulator, compiled: Path) -> None:
    spec = next(iter(yaml.safe_load_all((compiled / "download-to-workspace.yaml").read_text())))
    refused = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=body(spec), timeout=60).json()["error"]
    assert (refused["status"], "download_to_workspace" in refused["message"]) == ("UNIMPLEMENTED", True)


def test_the_page_tells_of_each_pipeline_that_kfp_compiles(compiled: Path) -> None:
    table = PAGE.read_text().partition("### kfp's DSL, feature by feature")[2].partition("\n\nRefused")[0]
    told = {name for row in re.findall(r"\|([^|]*)\|$", table, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)}
    sources = "".join((FOLDER / f"kfp_{module}.py").read_text() for module in ("dsl", "control_flow", "features"))
    compiled_elsewhere = set(re.findall(r'@dsl\.pipeline\(\s*name="([^"]+)"', sources))
    assert {path.stem for path in compiled.glob("*.yaml")} <= compiled_elsewhere
    assert told == compiled_elsewhere
