"""CustomJobs with several replicas."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.resources.protos import from_json, vertex_message
from tests.unit.emulator.engine.test_custom_jobs import PREEMPTED, Emulator
from tests.unit.emulator.engine.test_custom_jobs import emulator as emulator
from tests.unit.emulator.scripted import run
from tests.unit.emulator.specs import PARENT

FAILED = Outcome(Code.INVALID_ARGUMENT, "exited with 1")


def pool(name: str, count: int = 1, **fields: Any) -> dict[str, Any]:
    container = {"imageUri": "image", "command": ["python"], "args": [name]}
    machine = {"machineType": "n1-standard-4"}
    return {"machineSpec": machine, "replicaCount": count, "containerSpec": container, **fields}


def create(emulator: Emulator, *pools: dict[str, Any]) -> str:
    request = vertex_message("CreateCustomJobRequest")(parent=PARENT)
    data = {"displayName": "job", "jobSpec": {"workerPoolSpecs": list(pools)}}
    from_json(request.custom_job, data, "custom_job")
    return str(emulator.service.create_custom_job(request).name)


def test_a_job_succeeds_with_its_primary_replica_and_ends_the_others(emulator: Emulator) -> None:
    async def scenario() -> None:
        name = create(emulator, pool("chief"), pool("worker"), pool("server"))
        await emulator.until("chief", "server", "worker")
        assert emulator.state(name) == "RUNNING"
        emulator.script.running["server"].set_result(Outcome())
        await emulator.until("chief", "worker")
        emulator.script.running["chief"].set_result(Outcome())
        await emulator.done(name)
        assert emulator.state(name) == "SUCCEEDED"
        assert not emulator.script.running

    run(scenario())


def test_a_replica_that_fails_fails_the_job(emulator: Emulator) -> None:
    async def scenario() -> None:
        name = create(emulator, pool("chief"), pool("worker"), pool("server"))
        await emulator.until("chief", "server", "worker")
        emulator.script.running["worker"].set_result(FAILED)
        await emulator.done(name)
        assert (emulator.state(name), emulator.job(name).error.message) == ("FAILED", "exited with 1")
        assert not emulator.script.running

    run(scenario())


def test_a_preempted_replica_starts_the_whole_job_again(emulator: Emulator) -> None:
    async def scenario() -> None:
        name = create(emulator, pool("chief"), pool("worker"))
        await emulator.until("chief", "worker")
        emulator.script.running["worker"].set_result(PREEMPTED)
        while len(emulator.script.works) < 4:
            await asyncio.sleep(0.001)
        await emulator.until("chief", "worker")
        emulator.cancel(name)
        await emulator.done(name)
        assert emulator.state(name) == "CANCELLED"
        assert not emulator.script.running

    run(scenario())


def test_a_cluster_knows_itself(emulator: Emulator) -> None:
    async def scenario() -> None:
        name = create(emulator, pool("chief"), {}, pool("server", 3))
        while len(emulator.script.works) < 4:
            await asyncio.sleep(0.001)
        emulator.cancel(name)
        await emulator.done(name)

    run(scenario())
    works = emulator.script.works
    specs = [json.loads(dict(work.env)["CLUSTER_SPEC"]) for work in works]
    tasks = [spec["task"] for spec in specs]
    assert [work.replica for work in works] == [f"{task['type']}-{task['index']}" for task in tasks]
    cluster = specs[0]["cluster"]
    assert {kind: len(addresses) for kind, addresses in cluster.items()} == {"workerpool0": 1, "workerpool2": 3}
    assert all(spec["cluster"] == cluster and spec["environment"] == "cloud" for spec in specs)
    assert len({address for addresses in cluster.values() for address in addresses}) == 4
    assert json.loads(specs[0]["job"])["workerPoolSpecs"][2]["replicaCount"] == "3"
    tensorflow = [json.loads(dict(work.env)["TF_CONFIG"]) for work in works]
    assert tensorflow[0]["cluster"] == {"chief": cluster["workerpool0"], "ps": cluster["workerpool2"]}
    assert [(one["task"]["type"], one["task"]["index"]) for one in tensorflow] == [
        ("chief", 0),
        ("ps", 0),
        ("ps", 1),
        ("ps", 2),
    ]


def test_a_job_with_one_replica_has_a_cluster_of_its_own(emulator: Emulator) -> None:
    async def scenario() -> None:
        name = create(emulator, pool("only"))
        await emulator.until("only")
        emulator.cancel(name)
        await emulator.done(name)

    run(scenario())
    env = dict(emulator.script.works[0].env)
    assert list(json.loads(env["CLUSTER_SPEC"])["cluster"]) == ["workerpool0"]
    assert "TF_CONFIG" not in env


def python(**fields: Any) -> dict[str, Any]:
    package = {"executorImageUri": "image", "packageUris": ["gs://bucket/p.whl"], "pythonModule": "m", **fields}
    return {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": 1, "pythonPackageSpec": package}


@pytest.mark.parametrize(
    ("pools", "field", "code"),
    [
        ([pool("a", 2)], "[0].replica_count", Code.INVALID_ARGUMENT),
        ([pool("a"), pool("b", 0)], "[1].replica_count", Code.INVALID_ARGUMENT),
        ([pool("a"), pool("b", machineSpec={})], "[1].machine_spec.machine_type", Code.INVALID_ARGUMENT),
        ([pool("a"), pool("b", containerSpec={})], "[1].container_spec.image_uri", Code.INVALID_ARGUMENT),
        ([pool("a"), {}, {}, {}, {}], "worker_pool_specs", Code.INVALID_ARGUMENT),
        ([{}, pool("b")], "[0].replica_count", Code.INVALID_ARGUMENT),
        ([pool("a", diskSpec={"bootDiskType": "floppy"})], "[0].disk_spec.boot_disk_type", Code.INVALID_ARGUMENT),
        ([pool("a"), pool("b", 100)], "", Code.UNIMPLEMENTED),
        ([python(executorImageUri="")], "[0].python_package_spec.executor_image_uri", Code.INVALID_ARGUMENT),
        ([python(packageUris=[])], "[0].python_package_spec.package_uris", Code.INVALID_ARGUMENT),
        ([python(packageUris=["gs://bucket/../p"])], ".package_uris[0]", Code.INVALID_ARGUMENT),
        ([python(packageUris=["/p.whl"])], ".package_uris[0]", Code.INVALID_ARGUMENT),
        ([python(packageUris=["gs://bucket/p"] * 101)], ".package_uris", Code.INVALID_ARGUMENT),
        ([python(pythonModule="")], "[0].python_package_spec.python_module", Code.INVALID_ARGUMENT),
        ([python(env=[{"name": "a b"}])], "[0].python_package_spec.env[0].name", Code.INVALID_ARGUMENT),
    ],
)
def test_pools_that_cannot_run_are_refused(
    emulator: Emulator, pools: list[dict[str, Any]], field: str, code: Code
) -> None:
    with pytest.raises(ApiError) as refused:
        create(emulator, *pools)
    assert refused.value.code == code
    if field:
        assert refused.value.violations[0].field.endswith(field)


# The primary replica ends when it has heard from both others, and they when it has answered.
TALK = """
import json, os, socket
spec = json.loads(os.environ["CLUSTER_SPEC"])
host, port = spec["cluster"]["workerpool0"][0].split(":")
if spec["task"]["type"] == "workerpool0":
    with socket.create_server((host, int(port))) as server:
        workers = [server.accept()[0] for _ in spec["cluster"]["workerpool1"]]
        for text in sorted(worker.recv(100).decode() for worker in workers):
            print("heard", text, flush=True)
        for worker in workers:
            worker.recv(100)
else:
    while True:
        try:
            connection = socket.create_connection((host, int(port)))
            break
        except ConnectionRefusedError:
            pass
    connection.sendall(f"worker {spec['task']['index']}".encode())
    print("said", spec["task"]["index"], flush=True)
    connection.close()
"""


def test_replicas_talk_to_each_other_and_have_logs_of_their_own(tmp_path: Path) -> None:
    # One place is enough for a whole cluster: its replicas wait for each other.
    with VertexEmulator({"image": tmp_path}, max_parallel=1) as emulator:
        container = {"imageUri": "image", "command": ["python", "-c", TALK]}
        pools = [pool("", containerSpec=container), pool("", 2, containerSpec=container)]
        job = {"displayName": "job", "jobSpec": {"workerPoolSpecs": pools}}
        name = requests.post(f"{emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=60).json()["name"]
        deadline = time.monotonic() + 120
        while (found := requests.get(f"{emulator.url}/v1/{name}", timeout=60).json())["state"] not in (
            "JOB_STATE_SUCCEEDED",
            "JOB_STATE_FAILED",
        ):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        assert found["state"] == "JOB_STATE_SUCCEEDED"
        number = name.rpartition("/")[2]

        def lines(extra: str) -> list[tuple[str, str]]:
            request = {
                "resourceNames": ["projects/demo-project"],
                "filter": f'resource.labels.job_id="{number}" AND severity=INFO{extra}',
            }
            answer = requests.post(f"{emulator.url}/v2/entries:list", json=request, timeout=60).json()
            return [
                (entry["resource"]["labels"]["task_name"], entry["jsonPayload"]["message"])
                for entry in answer["entries"]
            ]

        assert sorted(lines("")) == [
            ("workerpool0-0", "heard worker 0"),
            ("workerpool0-0", "heard worker 1"),
            ("workerpool1-0", "said 0"),
            ("workerpool1-1", "said 1"),
        ]
        assert lines(' AND resource.labels.task_name="workerpool1-1"') == [("workerpool1-1", "said 1")]
