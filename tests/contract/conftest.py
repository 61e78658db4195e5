"""Where the contract tests run: on the emulator, or on the real Vertex AI.

With ``VERTEX_TEST_PROJECT``, ``VERTEX_TEST_REGION`` and ``VERTEX_TEST_BUCKET`` set, the same tests create real jobs,
with the application default credentials, and cost money. At the end every job that was made is cancelled and deleted,
here and there. What Vertex AI writes below ``contract/`` in the bucket stays.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from google.protobuf.timestamp_pb2 import Timestamp

# A public image that has Python; on the emulator the same name stands for an empty folder.
IMAGE = "python:3.11-slim"
FINAL = ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED")


@dataclass
class Vertex:
    """A Vertex AI to test: the emulator's address or the real one's."""

    url: str
    project: str
    region: str
    bucket: str
    session: requests.Session
    patience: float
    real: bool
    made: list[str] = field(default_factory=list)
    """The names of the jobs to remove at the end."""
    grpc_target: str = ""

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def name(self, job_id: str) -> str:
        return f"{self.parent}/pipelineJobs/{job_id}"

    def job_id(self) -> str:
        job_id = f"contract-{uuid.uuid4().hex[:12]}"
        self.made.append(self.name(job_id))
        return job_id

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}/v1/{path}", timeout=60, **options)

    def create(self, body: Mapping[str, Any], job_id: str | None = None) -> requests.Response:
        params = {"pipelineJobId": job_id} if job_id else {}
        return self.call("POST", f"{self.parent}/pipelineJobs", params=params, json=body)

    def created(self, body: Mapping[str, Any]) -> str:
        job_id = self.job_id()
        response = self.create(body, job_id)
        assert response.status_code == 200, response.text
        return job_id

    def get(self, job_id: str) -> dict[str, Any]:
        response = self.call("GET", self.name(job_id))
        assert response.status_code == 200, response.text
        return dict(response.json())

    def ended(self, job_id: str) -> dict[str, Any]:
        return self.until(self.name(job_id), *FINAL)

    def until(self, name: str, *states: str) -> dict[str, Any]:
        """Wait until a job of either kind is in one of these states."""
        return self._polled(lambda: dict(self.call("GET", name).json()), lambda job: job["state"] in states)

    def done(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until a long-running operation is done."""
        return self._polled(
            lambda: dict(self.call("GET", operation["name"]).json()), lambda found: bool(found.get("done"))
        )

    def _polled(self, get: Callable[[], dict[str, Any]], right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + self.patience
        while not right(found := get()):
            assert time.monotonic() < deadline, f"after {self.patience} seconds: {found}"
            time.sleep(5 if self.real else 0.02)
        return found

    def remove(self) -> None:
        """Cancel and delete every job that was made."""
        for name in self.made:
            self.call("POST", f"{name}:cancel", json={})
        for name in self.made:
            self._polled(
                lambda name=name: dict(self.call("DELETE", name).json()),  # type: ignore[misc]
                lambda found: found.get("error", {}).get("status") != "FAILED_PRECONDITION",
            )

    def body(self, *argvs: list[str], parameters: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A job of container tasks ``task-0``, ``task-1`` ... one after the other."""
        inputs = {"parameters": {name: {"parameterType": "STRING"} for name in parameters or {}}}
        given = {"parameters": {name: {"componentInputParameter": name} for name in parameters or {}}}
        executors, components, tasks = {}, {}, {}
        for index, argv in enumerate(argvs):
            executors[f"exec-{index}"] = {"container": {"image": IMAGE, "command": argv[:1], "args": argv[1:]}}
            components[f"comp-{index}"] = {"executorLabel": f"exec-{index}", "inputDefinitions": inputs}
            tasks[f"task-{index}"] = {
                "taskInfo": {"name": f"task-{index}"},
                "componentRef": {"name": f"comp-{index}"},
                "cachingOptions": {},
                "dependentTasks": [f"task-{index - 1}"] if index else [],
                "inputs": given,
            }
        return {
            "displayName": "contract test",
            "labels": {"contract-test": "yes"},
            "pipelineSpec": {
                "pipelineInfo": {"name": "contract-test"},
                "schemaVersion": "2.1.0",
                "sdkVersion": "contract-test",
                "deploymentSpec": {"executors": executors},
                "components": components,
                "root": {"inputDefinitions": inputs, "dag": {"tasks": tasks}},
            },
            "runtimeConfig": {
                "gcsOutputDirectory": f"gs://{self.bucket}/contract",
                "parameterValues": dict(parameters or {}),
            },
            **fields,
        }


def in_order(*times: str) -> bool:
    """Whether these times of one answer follow each other. Their texts have 0, 3 or 6 digits of a second."""
    moments = []
    for time_ in times:
        moment = Timestamp()
        moment.FromJsonString(time_)
        moments.append(moment.ToNanoseconds())
    return moments == sorted(moments)


@pytest.fixture(scope="session")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vertex]:
    project, region, bucket = (os.environ.get(f"VERTEX_TEST_{name}", "") for name in ("PROJECT", "REGION", "BUCKET"))
    if project and region and bucket:
        import google.auth
        from google.auth.transport.requests import AuthorizedSession

        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        host = f"{region}-aiplatform.googleapis.com"
        # It renews the token when that runs out, as it does after an hour.
        session = AuthorizedSession(credentials)
        real = Vertex(f"https://{host}", project, region, bucket, session, 1800, real=True, grpc_target=host)
        yield real
        real.remove()
        return
    from airflow_provider_kedro_vertex.emulator import VertexEmulator

    with (
        VertexEmulator({IMAGE: tmp_path_factory.mktemp("image")}, max_parallel=4) as emulator,
        requests.Session() as session,
    ):
        local = Vertex(emulator.url, "demo-project", "europe-west1", "bucket", session, 60, real=False)
        local.grpc_target = emulator.grpc_target
        yield local
        local.remove()
        for collection in ("pipelineJobs", "customJobs"):
            left = local.call("GET", f"{local.parent}/{collection}", params={"filter": "labels.contract-test=yes"})
            assert left.json() == {}, "a test made a job that nobody removed"
