"""The jobs' log lines in Cloud Logging, read with Google's own unmodified client."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import logging as cloud_logging

from .conftest import Vertex

PROGRAM = "import sys; print('to stdout'); sys.stdout.flush(); print('to stderr', file=sys.stderr)"


@pytest.fixture(scope="module")
def client(vertex: Vertex) -> Iterator[cloud_logging.Client]:
    if vertex.real:
        client = cloud_logging.Client(project=vertex.project, _use_grpc=False)
    else:
        client = cloud_logging.Client(
            project=vertex.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": vertex.url},
            _use_grpc=False,
        )
    yield client
    client.close()


def test_the_lines_of_a_task_are_found_by_its_custom_job(vertex: Vertex, client: cloud_logging.Client) -> None:
    job = vertex.ended(vertex.created(vertex.body(["python", "-c", PROGRAM])))
    (task,) = (one for one in job["jobDetail"]["taskDetails"] if one["taskName"] == "task-0")
    number = task["executorDetail"]["containerDetail"]["mainJob"].rpartition("/")[2]
    wanted = (
        f'resource.type="ml_job" AND resource.labels.job_id="{number}" AND resource.labels.task_name="workerpool0-0"'
        f' AND timestamp>="{task["createTime"]}"'
    )
    deadline = time.monotonic() + vertex.patience
    # The real service has an entry some seconds after it was written.
    while True:
        entries = list(client.list_entries(filter_=wanted, order_by="timestamp asc", page_size=1))
        if len(entries) >= 2 or not vertex.real or time.monotonic() > deadline:
            break
        time.sleep(5)
    found = {entry.payload["message"].strip(): entry.severity for entry in entries}
    assert found == {"to stdout": "INFO", "to stderr": "ERROR"}
    assert {entry.resource.labels["job_id"] for entry in entries} == {number}
    errors = client.list_entries(filter_=f"{wanted} AND severity>=ERROR", order_by="timestamp desc")
    assert [entry.payload["message"].strip() for entry in errors] == ["to stderr"]
