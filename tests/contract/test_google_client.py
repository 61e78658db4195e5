"""Google's own clients and compiler, unmodified, against the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1.services.pipeline_service.transports import PipelineServiceGrpcTransport
from kfp import compiler

from .conftest import Vertex
from .kfp_pipelines import greetings


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(vertex: Vertex, request: pytest.FixtureRequest) -> Iterator[aiplatform_v1.PipelineServiceClient]:
    if vertex.real:
        options = ClientOptions(api_endpoint=vertex.grpc_target)
        yield aiplatform_v1.PipelineServiceClient(client_options=options, transport=request.param)
    elif request.param == "rest":
        # A scheme in the endpoint is kept by the REST transport; without one it would insist on https.
        options = ClientOptions(api_endpoint=vertex.url)
        yield aiplatform_v1.PipelineServiceClient(
            credentials=AnonymousCredentials(), client_options=options, transport="rest"
        )
    else:
        with grpc.insecure_channel(vertex.grpc_target) as channel:
            yield aiplatform_v1.PipelineServiceClient(transport=PipelineServiceGrpcTransport(channel=channel))


def test_the_client_creates_gets_lists_cancels_and_deletes(
    vertex: Vertex, client: aiplatform_v1.PipelineServiceClient
) -> None:
    body = vertex.body(["python", "-c", "import time; time.sleep(600)"])
    job = aiplatform_v1.PipelineJob.from_json(json.dumps(body))
    job_id = vertex.job_id()
    created = client.create_pipeline_job(parent=vertex.parent, pipeline_job=job, pipeline_job_id=job_id)
    assert created.state == aiplatform_v1.PipelineState.PIPELINE_STATE_PENDING
    vertex.until(vertex.name(job_id), "PIPELINE_STATE_RUNNING")
    got = client.get_pipeline_job(name=vertex.name(job_id))
    assert got.state == aiplatform_v1.PipelineState.PIPELINE_STATE_RUNNING
    assert "task-0" in [task.task_name for task in got.job_detail.task_details]
    with pytest.raises(exceptions.Conflict):
        client.create_pipeline_job(parent=vertex.parent, pipeline_job=job, pipeline_job_id=job_id)
    with pytest.raises(exceptions.BadRequest, match="RUNNING"):
        client.delete_pipeline_job(name=vertex.name(job_id))
    request = {"parent": vertex.parent, "filter": f'pipeline_job_user_id="{job_id}"', "page_size": 1}
    assert [one.name.rpartition("/")[2] for one in client.list_pipeline_jobs(request=request)] == [job_id]
    client.cancel_pipeline_job(name=vertex.name(job_id))
    vertex.until(vertex.name(job_id), "PIPELINE_STATE_CANCELLED")
    client.delete_pipeline_job(name=vertex.name(job_id)).result(timeout=vertex.patience)
    with pytest.raises(exceptions.NotFound):
        client.get_pipeline_job(name=vertex.name(job_id))


def test_the_client_reads_every_page(vertex: Vertex, client: aiplatform_v1.PipelineServiceClient) -> None:
    made = {vertex.created(vertex.body(["python", "-c", "pass"], labels={"paged": "yes"})) for _ in range(3)}
    request = {"parent": vertex.parent, "filter": "labels.paged=yes", "page_size": 2}
    found = {job.name.rpartition("/")[2] for job in client.list_pipeline_jobs(request=request)}
    assert made <= found
    for job_id in made:
        vertex.ended(job_id)


def test_a_pipeline_compiled_by_kfp_runs(vertex: Vertex, tmp_path: Path) -> None:
    compiler.Compiler().compile(greetings, str(tmp_path / "spec.yaml"))
    body = vertex.body()
    body["pipelineSpec"] = yaml.safe_load((tmp_path / "spec.yaml").read_text())
    body["runtimeConfig"]["parameterValues"] = {"who": "world"}
    job = vertex.ended(vertex.created(body))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED", job.get("error")
    states = {task["taskName"]: task["state"] for task in job["jobDetail"]["taskDetails"]}
    assert (states["say"], states["say-2"]) == ("SUCCEEDED", "SUCCEEDED")
