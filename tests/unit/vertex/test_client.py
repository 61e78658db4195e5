from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from airflow_provider_kedro_vertex.core.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConfigError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    UnavailableError,
    VertexApiError,
)
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from airflow_provider_kedro_vertex.vertex.rest import _reason, _seconds
from tests.unit.jobs import IMAGE, body

LONG = "import time; time.sleep(600)"


def wait(client: VertexClient, name: str, wanted: Callable[[str], bool] = is_over) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while not wanted((job := client.get_job(name))["state"]):
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
        client.get_job(f"{client.parent}/pipelineJobs/client-none")


def test_a_wrong_request_tells_what_vertex_said(client: VertexClient) -> None:
    with pytest.raises(BadRequestError, match=r"status 400: .*nonsense"):
        client.create_pipeline_job("client-wrong", {**body("print(1)"), "nonsense": 1})


def test_list_reads_every_page_of_what_matches(client: VertexClient) -> None:
    for number in range(5):
        client.create_pipeline_job(f"client-list-{number}", body("print(1)", labels={"set": "list"}))
    client.create_pipeline_job("client-list-other", body("print(1)", labels={"set": "other"}))

    jobs = list(client.list_jobs("pipelineJobs", "labels.set=list", page_size=2))

    assert [job["name"].rpartition("-")[2] for job in jobs] == ["4", "3", "2", "1", "0"]


def test_cancel_ends_a_job_and_leaves_one_that_has_ended(client: VertexClient) -> None:
    name = client.create_pipeline_job("client-cancel", body(LONG))["name"]
    wait(client, name, lambda state: state == "PIPELINE_STATE_RUNNING")

    client.cancel_job(name)
    assert wait(client, name)["state"] == "PIPELINE_STATE_CANCELLED"
    client.cancel_job(name)
    assert client.get_job(name)["state"] == "PIPELINE_STATE_CANCELLED"


def test_delete_removes_a_job_that_has_ended(client: VertexClient) -> None:
    name = client.create_pipeline_job("client-delete", body("print(1)"))["name"]
    wait(client, name)
    client.delete_job(name)

    with pytest.raises(NotFoundError):
        client.get_job(name)


def test_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = VertexClient("p", "r", AnonymousCredentials(), endpoints=Endpoints(endpoint), deadline=0.1)

        with pytest.raises(UnavailableError) as raised:
            client.get_job("projects/p/locations/r/pipelineJobs/x")

    assert str(raised.value) == (
        f"Vertex AI does not answer at {endpoint} (Connection refused). "
        "Check the network, and the address: api_endpoint in the connection's extra, or --api-endpoint of a command."
    )
    assert raised.value.status is None


def custom(code: str, **labels: str) -> dict[str, Any]:
    container = {"imageUri": IMAGE, "command": ["python", "-c", code]}
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "1", "containerSpec": container}
    return {"displayName": "a test", "labels": labels, "jobSpec": {"workerPoolSpecs": [pool]}}


def test_custom_jobs_are_created_read_listed_cancelled_and_deleted(client: VertexClient) -> None:
    first = client.create_custom_job(custom(LONG, set="custom"))["name"]
    second = client.create_custom_job(custom("print(1)", set="custom"))["name"]

    assert {job["name"] for job in client.list_jobs("customJobs", "labels.set=custom", "name", 1)} == {first, second}
    assert wait(client, second)["state"] == "JOB_STATE_SUCCEEDED"
    client.cancel_job(first)
    assert wait(client, first)["state"] == "JOB_STATE_CANCELLED"
    client.cancel_job(first)
    client.delete_job(first)
    with pytest.raises(NotFoundError):
        client.get_job(first)


def test_the_last_lines_of_a_log_come_in_their_order(client: VertexClient) -> None:
    name = client.create_custom_job(custom("for n in range(5): print('line', n)"))["name"]
    wait(client, name)

    found = client.log_entries(f'resource.type="ml_job" AND resource.labels.job_id="{name.rpartition("/")[2]}"', 3)

    assert [entry["jsonPayload"]["message"].strip() for entry in found] == ["line 2", "line 3", "line 4"]


def test_anonymous_callers_do_not_ask_googles_own_cloud_logging() -> None:
    with pytest.raises(PermissionDeniedError, match=r"^The Airflow connection is anonymous"):
        VertexClient("p", "r", AnonymousCredentials()).log_entries("", 1)


def fault(vertex: VertexEmulator, **fault: Any) -> None:
    requests.post(f"{vertex.url}/_emulator/faults", json={"faults": [fault]}, timeout=120).raise_for_status()


def test_a_custom_job_is_never_asked_for_twice(client: VertexClient, vertex: VertexEmulator) -> None:
    fault(vertex, method="CreateCustomJob", lost_response=True)

    with pytest.raises(UnavailableError, match=r"status 503"):
        client.create_custom_job(custom("print(1)", set="lost"))
    assert len(list(client.list_jobs("customJobs", "labels.set=lost"))) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("RESOURCE_EXHAUSTED", QuotaExceededError),
        ("PERMISSION_DENIED", PermissionDeniedError),
        ("INTERNAL", UnavailableError),
    ],
)
def test_each_kind_of_refusal_has_its_class(
    client: VertexClient, vertex: VertexEmulator, status: str, error: type[VertexApiError]
) -> None:
    fault(vertex, method="CreateCustomJob", status=status)

    with pytest.raises(error, match=r"^Vertex AI refused POST projects/demo-project/locations/europe-west1/customJobs"):
        client.create_custom_job(custom("print(1)"))


def test_a_reset_connection_is_tried_again(client: VertexClient, vertex: VertexEmulator) -> None:
    name = client.create_custom_job(custom("print(1)"))["name"]
    fault(vertex, method="GetCustomJob", reset=True)

    assert client.get_job(name)["name"] == name


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[VertexClient]:
    """A client whose Vertex AI is this handler."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield VertexClient("p", "r", AnonymousCredentials(), Endpoints(f"http://127.0.0.1:{server.server_port}"))
        finally:
            server.shutdown()
            thread.join()


def test_the_client_comes_again_when_it_is_told_to() -> None:
    times: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            times.append(time.monotonic())
            self.send_response(429 if len(times) == 1 else 200)
            self.send_header("Retry-After", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with served(Handler) as client:
        assert client.get_job("projects/p/locations/r/customJobs/1") == {}
    assert times[1] - times[0] >= 2.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Sat, 01 Jun 2013 00:00:30 GMT", 30.0),
        ("Fri, 31 May 2013 00:00:00 GMT", 0.0),
        ("x", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert _seconds(header, lambda: datetime(2013, 6, 1, tzinfo=timezone.utc)) == seconds


def test_an_object_is_written_to_cloud_storage(storage: str) -> None:
    client = VertexClient("p", "r", AnonymousCredentials(), Endpoints(storage=storage))
    client.write_object("gs://bucket/runs/a key/params.json", b'{"a": "\xc3\xbc"}')

    written = requests.get(
        f"{storage}/download/storage/v1/b/bucket/o/runs%2Fa%20key%2Fparams.json?alt=media", timeout=120
    )
    assert written.content == b'{"a": "\xc3\xbc"}'


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


def test_a_job_on_a_persistent_resource_is_created_by_the_version_that_knows_it() -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with served(Handler) as client:
        for runtime in ({}, {"defaultRuntime": {}}):
            client.create_pipeline_job("x", {"runtimeConfig": runtime})

    assert asked == [f"/{version}/projects/p/locations/r/pipelineJobs?pipelineJobId=x" for version in ("v1", "v1beta1")]


@pytest.mark.parametrize("service", ["vertex", "logging", "storage"])
def test_credentials_do_not_travel_in_plain_text(service: str) -> None:
    token = Credentials("token")
    with pytest.raises(ConfigError, match=r"http://vertex\.test:80 would be sent your credentials in plain text"):
        VertexClient("p", "r", token, Endpoints(**{service: "http://vertex.test:80"}))
    with pytest.raises(ConfigError, match=r"'https://\[vertex' is no address: "):
        VertexClient("p", "r", token, Endpoints(**{service: "https://[vertex"}))
    for address in ("https://vertex.test", "vertex.test", "http://127.0.0.1:8787", "http://[::1]:8787"):
        VertexClient("p", "r", token, Endpoints(**{service: address}))
    VertexClient("p", "r", AnonymousCredentials(), Endpoints(**{service: "http://vertex.test"}))


def test_a_private_endpoint_may_be_a_bare_host() -> None:
    client = VertexClient("p", "r", AnonymousCredentials(), Endpoints("aiplatform-team.p.googleapis.com/"))

    assert client.endpoint == "https://aiplatform-team.p.googleapis.com"


def test_the_reason_of_a_network_error_is_not_how_it_was_asked() -> None:
    def raised() -> Exception:
        try:
            try:
                raise TypeError("getresponse() got an unexpected keyword argument 'buffering'")
            except TypeError:
                raise ConnectionResetError(104, "Connection reset by peer")  # noqa: B904 - as urllib3 1 does
        except ConnectionResetError as reset:
            try:
                raise requests.ConnectionError("aborted") from reset
            except requests.ConnectionError as error:
                return error

    assert _reason(raised()) == "Connection reset by peer"
