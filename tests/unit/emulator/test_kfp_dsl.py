"""What kfp's DSL compiles runs here, unchanged, to the outputs of kfp's own local runner: see ``kfp_dsl.py``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.unit.emulator.specs import PARENT, body

IMAGE = "python:3.11"
GIVEN = {"text": "xyz", "rate": 0.5}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the compiled pipelines and kfp's own outputs. kfp warns a lot: it has a process of its own."""
    folder = tmp_path_factory.mktemp("kfp")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "kfp_dsl.py"), str(folder)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    with VertexEmulator({IMAGE: tmp_path_factory.mktemp("image")}, max_parallel=2) as emulator:
        yield emulator


def ended(emulator: VertexEmulator, compiled: Path, pipeline: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A job that ran to its end."""
    spec = next(iter(yaml.safe_load_all((compiled / f"{pipeline}.yaml").read_text())))
    response = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=body(spec, values), timeout=120)
    assert response.status_code == 200, response.text
    deadline = time.monotonic() + 120
    while True:
        job: dict[str, Any] = requests.get(f"{emulator.url}/v1/{response.json()['name']}", timeout=120).json()
        if job["state"] in ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def tasks_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """The task details by unique name; the root's is the empty one."""
    return {task.get("taskUniqueName", ""): task for task in job["jobDetail"]["taskDetails"]}


def outputs_of(emulator: VertexEmulator, task: Mapping[str, Any]) -> dict[str, Any]:
    """A task's outputs, in the form that ``kfp_dsl.py`` writes."""
    metadata = task.get("execution", {}).get("metadata", {})
    found = {key.removeprefix("output:"): value for key, value in metadata.items() if key.startswith("output:")}
    for name, listed in task.get("outputs", {}).items():
        (artifact,) = listed["artifacts"]
        assert artifact["uri"].startswith("gs://bucket/root/demo-project/")
        path = emulator.data / "gcs" / artifact["uri"].removeprefix("gs://")
        found[name] = {
            "type": artifact["schemaTitle"],
            "content": path.read_text() if path.exists() else None,
            "metadata": artifact.get("metadata", {}),
        }
    return found


def test_a_pipeline_has_the_outputs_of_kfps_own_runner(emulator: VertexEmulator, compiled: Path) -> None:
    job = ended(emulator, compiled, "plain", GIVEN)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    local = json.loads((compiled / "local.json").read_text())
    assert len(local) == 16
    assert outputs_of(emulator, tasks_of(job)[""]) == local


def test_an_exit_handler_and_a_condition_change_no_output(emulator: VertexEmulator, compiled: Path) -> None:
    job = ended(emulator, compiled, "guarded", GIVEN)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    tasks = tasks_of(job)
    names = {
        "describe": ("size", "share", "good", "every", "found", "text", "note", "model", "metrics"),
        "inner": ("rows", "said"),
        "measure": ("copy", "sizes"),
    }
    found = {
        name: outputs_of(emulator, tasks[f"exit-handler-1.{task}"])[name] for task in names for name in names[task]
    }
    found["measured"] = outputs_of(emulator, tasks["exit-handler-1.measure"])["size"]
    found["kept"] = outputs_of(emulator, tasks["exit-handler-1.keep"])["Output"]
    found["loud"] = outputs_of(emulator, tasks["exit-handler-1.condition-2.say"])["Output"]
    assert found == json.loads((compiled / "local.json").read_text())
    assert outputs_of(emulator, tasks["notify"]) == {"told": "exit-handler-1 SUCCEEDED None None"}


def test_a_condition_that_is_not_met_triggers_nothing(emulator: VertexEmulator, compiled: Path) -> None:
    job = ended(emulator, compiled, "guarded", {**GIVEN, "text": "x"})
    tasks = tasks_of(job)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert tasks["exit-handler-1.condition-2"]["state"] == "NOT_TRIGGERED"
    assert "exit-handler-1.condition-2.say" not in tasks
    assert tasks["notify"]["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("n", "text", "output", "inner"),
    [
        (1, "heads", "it was heads", None),
        (5, "tails", "5 is high", "NOT_TRIGGERED"),
        (6, "tails", "6 is high", "SUCCEEDED"),
        (4, "tails", "4 is low, tails", None),
    ],
)
def test_one_of_several_branches_is_taken(
    emulator: VertexEmulator, compiled: Path, n: int, text: str, output: str, inner: str | None
) -> None:
    job = ended(emulator, compiled, "branches", {"n": n, "text": text})
    tasks = tasks_of(job)
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED"
    assert outputs_of(emulator, tasks[""]) == {"Output": output}
    branches = {name: task["state"] for name, task in tasks.items() if name.count(".") == 1 and "condition-" in name}
    assert sorted(branches.values()) == ["NOT_TRIGGERED", "NOT_TRIGGERED", "SUCCEEDED"]
    assert [task["state"] for name, task in tasks.items() if name.endswith(".condition-4")] == (
        [inner] if inner else []
    )


def test_an_exit_handler_learns_of_a_failure(emulator: VertexEmulator, compiled: Path) -> None:
    job = ended(emulator, compiled, "failing", {})
    tasks = tasks_of(job)
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert (tasks["exit-handler-1.fail"]["state"], tasks["exit-handler-1.say"]["state"]) == ("FAILED", "NOT_TRIGGERED")
    message = "The DAG failed because some tasks failed. The failed tasks are: [fail]."
    assert outputs_of(emulator, tasks["notify"]) == {"told": f"exit-handler-1 FAILED 9 {message}"}


def test_the_same_again_is_found_in_the_cache(emulator: VertexEmulator, compiled: Path) -> None:
    given = {"text": "again", "rate": 2.0}
    first, second = (ended(emulator, compiled, "plain", given) for _ in range(2))
    states = [
        {name: task["state"] for name, task in tasks_of(job).items() if name not in ("", "inner")}
        for job in (first, second)
    ]
    assert set(states[0].values()) == {"SUCCEEDED"}
    assert states[1] == dict.fromkeys(states[0], "SKIPPED")
    assert second["state"] == "PIPELINE_STATE_SUCCEEDED"
    roots = [tasks_of(job)[""] for job in (first, second)]
    assert outputs_of(emulator, roots[1]) == outputs_of(emulator, roots[0])
    assert roots[1]["outputs"]["rows"] == roots[0]["outputs"]["rows"]
    third = ended(emulator, compiled, "plain", {**given, "rate": 3.0})
    states = {name: task["state"] for name, task in tasks_of(third).items()}
    assert (states["inner.make"], states["measure"], states["describe"]) == ("SKIPPED", "SKIPPED", "SUCCEEDED")
