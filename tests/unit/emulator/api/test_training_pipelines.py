"""TrainingPipelines of a custom task, and persistent resources: what is taken, refused, listed and ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud.aiplatform_v1 import PersistentResourceServiceClient

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.api.training_pipelines import CUSTOM_TASK
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.specs import PARENT


@pytest.fixture(scope="module")
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator({"quick": Noop(0), "endless": Noop(3600), "failing": Noop(0, 3)}, max_parallel=10) as emulator:
        yield emulator


def training(image: str, **fields: Any) -> dict[str, Any]:
    pool = {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1}
    inputs = {"worker_pool_specs": [{**pool, "container_spec": {"image_uri": image}}]}
    return {
        "displayName": image,
        "trainingTaskDefinition": CUSTOM_TASK,
        "trainingTaskInputs": inputs,
        "labels": {"a": "b"},
        **fields,
    }


def call(emulator: VertexEmulator, verb: str, path: str, **options: Any) -> requests.Response:
    return requests.request(verb, f"{emulator.url}/v1/{path}", timeout=60, **options)


def create(emulator: VertexEmulator, image: str, **fields: Any) -> requests.Response:
    return call(emulator, "POST", f"{PARENT}/trainingPipelines", json=training(image, **fields))


def until(emulator: VertexEmulator, name: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := call(emulator, "GET", name).json())["state"] != f"PIPELINE_STATE_{state}":
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return dict(found)


@pytest.mark.parametrize(("image", "state"), [("quick", "SUCCEEDED"), ("failing", "FAILED")])
def test_a_custom_task_is_a_custom_job(emulator: VertexEmulator, image: str, state: str) -> None:
    made = create(emulator, image).json()
    found = until(emulator, made["name"], state)
    job = call(emulator, "GET", found["trainingTaskMetadata"]["backingCustomJob"]).json()
    assert (job["displayName"], job["labels"]) == (f"{image}-custom-job", {"a": "b"})
    assert (job["endTime"], job.get("error")) == (found["endTime"], found.get("error"))
    # It is remembered when the CustomJob is gone.
    assert call(emulator, "DELETE", job["name"]).json()["done"]
    assert call(emulator, "GET", made["name"]).json() == found
    assert call(emulator, "DELETE", made["name"]).json()["done"]
    assert call(emulator, "GET", made["name"]).status_code == 404


def test_one_is_cancelled(emulator: VertexEmulator) -> None:
    name = create(emulator, "endless", displayName="stopped").json()["name"]
    until(emulator, name, "RUNNING")
    assert call(emulator, "DELETE", name).json()["error"]["status"] == "FAILED_PRECONDITION"
    assert call(emulator, "POST", f"{name}:cancel", json={}).json() == {}
    until(emulator, name, "CANCELLED")
    assert call(emulator, "POST", f"{name}:cancel", json={}).json()["error"]["status"] == "FAILED_PRECONDITION"
    asked = {"filter": 'state="PIPELINE_STATE_CANCELLED" AND labels.a=b', "readMask": "displayName"}
    listed = call(emulator, "GET", f"{PARENT}/trainingPipelines", params=asked).json()
    assert listed == {"trainingPipelines": [{"displayName": "stopped"}]}


def test_one_whose_job_was_deleted_unseen_has_failed(emulator: VertexEmulator) -> None:
    made = create(emulator, "quick").json()
    job = made["trainingTaskMetadata"]["backingCustomJob"]
    deadline = time.monotonic() + 60
    while call(emulator, "DELETE", job).status_code != 200:
        assert time.monotonic() < deadline
    found = call(emulator, "GET", made["name"]).json()
    assert (found["state"], "was deleted" in found["error"]["message"]) == ("PIPELINE_STATE_FAILED", True)


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"displayName": ""}, "INVALID_ARGUMENT", "training_pipeline.display_name"),
        ({"trainingTaskInputs": {"x": 1}}, "INVALID_ARGUMENT", 'Unknown name "x" at'),
        ({"trainingTaskInputs": {}}, "INVALID_ARGUMENT", "worker_pool_specs"),
        ({"labels": {"A": "b"}}, "INVALID_ARGUMENT", "training_pipeline.labels"),
        ({"trainingTaskDefinition": CUSTOM_TASK.replace("custom_task", "automl_tables")}, "UNIMPLEMENTED", "automl"),
        ({"modelToUpload": {"displayName": "m"}}, "UNIMPLEMENTED", "model_to_upload"),
        ({"inputDataConfig": {"datasetId": "1"}}, "UNIMPLEMENTED", "input_data_config"),
    ],
)
def test_what_is_wrong_or_not_run_is_refused(
    emulator: VertexEmulator, fields: dict[str, Any], status: str, said: str
) -> None:
    error = create(emulator, "quick", **fields).json()["error"]
    assert error["status"] == status
    assert said in error["message"]


def test_persistent_resources_are_records(emulator: VertexEmulator) -> None:
    pools = [{"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1}]
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        transport = PersistentResourceServiceClient.get_transport_class("grpc")(channel=channel)
        client = PersistentResourceServiceClient(transport=transport)
        request = {"parent": PARENT, "persistent_resource_id": "warm", "persistent_resource": {"resource_pools": pools}}
        made = client.create_persistent_resource(request).result(timeout=60)
        assert (made.name, made.state.name) == (f"{PARENT}/persistentResources/warm", "RUNNING")
        with pytest.raises(exceptions.AlreadyExists):
            client.create_persistent_resource(request)
        for wrong, said in (({"persistent_resource_id": "Warm"}, "_id"), ({"persistent_resource": {}}, "_pools")):
            with pytest.raises(exceptions.InvalidArgument, match=said):
                client.create_persistent_resource({**request, **wrong})
        assert [one.name for one in client.list_persistent_resources(parent=PARENT)] == [made.name]
        client.delete_persistent_resource(name=made.name).result(timeout=60)
        with pytest.raises(exceptions.NotFound):
            client.get_persistent_resource(name=made.name)
        with pytest.raises(exceptions.MethodNotImplemented, match="RebootPersistentResource"):
            client.reboot_persistent_resource(name=made.name)
