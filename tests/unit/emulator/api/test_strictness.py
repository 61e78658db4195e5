"""What Vertex AI would refuse is refused, and is told from what is not run by its code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core.exceptions import PermissionDenied

from airflow_provider_kedro_vertex.core.settings import machines
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.emulator.resources.machines import accelerator_fault, is_machine_type
from airflow_provider_kedro_vertex.emulator.resources.regions import REGIONS
from tests.unit.emulator.specs import PARENT, body, container_spec

POOL = "custom_job.job_spec.worker_pool_specs[0].machine_spec"
EXECUTOR = "pipeline_job.pipeline_spec.deployment_spec.executors.exec-a.container.resources"


@pytest.fixture(scope="module")
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator(noop=Noop(0)) as running:
        yield running


def refusal(emulator: VertexEmulator, path: str, data: Any, host: str | None = None) -> tuple[str, str]:
    """The code's name and the text; "OK" if it is accepted."""
    headers = {} if host is None else {"host": host}
    answer = requests.post(f"{emulator.url}/v1/{path}", json=data, headers=headers, timeout=120)
    error = answer.json().get("error", {"status": "OK", "message": ""})
    return error["status"], error["message"]


def pipeline(resources: dict[str, Any]) -> dict[str, Any]:
    return body(container_spec({"a": []}, container_fields={"resources": resources}))


def custom_job(**machine: Any) -> dict[str, Any]:
    pool = {"machineSpec": machine, "replicaCount": 1, "containerSpec": {"imageUri": "x"}}
    return {"displayName": "x", "jobSpec": {"workerPoolSpecs": [pool]}}


@pytest.mark.parametrize("region", ["mars-north1", "global", "europe-west99"])
def test_a_region_that_does_not_exist_is_told_like_a_forbidden_one(emulator: VertexEmulator, region: str) -> None:
    said = ("PERMISSION_DENIED", f"Permission denied on 'locations/{region}' (or it may not exist).")
    parent = f"projects/demo-project/locations/{region}"
    assert refusal(emulator, f"{parent}/pipelineJobs", pipeline({})) == said
    assert refusal(emulator, f"{parent}/customJobs", custom_job(machineType="n1-standard-4")) == said
    listed = requests.get(f"{emulator.url}/v1/{parent}/pipelineJobs", timeout=120)
    assert (listed.status_code, listed.json()["error"]["message"]) == (403, said[1])


def test_over_grpc_too(emulator: VertexEmulator) -> None:
    import grpc
    from google.cloud.aiplatform_v1 import PipelineServiceClient
    from google.cloud.aiplatform_v1.services.pipeline_service.transports import PipelineServiceGrpcTransport

    with grpc.insecure_channel(emulator.grpc_target) as channel:
        client = PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
        with pytest.raises(PermissionDenied, match="locations/mars-north1"):
            client.list_pipeline_jobs(parent="projects/demo-project/locations/mars-north1")


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_of_vertex_ai_is_served(emulator: VertexEmulator, region: str) -> None:
    parent = f"projects/demo-project/locations/{region}"
    assert refusal(emulator, f"{parent}/pipelineJobs", pipeline({}), f"{region}-aiplatform.googleapis.com")[0] == "OK"


def test_an_endpoint_serves_its_own_region_alone(emulator: VertexEmulator) -> None:
    path = f"{PARENT}/pipelineJobs"
    code, said = refusal(emulator, path, pipeline({}), "us-central1-aiplatform.googleapis.com")
    assert code == "INVALID_ARGUMENT"
    assert said.endswith("for europe-west1 ask europe-west1-aiplatform.googleapis.com.")
    for host in ("europe-west1-aiplatform.googleapis.com:443", "aiplatform.googleapis.com", None):
        assert refusal(emulator, path, pipeline({}), host)[0] == "OK"


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({}, f"{POOL}.machine_type: is required."),
        ({"machineType": "huge-machine"}, f'{POOL}.machine_type: "huge-machine" is no machine type of Vertex AI.'),
        ({"machineType": "n1-standard-4", "acceleratorCount": 1}, f"{POOL}: accelerator_type and accelerator_count"),
        (
            {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 3},
            f"{POOL}.accelerator_count: 3 of NVIDIA_TESLA_T4; a machine has 1, 2, 4 of them.",
        ),
        (
            {"machineType": "e2-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1},
            "is attached to machines of N1 only, not to e2-standard-4.",
        ),
        (
            {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1},
            "n1-standard-4 has no NVIDIA_L4; g2-standard-.. do.",
        ),
        (
            {"machineType": "a2-highgpu-2g", "acceleratorType": "NVIDIA_TESLA_A100", "acceleratorCount": 1},
            "1 of NVIDIA_TESLA_A100; a2-highgpu-2g has 2.",
        ),
        (
            {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_FOO", "acceleratorCount": 1},
            f"Invalid value at '{POOL}.accelerator_type' "
            '(type.googleapis.com/google.cloud.aiplatform.v1.AcceleratorType), "NVIDIA_FOO"',
        ),
    ],
)
def test_a_machine_that_there_is_not(emulator: VertexEmulator, machine: dict[str, Any], said: str) -> None:
    code, message = refusal(emulator, f"{PARENT}/customJobs", custom_job(**machine))
    assert code == "INVALID_ARGUMENT"
    assert said in message


@pytest.mark.parametrize(
    ("machine", "accelerator", "count"),
    [
        ("n1-highmem-8", "NVIDIA_TESLA_V100", 8),
        ("g2-standard-24", "NVIDIA_L4", 2),
        ("g2-standard-32", "NVIDIA_L4", 1),
        ("a2-ultragpu-4g", "NVIDIA_A100_80GB", 4),
        ("a2-megagpu-16g", "NVIDIA_TESLA_A100", 16),
        ("a3-highgpu-8g", "NVIDIA_H100_80GB", 8),
        ("a3-megagpu-8g", "NVIDIA_H100_MEGA_80GB", 8),
        ("n1-standard-4", None, 0),
        ("c4a-highmem-16-lssd", None, 0),
        ("cloud-tpu", "TPU_V3", 8),
    ],
)
def test_a_machine_that_there_is(emulator: VertexEmulator, machine: str, accelerator: str | None, count: int) -> None:
    given = {"acceleratorType": accelerator, "acceleratorCount": count} if accelerator else {}
    assert refusal(emulator, f"{PARENT}/customJobs", custom_job(machineType=machine, **given)) == ("OK", "")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *((name, True) for name in ("e2-highcpu-2", "n4-standard-80", "m1-ultramem-160", "c3-standard-176-metal")),
        *((name, True) for name in ("ct6e-standard-4t", "ct5lp-hightpu-8t", "h4d-highmem-192", "a4x-highgpu-4g")),
        *((name, False) for name in ("", "n1-standard", "n1-standard-4 ", "N1-standard-4", "n9-standard-4", "gpu-8g")),
    ],
)
def test_machine_types_are_known_by_their_family(name: str, known: bool) -> None:
    assert is_machine_type(name) is known


def test_it_knows_each_machine_that_the_package_chooses() -> None:
    assert [name for name in machines.TABLE if not is_machine_type(name)] == []
    built_in = [(name, accelerator, count) for name, _, _, accelerator, count in machines.WITH_ACCELERATORS]
    attached = [("n1-standard-8", name, count) for name, (counts, _) in machines.ATTACHED.items() for count in counts]
    assert [accelerator_fault(*one) for one in (*built_in, *attached)] == [""] * len(built_in + attached)


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"resourceCpuLimit": "abc"}, f'{EXECUTOR}.resourceCpuLimit: "abc" is no number of CPUs'),
        ({"resourceMemoryLimit": "4 gigs"}, f'{EXECUTOR}.resourceMemoryLimit: "4 gigs" is no amount of memory'),
        ({"cpuLimit": -1}, f"{EXECUTOR}.cpuLimit: must not be negative."),
        ({"accelerator": {"resourceType": "NVIDIA_FOO", "resourceCount": "1"}}, '"NVIDIA_FOO" is no accelerator'),
        (
            {"accelerator": {"type": "NVIDIA_L4", "count": "3"}},
            '"3" accelerators; a machine has 1, 2, 4, 8, 16 of them',
        ),
    ],
)
def test_resources_of_a_container_that_there_are_not(
    emulator: VertexEmulator, resources: dict[str, Any], said: str
) -> None:
    code, message = refusal(emulator, f"{PARENT}/pipelineJobs", pipeline(resources))
    assert code == "INVALID_ARGUMENT"
    assert said in message


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"foo": 1}, "Invalid JSON payload received. Unknown name \"foo\" at 'pipeline_job': Cannot find field."),
        (
            {"runtimeConfig": {"bar": 1}},
            "Invalid JSON payload received. Unknown name \"bar\" at 'pipeline_job.runtime_config': Cannot find field.",
        ),
        ({"displayName": 5}, "Invalid value at 'pipeline_job.display_name' (TYPE_STRING), 5"),
    ],
)
def test_fields_that_cannot_be_read_are_told_in_googles_words(
    emulator: VertexEmulator, fields: dict[str, Any], said: str
) -> None:
    assert refusal(emulator, f"{PARENT}/pipelineJobs", {**pipeline({}), **fields}) == ("INVALID_ARGUMENT", said)


def test_what_is_not_run_has_another_code_than_what_is_wrong(emulator: VertexEmulator) -> None:
    spec = container_spec({"a": []})
    spec["deploymentSpec"]["executors"]["exec-a"] = {"customJob": {"customJob": {}}}
    assert refusal(emulator, f"{PARENT}/pipelineJobs", body(spec))[0] == "UNIMPLEMENTED"
    spec["deploymentSpec"]["executors"]["exec-a"] = {"container": {}}
    assert refusal(emulator, f"{PARENT}/pipelineJobs", body(spec))[0] == "INVALID_ARGUMENT"
