"""Tasks of Google's custom job components: what google-cloud-pipeline-components compiles makes CustomJobs here.

The specs in ``tests/golden/google`` are compiled by ``compile_components.py`` beside them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Message,
    to_json,
    vertex_message,
)
from airflow_provider_kedro_vertex.emulator.resources.states import JobState, TaskState
from tests.unit.emulator.engine.test_pipeline_jobs import Emulator
from tests.unit.emulator.scripted import run
from tests.unit.emulator.specs import PARENT, body

GOLDEN = Path(__file__).parents[3] / "golden" / "google"
SUCCEEDED = Outcome()
TASK = "custom-training-job"
FAILED = Outcome(Code.INVALID_ARGUMENT, "The replica workerpool0-0 exited with a non-zero status of 1.")
PREEMPTED = Outcome(Code.UNAVAILABLE, "preempted")


def compiled(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = next(iter(yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text())))
    return {**spec, "defaultPipelineRoot": "gs://bucket/root"}


@pytest.fixture
def op() -> dict[str, Any]:
    return compiled("op")


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    return Emulator(tmp_path)


async def running(emulator: Emulator) -> None:
    while "train" not in emulator.script.running or emulator.task(TASK).state != TaskState.RUNNING:
        await asyncio.sleep(0.001)


async def end(emulator: Emulator, outcome: Outcome = SUCCEEDED) -> None:
    ending = emulator.script.running["train"]
    ending.set_result(outcome)
    while emulator.script.running.get("train") is ending:
        await asyncio.sleep(0.001)


def custom_jobs(emulator: Emulator) -> list[Message]:
    return list(emulator.service.list_custom_jobs(vertex_message("ListCustomJobsRequest")(parent=PARENT)).custom_jobs)


def states(emulator: Emulator) -> list[str]:
    return [JobState(job.state).name.removeprefix("JOB_STATE_") for job in custom_jobs(emulator)]


def payload_of(spec: dict[str, Any]) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """Change the worker pools of the one task."""
    (task,) = spec["root"]["dag"]["tasks"].values()
    pools = task["inputs"]["parameters"]["worker_pool_specs"]["runtimeValue"]["constant"]
    return lambda change: change(pools[0])


def test_the_task_is_the_custom_job_that_its_payload_asks_for(emulator: Emulator, op: dict[str, Any]) -> None:
    async def scenario() -> None:
        emulator.create(op, {"text": 'it\'s "quoted" \\ and\nnew ü'})
        await running(emulator)
        (job,) = custom_jobs(emulator)
        assert emulator.task(TASK).executor_detail.custom_job_detail.job == job.name
        assert not emulator.task(TASK).executor_detail.HasField("container_detail")
        await end(emulator)
        await emulator.done()

    run(scenario())
    assert (emulator.state, states(emulator)) == ("SUCCEEDED", ["SUCCEEDED"])
    (job,) = custom_jobs(emulator)
    (work,) = emulator.script.works
    text = 'it\'s "quoted" \\ and\nnew ü'
    assert work.argv == ("python", "train", text, f"--also={text}")
    assert work.number == job.name.rpartition("/")[2]
    env = dict(work.env)
    assert json.loads(env["CLUSTER_SPEC"])["cluster"].keys() == {"workerpool0"}
    assert env["AIP_MODEL_DIR"] == "gs://bucket/out/model/"
    assert to_json(job.job_spec) == {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "n1-highmem-8"},
                "replicaCount": "1",
                "diskSpec": {"bootDiskSizeGb": 200},
                "containerSpec": {"imageUri": "image", "command": ["python"], "args": list(work.argv[1:])},
            }
        ],
        # max_wait_duration is for FLEX_START alone.
        "scheduling": {"timeout": "604800s", "strategy": "SPOT"},
        "baseOutputDirectory": {"outputUriPrefix": "gs://bucket/out"},
    }
    billing = emulator.job.labels["vertex-ai-pipelines-run-billing-id"]
    assert dict(job.labels) == {"team": "sales", "vertex-ai-pipelines-run-billing-id": billing}
    assert job.display_name == "train of op"
    made = to_json(emulator.task(TASK).execution.metadata)["output:gcp_resources"]
    uri = f"https://europe-west1-aiplatform.googleapis.com/v1/{job.name}"
    assert json.loads(made) == {"resources": [{"resourceType": "CustomJob", "resourceUri": uri}]}


def test_its_labels_win_over_those_of_the_pipeline_job(emulator: Emulator, op: dict[str, Any]) -> None:
    async def scenario() -> None:
        emulator.create(op, {"labels": {"vertex-ai-pipelines-run-billing-id": "mine"}})
        await running(emulator)

    run(scenario())
    assert dict(custom_jobs(emulator)[0].labels) == {"vertex-ai-pipelines-run-billing-id": "mine"}


def test_its_failure_is_the_tasks_and_a_retry_is_another_custom_job(emulator: Emulator, op: dict[str, Any]) -> None:
    async def scenario() -> None:
        emulator.create(op)
        await running(emulator)
        await end(emulator, FAILED)
        await running(emulator)
        await end(emulator, FAILED)
        await emulator.done()

    run(scenario())
    first, second = sorted(custom_jobs(emulator), key=lambda job: job.create_time.ToNanoseconds())
    task = emulator.task(TASK)
    assert (emulator.state, emulator.states[TASK], states(emulator)) == ("FAILED", "FAILED", ["FAILED", "FAILED"])
    assert (task.error.code, task.error.message) == (FAILED.code, FAILED.message)
    detail = task.executor_detail.custom_job_detail
    assert (list(detail.failed_jobs), detail.job) == ([first.name], second.name)


def test_vertex_ai_starts_a_preempted_one_again_while_its_task_runs(emulator: Emulator, op: dict[str, Any]) -> None:
    async def scenario() -> None:
        emulator.create(op)
        for _ in range(2):
            await running(emulator)
            await end(emulator, PREEMPTED)
        await running(emulator)
        assert emulator.states[TASK] == "RUNNING"
        await end(emulator)
        await emulator.done()

    run(scenario())
    assert (emulator.state, states(emulator), len(emulator.script.works)) == ("SUCCEEDED", ["SUCCEEDED"], 3)


def test_it_is_cancelled_with_its_pipeline(emulator: Emulator, op: dict[str, Any]) -> None:
    async def scenario() -> None:
        emulator.create(op)
        await running(emulator)
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert (emulator.state, emulator.states[TASK], states(emulator)) == ("CANCELLED", "CANCELLED", ["CANCELLED"])
    assert not emulator.script.running


def test_a_custom_job_that_a_client_cancels_fails_its_task(emulator: Emulator, op: dict[str, Any]) -> None:
    async def scenario() -> None:
        emulator.create(op)
        await running(emulator)
        emulator.service.cancel_custom_job(vertex_message("CancelCustomJobRequest")(name=custom_jobs(emulator)[0].name))
        await emulator.done()

    run(scenario())
    assert (emulator.state, emulator.states[TASK], states(emulator)) == ("FAILED", "FAILED", ["CANCELLED"])


@pytest.mark.parametrize("at", ["waiting", "running"])
def test_a_killed_emulator_makes_no_second_one(tmp_path: Path, op: dict[str, Any], at: str) -> None:
    async def scenario() -> None:
        before = Emulator(tmp_path / "before", places=1 if at == "running" else 0)
        before.create(op)
        while not custom_jobs(before) or (at == "running" and "train" not in before.script.running):
            await asyncio.sleep(0.001)
        # What a killed emulator leaves is what stands in its folder.
        shutil.copytree(tmp_path / "before", tmp_path / "after")
        after = Emulator(tmp_path / "after")
        after.recover()
        await running(after)
        jobs = {job.name for job in custom_jobs(after)}
        if at == "waiting":
            assert jobs == {job.name for job in custom_jobs(before)}
        else:
            assert after.task(TASK).executor_detail.custom_job_detail.failed_jobs == [custom_jobs(before)[0].name]
            assert len(jobs) == 2
        await end(after)
        await after.done()
        assert (after.state, len(custom_jobs(after))) == ("SUCCEEDED", len(jobs))

    (tmp_path / "before").mkdir()
    run(scenario())


def without_machine(pool: dict[str, Any]) -> None:
    del pool["machine_spec"]


def with_unknown_field(pool: dict[str, Any]) -> None:
    pool["machine_specs"] = {}
    pool["machine_specs"]["machine_type"] = "n1-standard-4"


def with_wrong_package(pool: dict[str, Any]) -> None:
    pool["python_package_spec"] = {"executor_image_uri": "i", "package_uris": ["b/p"], "python_module": "m"}
    del pool["container_spec"]


def with_too_many_replicas(pool: dict[str, Any]) -> None:
    pool["replica_count"] = 1000


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (without_machine, Code.INVALID_ARGUMENT, "worker_pool_specs[0].machine_spec.machine_type: is required."),
        (with_unknown_field, Code.INVALID_ARGUMENT, 'Unknown name "machine_specs" at'),
        (with_wrong_package, Code.INVALID_ARGUMENT, "python_package_spec.package_uris[0]"),
        (with_too_many_replicas, Code.INVALID_ARGUMENT, "[0].replica_count: is 1000"),
    ],
)
def test_what_create_custom_job_refuses_fails_the_task(
    emulator: Emulator, op: dict[str, Any], change: Callable[[dict[str, Any]], None], code: Code, message: str
) -> None:
    payload_of(op)(change)

    async def scenario() -> None:
        emulator.create(op)
        await emulator.done()

    run(scenario())
    error = emulator.task(TASK).error
    assert (emulator.state, error.code, custom_jobs(emulator)) == ("FAILED", code, [])
    assert message in error.message


def test_a_payload_that_is_no_json_fails_the_task_as_on_vertex_ai(emulator: Emulator, op: dict[str, Any]) -> None:
    """A default value's placeholder is filled as text: a quote in it breaks the JSON around it."""
    (component,) = op["components"].values()
    (task,) = op["root"]["dag"]["tasks"].values()
    parameters = task["inputs"]["parameters"]
    pools = parameters.pop("worker_pool_specs")["runtimeValue"]["constant"]
    component["inputDefinitions"]["parameters"]["worker_pool_specs"]["defaultValue"] = json.loads(
        json.dumps(pools).replace("pipelinechannel--text", "text")
    )
    component["inputDefinitions"]["parameters"]["text"] = {"parameterType": "STRING"}
    parameters["text"] = {"componentInputParameter": "text"}

    async def scenario() -> None:
        emulator.create(op, {"text": 'a "quote"'})
        await emulator.done()

    run(scenario())
    error = emulator.task(TASK).error
    assert (error.code, custom_jobs(emulator)) == (Code.INVALID_ARGUMENT, [])
    assert error.message.startswith("Failed to parse the container spec json payload to requested prototype: ")


def test_a_component_as_a_custom_job_gets_its_inputs_and_leaves_its_outputs(tmp_path: Path) -> None:
    """kfp's own executor runs in it, as a real process; a task after it reads what it made, and its gcp_resources."""
    (tmp_path / "project").mkdir()
    with VertexEmulator({"python:3.11": tmp_path / "project"}, max_parallel=1) as emulator:
        data = body(compiled("from-component"), {})
        created = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=data, timeout=60)
        assert created.status_code == 200, created.text
        deadline = time.monotonic() + 300
        job: dict[str, Any] = created.json()
        while job["state"] not in ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED"):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
            job = requests.get(f"{emulator.url}/v1/{created.json()['name']}", timeout=60).json()
        assert job["state"] == "PIPELINE_STATE_SUCCEEDED", job
        tasks = {task["taskName"]: task for task in job["jobDetail"]["taskDetails"]}
        assert tasks["read"]["execution"]["metadata"]["output:Output"] == "abcabc True"
        assert tasks["double"]["execution"]["metadata"]["output:Output"] == "abc, None"
        name = tasks["double"]["executorDetail"]["customJobDetail"]["job"]
        shown = requests.get(f"{emulator.url}/v1/{name}", timeout=60).json()
        assert (shown["displayName"], shown["state"]) == ("double of from-component", "JOB_STATE_SUCCEEDED")
        query = f'resource.type="ml_job" AND resource.labels.job_id="{name.rpartition("/")[2]}"'
        logged = requests.post(
            f"{emulator.url}/v2/entries:list",
            json={"resourceNames": ["projects/demo-project"], "filter": query}, timeout=60,
        )  # fmt: skip
        assert logged.status_code == 200
