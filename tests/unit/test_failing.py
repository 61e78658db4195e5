"""The explanation of a failed job, with what Cloud Logging has of it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.compat import AIRFLOW, AirflowException
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.hooks import KedroVertexHook
from airflow_provider_kedro_vertex.sensors import KedroVertexPipelineSensor
from airflow_provider_kedro_vertex.task.errors import job_error
from tests.unit.jobs import body

if AIRFLOW >= (3, 0):
    from airflow.sdk import BaseNotifier
else:
    from airflow.notifications.basenotifier import BaseNotifier

CODE = """
import json
for number in range(60):
    print("line", number)
print()
print(json.dumps({"mlflow_run_id": "7", "mlflow_url": "http://mlflow/#/7"}))
print(json.dumps({"node": "only", "error": "ValueError: no rows", "seconds": 0.1}))
raise SystemExit(1)
"""


def explained(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch, name: str) -> tuple[str, str, dict[str, str]]:
    """Run a job that fails; what is told of it, its class, and the links that are kept."""
    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": vertex.url, "console_url": vertex.url}
    extra["logging_endpoint"] = vertex.url
    connection = {"conn_type": "google_cloud_platform", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", json.dumps(connection))
    hook = KedroVertexHook(gcp_conn_id="local")
    client = hook.client(None, "europe-west1")
    job = client.create_pipeline_job(name, body(CODE))
    while not is_over(job["state"]):
        job = client.get_job(job["name"])
    kept: dict[str, str] = {}
    task = SimpleNamespace(job_links={})
    ti = SimpleNamespace(xcom_push=lambda key, value: kept.update({key: value}))
    context: Any = {"ti": ti, "task": task}
    error = job_error(hook, client, job, context)
    return str(error), error.failure_class, kept


def test_the_error_has_the_end_of_the_failed_nodes_log(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    text, failure_class, kept = explained(vertex, monkeypatch, "failing-1")

    lines = text.splitlines()
    assert failure_class == "user code"
    assert lines[0].startswith("Vertex AI job failing-1 failed: the code of a node raised an error. It has ended, ")
    assert lines[2] == "    Error of node only after 0.1 s: ValueError: no rows"
    assert lines[3] == "    The end of its log (50 lines):"
    assert "      line 59" in lines
    assert "      line 5" not in lines
    assert "levelname" not in text, "an empty line is told as nothing"
    assert lines[-3] == f"    Its log: {kept['vertex_ai_logs']}"
    assert lines[-2].startswith(f"See {vertex.url}/vertex-ai/locations/europe-west1/pipelines/runs/failing-1?")
    assert lines[-1].startswith("Mend the node, build its image and clear this task")
    assert kept["mlflow"] == "http://mlflow/#/7"


def test_a_log_that_may_not_be_read_hides_nothing_else(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = {"method": "ListLogEntries", "status": "PERMISSION_DENIED", "message": "No."}
    requests.post(f"{vertex.url}/_emulator/faults", json={"faults": [fault]}, timeout=120).raise_for_status()

    text, failure_class, _ = explained(vertex, monkeypatch, "failing-2")

    assert failure_class == "user code"
    assert "exited with a non-zero status of 1" in text
    assert "(Its log could not be read: Cloud Logging refused POST v2/entries:list with status 403: No.)" in text


class Told(BaseNotifier):
    """A notifier of Airflow's, which renders its text."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.told: list[str] = []

    def notify(self, context: Any) -> None:
        self.told.append(self.text)


def failing(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch, name: str, callback: Any) -> tuple[Any, Any]:
    """A job that has failed, as the sensor that waits for it tells it; the sensor's log is quiet."""
    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": vertex.url, "console_url": vertex.url}
    extra["logging_endpoint"] = vertex.url
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))
    client = KedroVertexHook(gcp_conn_id="local").client(None, "europe-west1")
    job = client.create_pipeline_job(name, body(CODE))
    while not is_over(job["state"]):
        job = client.get_job(job["name"])
    sensor = KedroVertexPipelineSensor(task_id="wait", job=job["name"], gcp_conn_id="local", on_node_failure=callback)
    ti = SimpleNamespace(xcom_push=lambda key, value: None)
    context: Any = {"ti": ti, "task": sensor, "dag": None}
    with pytest.raises(AirflowException) as raised:
        sensor.poke(context)
    return raised.value, context


def test_whoever_asked_is_told_of_the_failed_nodes(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    failing(vertex, monkeypatch, "told-1", lambda context: found.extend(context["failed_nodes"]))

    (failed,) = found
    assert (failed.group, failed.node, failed.error) == ("only", "only", "ValueError: no rows")
    assert "exited with a non-zero status of 1" in failed.message
    assert len(failed.log) == 50
    assert failed.log_url.startswith(f"{vertex.url}/logs/query;query=")
    assert failed.job.endswith("/pipelineJobs/told-1")
    assert "/pipelines/runs/told-1" in failed.job_url


def test_a_notifier_of_airflow_renders_them(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = Told("{% for failed in failed_nodes %}{{ failed.node }}: {{ failed.error }}{% endfor %}")
    failing(vertex, monkeypatch, "told-2", notifier)
    assert notifier.told == ["only: ValueError: no rows"]


def test_a_notifier_that_fails_hides_nothing(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(context: Any) -> None:
        raise RuntimeError("no network")

    error, _ = failing(vertex, monkeypatch, "told-3", fails)
    assert "Error of node only after 0.1 s: ValueError: no rows" in str(error)
