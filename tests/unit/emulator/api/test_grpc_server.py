"""gRPC with Google's own unmodified clients, with and without TLS."""

from __future__ import annotations

import json
import re
import ssl
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1.services.job_service.transports import JobServiceGrpcTransport
from google.cloud.aiplatform_v1.services.pipeline_service.transports import PipelineServiceGrpcTransport
from google.longrunning import operations_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.api.grpc_server import LARGEST_MESSAGE
from airflow_provider_kedro_vertex.emulator.api.methods import METHODS, SERVED, Method
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.specs import PARENT, body, container_spec

PACKAGE = "google.cloud.aiplatform.v1"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    images = {"image": Noop(0), "endless": Noop(3600), "folder": tmp_path_factory.mktemp("image")}
    with VertexEmulator(images, grace=60) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def channel(emulator: VertexEmulator) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        yield channel


@pytest.fixture(scope="module")
def pipelines(channel: grpc.Channel) -> aiplatform_v1.PipelineServiceClient:
    return aiplatform_v1.PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))


@pytest.fixture(scope="module")
def jobs(channel: grpc.Channel) -> aiplatform_v1.JobServiceClient:
    return aiplatform_v1.JobServiceClient(transport=JobServiceGrpcTransport(channel=channel))


def pipeline_job(image: str = "image", **fields: Any) -> aiplatform_v1.PipelineJob:
    data = {**body(container_spec({"a": []}, image=image)), **fields}
    return aiplatform_v1.PipelineJob.from_json(json.dumps(data))


def test_pipeline_jobs_from_create_to_delete(
    emulator: VertexEmulator, pipelines: aiplatform_v1.PipelineServiceClient
) -> None:
    created = pipelines.create_pipeline_job(
        parent=PARENT, pipeline_job=pipeline_job("endless"), pipeline_job_id="over-grpc"
    )
    assert created.state == aiplatform_v1.PipelineState.PIPELINE_STATE_PENDING
    # One store serves both protocols.
    assert requests.get(f"{emulator.url}/v1/{created.name}", timeout=120).json()["name"] == created.name
    with pytest.raises(exceptions.AlreadyExists):
        pipelines.create_pipeline_job(parent=PARENT, pipeline_job=pipeline_job(), pipeline_job_id="over-grpc")
    with pytest.raises(exceptions.FailedPrecondition):
        pipelines.delete_pipeline_job(name=created.name)
    request = {"parent": PARENT, "filter": 'pipeline_job_user_id="over-grpc"'}
    assert [job.name for job in pipelines.list_pipeline_jobs(request=request)] == [created.name]
    done = pipelines.batch_cancel_pipeline_jobs(parent=PARENT, names=[created.name]).result(timeout=120)
    assert [job.state for job in done.pipeline_jobs] == [aiplatform_v1.PipelineState.PIPELINE_STATE_CANCELLED]
    pipelines.delete_pipeline_job(name=created.name).result(timeout=120)
    with pytest.raises(exceptions.NotFound, match="over-grpc"):
        pipelines.get_pipeline_job(name=created.name)


def test_custom_jobs(jobs: aiplatform_v1.JobServiceClient) -> None:
    container = {"image_uri": "endless", "command": ["python"]}
    pool = {"replica_count": 1, "machine_spec": {"machine_type": "n2-standard-4"}, "container_spec": container}
    job = {"display_name": "a job", "job_spec": {"worker_pool_specs": [pool]}}
    created = jobs.create_custom_job(parent=PARENT, custom_job=job)
    jobs.cancel_custom_job(name=created.name)
    while (state := jobs.get_custom_job(name=created.name).state) != aiplatform_v1.JobState.JOB_STATE_CANCELLED:
        assert state == aiplatform_v1.JobState.JOB_STATE_CANCELLING
    jobs.delete_custom_job(name=created.name).result(timeout=120)


def test_refusals_carry_their_violations(pipelines: aiplatform_v1.PipelineServiceClient) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="128") as refused:
        pipelines.create_pipeline_job(parent=PARENT, pipeline_job=pipeline_job(displayName="x" * 200))
    (details,) = refused.value.details
    assert [violation.field for violation in details.field_violations] == ["pipeline_job.display_name"]


def test_a_refusal_is_cut_to_what_a_client_accepts(pipelines: aiplatform_v1.PipelineServiceClient) -> None:
    upper = "\u00c4" * 60
    labels = {f"{upper}{index}": "\u00c4" for index in range(60)}
    with pytest.raises(exceptions.InvalidArgument) as refused:
        pipelines.create_pipeline_job(parent=PARENT, pipeline_job=pipeline_job(labels=labels))
    assert refused.value.details[0].field_violations


def test_what_is_not_served_is_unimplemented(jobs: aiplatform_v1.JobServiceClient, channel: grpc.Channel) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="ListNasJobs"):
        list(jobs.list_nas_jobs(parent=PARENT))
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(f"/{PACKAGE}.ModelService/ListModels")(b"")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_message_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(f"/{PACKAGE}.PipelineService/GetPipelineJob")(b"x" * (LARGEST_MESSAGE + 1))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


KNOWN = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "ALREADY_EXISTS", "FAILED_PRECONDITION"}
NAMES = st.sampled_from(
    [
        "CreatePipelineJob",
        "GetPipelineJob",
        "ListPipelineJobs",
        "DeletePipelineJob",
        "CancelPipelineJob",
        "BatchCancelPipelineJobs",
        "BatchDeletePipelineJobs",
        "GetTrainingPipeline",
    ]
)
LIST = aiplatform_v1.ListPipelineJobsRequest
LISTS = st.builds(
    lambda text, order, token, size: LIST.serialize(
        LIST(parent=PARENT, filter=text, order_by=order, page_token=token, page_size=size)
    ),
    st.text(max_size=12), st.text(max_size=8), st.text(max_size=8), st.integers(-5, 200),
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, st.binary(max_size=40) | LISTS)
def test_any_bytes_get_a_known_answer(channel: grpc.Channel, method: str, data: bytes) -> None:
    call = channel.unary_unary(f"/{PACKAGE}.PipelineService/{method}").future(data, timeout=120)
    assert call.code().name in KNOWN, call.details()
    assert call.details() or call.code() == grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"status": "RESOURCE_EXHAUSTED"}, exceptions.ResourceExhausted),
        ({"reset": True}, exceptions.ServiceUnavailable),
        ({"lost_response": True}, exceptions.ServiceUnavailable),
    ],
)
def test_faults(
    emulator: VertexEmulator,
    pipelines: aiplatform_v1.PipelineServiceClient,
    fault: dict[str, Any],
    raised: type[Exception],
) -> None:
    queued = {"faults": [{"method": "CreatePipelineJob", **fault}]}
    requests.post(f"{emulator.url}/_emulator/faults", json=queued, timeout=120).raise_for_status()
    job_id = f"fault-{'-'.join(fault).replace('_', '-')}"
    with pytest.raises(raised):
        pipelines.create_pipeline_job(parent=PARENT, pipeline_job=pipeline_job(), pipeline_job_id=job_id)
    name = f"{PARENT}/pipelineJobs/{job_id}"
    there = requests.get(f"{emulator.url}/v1/{name}", timeout=120).status_code == 200
    assert there == ("lost_response" in fault)


def test_both_protocols_with_tls(tmp_path: Path) -> None:
    with VertexEmulator({"image": Noop(0)}, data=tmp_path / "data", tls=True) as emulator:
        assert emulator.ca is not None
        assert stat.S_IMODE((tmp_path / "data" / "server.key").stat().st_mode) == 0o600
        assert sorted(path.name for path in (tmp_path / "data").glob("*.pem")) == ["ca.pem", "roots.pem", "server.pem"]
        context = ssl.create_default_context(cafile=emulator.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for host in ("127.0.0.1", "localhost"):
            url = emulator.url.replace("127.0.0.1", host)
            with urllib.request.urlopen(f"{url}/_emulator/health", context=context, timeout=120) as response:
                assert response.status == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(emulator.url, timeout=120)
        trusted = grpc.ssl_channel_credentials(emulator.ca.read_bytes())
        # As with a resolver that points Google's host name here.
        options = [("grpc.ssl_target_name_override", "europe-west1-aiplatform.googleapis.com")]
        with grpc.secure_channel(emulator.grpc_target, trusted, options) as channel:
            client = aiplatform_v1.PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))
            assert list(client.list_pipeline_jobs(parent=PARENT)) == []


def wait(pipelines: aiplatform_v1.PipelineServiceClient, name: str, timeout: dict[str, int]) -> Any:
    # The client does not read this answer: it gives its bytes.
    return operations_pb2.Operation.FromString(pipelines.wait_operation({"name": name, "timeout": timeout}))


def test_operations_are_waited_for_over_both_protocols(
    emulator: VertexEmulator, pipelines: aiplatform_v1.PipelineServiceClient
) -> None:
    created = pipelines.create_pipeline_job(parent=PARENT, pipeline_job=pipeline_job("endless"))
    cancelling = pipelines.batch_cancel_pipeline_jobs(parent=PARENT, names=[created.name]).operation
    waited = wait(pipelines, cancelling.name, {"seconds": 30})
    assert waited.done
    assert waited.response.TypeName().endswith("BatchCancelPipelineJobsResponse")
    url = f"{emulator.url}/v1/{cancelling.name}"
    assert requests.post(f"{url}:wait", params={"timeout": "5s"}, timeout=120).json()["done"]
    refused = requests.post(f"{url}:wait", params={"timeout": "-5s"}, timeout=120)
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    for act, method in ((pipelines.cancel_operation, requests.post), (pipelines.delete_operation, requests.delete)):
        with pytest.raises(exceptions.MethodNotImplemented):
            act({"name": cancelling.name})
        assert method(url + (":cancel" if method is requests.post else ""), timeout=120).status_code == 501
    with pytest.raises(exceptions.NotFound):
        wait(pipelines, f"{PARENT}/operations/1", {"seconds": 30})


def test_a_wait_ends_without_an_end(
    emulator: VertexEmulator, pipelines: aiplatform_v1.PipelineServiceClient, tmp_path: Path
) -> None:
    program = "trap '' TERM; echo ready; while ! [ -e \"$1\" ]; do sleep 0.05; done"
    args = {"a": ["-c", program, "sh", str(tmp_path / "end")]}
    spec = container_spec({"a": []}, image="folder", command=["sh"], args=args)
    job = aiplatform_v1.PipelineJob.from_json(json.dumps(body(spec)))
    name = pipelines.create_pipeline_job(parent=PARENT, pipeline_job=job).name
    log: dict[str, Any] = {}
    while not log.get("entries"):
        details = pipelines.get_pipeline_job(name=name).job_detail.task_details
        if main_job := details[-1].executor_detail.container_detail.main_job if details else "":
            log = requests.get(f"{emulator.url}/_emulator/log", params={"job": main_job}, timeout=120).json()
    operation = pipelines.batch_cancel_pipeline_jobs(parent=PARENT, names=[name]).operation
    assert not wait(pipelines, operation.name, {"nanos": 1000}).done
    (tmp_path / "end").touch()
    assert wait(pipelines, operation.name, {"seconds": 30}).done


@pytest.mark.parametrize("method", [m for m in METHODS if m.name not in SERVED], ids=lambda m: f"{m.name} {m.template}")
def test_every_other_method_is_unimplemented(emulator: VertexEmulator, channel: grpc.Channel, method: Method) -> None:
    path = re.sub(r"{[a-z_.]+=([^}]+)}", lambda found: found[1].replace("*", "x1"), method.template)
    response = requests.request(method.verb, f"{emulator.url}{path}", json={}, timeout=120)
    assert (response.status_code, response.json()["error"]["status"]) == (501, "UNIMPLEMENTED")
    assert method.name in response.json()["error"]["message"]
    service, _, name = method.name.partition(".")
    package = "google.longrunning" if service == "Operations" else PACKAGE
    with pytest.raises(grpc.RpcError, match=method.name) as refused:
        channel.unary_unary(f"/{package}.{service}/{name}")(b"")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
