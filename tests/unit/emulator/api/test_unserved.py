"""Whatever Vertex AI has and the emulator has not answers UNIMPLEMENTED, with the method's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

import grpc
import pytest
import requests
from google.cloud.aiplatform_v1 import JobServiceClient as V1Client
from google.cloud.aiplatform_v1beta1.services.job_service import JobServiceClient as BetaClient
from google.cloud.aiplatform_v1beta1.services.job_service.transports import JobServiceGrpcTransport

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.api.methods import SERVED
from airflow_provider_kedro_vertex.emulator.api.unserved import method_name
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.specs import PARENT

SERVICES = ("NotebookService", "IndexService", "ModelService", "EndpointService", "TensorboardService")


@pytest.fixture(scope="module")
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator(noop=Noop(0)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def channel(emulator: VertexEmulator) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        yield channel


@pytest.mark.parametrize(
    ("verb", "path", "name"),
    [
        ("POST", f"/v1/{PARENT}/notebookExecutionJobs", "NotebookService.CreateNotebookExecutionJob"),
        ("GET", f"/v1/{PARENT}/metadataStores/default/metadataSchemas", "MetadataService.ListMetadataSchemas"),
        ("POST", f"/v1/{PARENT}/endpoints/1:predict", "PredictionService.Predict"),
        ("POST", f"/v1/{PARENT}/models/1/operations/2:cancel", "Operations.CancelOperation"),
        ("GET", "/v1/projects/p/locations/l/models", "ModelService.ListModels"),
        ("POST", f"/v1/{PARENT}/models/1:getIamPolicy", "IAMPolicy.GetIamPolicy"),
        (
            "POST",
            f"/v1beta1/{PARENT}/persistentResources/a:reboot",
            "PersistentResourceService.RebootPersistentResource",
        ),
        ("GET", f"/v1beta1/{PARENT}/somethingNew", f"GET /v1beta1/{PARENT}/somethingNew"),
    ],
)
def test_a_path_is_answered_with_its_methods_name(emulator: VertexEmulator, verb: str, path: str, name: str) -> None:
    response = requests.request(verb, f"{emulator.url}{path}", json={} if verb == "POST" else None, timeout=60)
    assert (response.status_code, response.json()["error"]["status"]) == (501, "UNIMPLEMENTED")
    assert response.json()["error"]["message"] == f"{name} is not implemented by this emulator."


@pytest.mark.parametrize("path", ["/v1/nothing", f"/v1/{PARENT}/somethingNew", "/v3/x", "/"])
def test_a_path_that_vertex_does_not_have_has_no_name(path: str) -> None:
    assert method_name("PUT", path) == ""


@pytest.mark.parametrize("service", SERVICES)
def test_every_method_of_a_service_is_named_over_both_protocols(
    emulator: VertexEmulator, channel: grpc.Channel, service: str
) -> None:
    folder = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", service).lower()
    transport = import_module(f"google.cloud.aiplatform_v1.services.{folder}.transports.rest_base")
    own = vars(getattr(transport, f"_Base{service}RestTransport"))
    shared = ("Location", "Locations", "Operation", "Operations", "IamPolicy", "IamPermissions")
    methods = {
        name.removeprefix("_Base"): value._get_http_options()
        for name, value in own.items()
        if hasattr(value, "_get_http_options") and not name.endswith(shared)
    }
    assert len(methods) > 4
    for name, options in methods.items():
        for option in options:
            path = re.sub(r"{[a-z_.]+=([^}]+)}", lambda found: found[1].replace("*", "x1"), option["uri"])
            assert method_name(option["method"].upper(), path) == f"{service}.{name}"
        for version in ("v1", "v1beta1"):
            with pytest.raises(grpc.RpcError, match=f"{service}.{name} is not implemented") as refused:
                channel.unary_unary(f"/google.cloud.aiplatform.{version}.{service}/{name}")(b"x")
            assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_method_that_streams_is_unimplemented_too(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/google.cloud.aiplatform.v1.PredictionService/StreamDirectPredict")
    with pytest.raises(grpc.RpcError, match=r"PredictionService.StreamDirectPredict is not implemented") as refused:
        list(call(iter([b"x"])))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.RpcError, match=r"google.iam.v1.IAMPolicy.GetIamPolicy is not implemented"):
        channel.unary_unary("/google.iam.v1.IAMPolicy/GetIamPolicy")(b"")


def test_what_is_served_is_served_of_v1beta1_too(emulator: VertexEmulator) -> None:
    pool = {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1, "container_spec": {"image_uri": "i"}}
    job = {"display_name": "beta", "job_spec": {"worker_pool_specs": [pool]}}
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        beta = BetaClient(transport=JobServiceGrpcTransport(channel=channel))
        made = beta.create_custom_job(parent=PARENT, custom_job=job)
        assert beta.get_custom_job(name=made.name).display_name == "beta"
        stable = V1Client(transport=V1Client.get_transport_class("grpc")(channel=channel))
        assert stable.get_custom_job(name=made.name).display_name == "beta"
    answer = requests.get(f"{emulator.url}/v1beta1/{made.name}", timeout=60).json()
    assert answer["displayName"] == "beta"
    assert "JobService.CreateCustomJob" in SERVED
