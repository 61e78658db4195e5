from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.core.errors import (
    AlreadyExistsError,
    BadRequestError,
    NotFoundError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.core.states import is_over
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from tests.unit.jobs import body

LONG = "import time; time.sleep(600)"


def wait(client: VertexClient, name: str, wanted: Callable[[str], bool] = is_over) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not wanted((job := client.get_pipeline_job(name))["state"]):
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def test_create_then_read(client: VertexClient) -> None:
    created = client.create_pipeline_job("client-read", body("print(1)"))

    assert created["name"] == "projects/demo-project/locations/europe-west1/pipelineJobs/client-read"
    assert wait(client, created["name"])["state"] == "PIPELINE_STATE_SUCCEEDED"


def test_a_second_job_of_the_same_id_is_refused(client: VertexClient) -> None:
    client.create_pipeline_job("client-twice", body("print(1)"))

    with pytest.raises(AlreadyExistsError, match=r"client-twice") as raised:
        client.create_pipeline_job("client-twice", body("print(2)"))
    assert raised.value.status == 409


def test_a_job_that_is_not_there(client: VertexClient) -> None:
    with pytest.raises(NotFoundError, match=r"status 404: .*client-none"):
        client.get_pipeline_job(f"{client.parent}/pipelineJobs/client-none")


def test_a_wrong_request_tells_what_vertex_said(client: VertexClient) -> None:
    with pytest.raises(BadRequestError, match=r"status 400: .*nonsense"):
        client.create_pipeline_job("client-wrong", {**body("print(1)"), "nonsense": 1})


def test_list_reads_every_page_of_what_matches(client: VertexClient) -> None:
    for number in range(5):
        client.create_pipeline_job(f"client-list-{number}", body("print(1)", labels={"set": "list"}))
    client.create_pipeline_job("client-list-other", body("print(1)", labels={"set": "other"}))

    jobs = list(client.list_pipeline_jobs("labels.set=list", page_size=2))

    assert [job["name"].rpartition("-")[2] for job in jobs] == ["4", "3", "2", "1", "0"]


def test_cancel_ends_a_job_and_leaves_one_that_has_ended(client: VertexClient) -> None:
    name = client.create_pipeline_job("client-cancel", body(LONG))["name"]
    wait(client, name, lambda state: state == "PIPELINE_STATE_RUNNING")

    client.cancel_pipeline_job(name)
    assert wait(client, name)["state"] == "PIPELINE_STATE_CANCELLED"
    client.cancel_pipeline_job(name)
    assert client.get_pipeline_job(name)["state"] == "PIPELINE_STATE_CANCELLED"


def test_delete_removes_a_job_that_has_ended(client: VertexClient) -> None:
    name = client.create_pipeline_job("client-delete", body("print(1)"))["name"]
    wait(client, name)
    client.delete_pipeline_job(name)

    with pytest.raises(NotFoundError):
        client.get_pipeline_job(name)


def test_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = VertexClient("p", "r", AnonymousCredentials(), api_endpoint=endpoint, deadline=0.1)

        with pytest.raises(UnavailableError) as raised:
            client.get_pipeline_job("projects/p/locations/r/pipelineJobs/x")

    assert str(raised.value) == (
        f"Vertex AI does not answer at {endpoint} (Connection refused). "
        "Check the network, and api_endpoint in the connection's extra."
    )
    assert raised.value.status is None


@pytest.mark.parametrize(
    ("region", "universe", "endpoint"),
    [
        ("europe-west1", None, "https://europe-west1-aiplatform.googleapis.com"),
        ("global", None, "https://aiplatform.googleapis.com"),
        ("u-de-1", "s3nsapis.fr", "https://u-de-1-aiplatform.s3nsapis.fr"),
    ],
)
def test_the_endpoint_follows_region_and_universe(region: str, universe: str | None, endpoint: str) -> None:
    credentials = AnonymousCredentials()
    if universe:
        credentials._universe_domain = universe

    assert VertexClient("p", region, credentials).endpoint == endpoint
