"""Where the contract tests run: on the emulator, or on the real Vertex AI.

With ``VERTEX_TEST_PROJECT``, ``VERTEX_TEST_REGION`` and ``VERTEX_TEST_BUCKET`` set, the same tests create real jobs,
with the application default credentials, and cost money.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

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
    headers: Mapping[str, str]
    patience: float
    real: bool
    made: list[str] = field(default_factory=list)

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def name(self, job_id: str) -> str:
        return f"{self.parent}/pipelineJobs/{job_id}"

    def job_id(self) -> str:
        job_id = f"contract-{uuid.uuid4().hex[:12]}"
        self.made.append(job_id)
        return job_id

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, f"{self.url}/v1/{path}", headers=self.headers, timeout=60, **options)

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
        return self.until(job_id, *FINAL)

    def until(self, job_id: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + self.patience
        while (job := self.get(job_id))["state"] not in states:
            assert time.monotonic() < deadline, f"{job_id} is in {job['state']} after {self.patience} seconds"
            time.sleep(5 if self.real else 0.02)
        return job

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


@pytest.fixture(scope="session")
def vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vertex]:
    project, region, bucket = (os.environ.get(f"VERTEX_TEST_{name}", "") for name in ("PROJECT", "REGION", "BUCKET"))
    if project and region and bucket:
        import google.auth
        import google.auth.transport.requests

        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        credentials.refresh(google.auth.transport.requests.Request())
        url = f"https://{region}-aiplatform.googleapis.com"
        real = Vertex(url, project, region, bucket, {"Authorization": f"Bearer {credentials.token}"}, 1800, real=True)
        yield real
        for job_id in real.made:
            real.call("POST", f"{real.name(job_id)}:cancel", json={})
        return
    from airflow_provider_kedro_vertex.emulator import VertexEmulator

    with VertexEmulator({IMAGE: tmp_path_factory.mktemp("image")}, max_parallel=4) as emulator:
        yield Vertex(emulator.url, "demo-project", "europe-west1", "bucket", {}, 60, real=False)
