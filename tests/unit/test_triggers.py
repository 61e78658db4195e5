"""The hook and the trigger, against the emulator."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from asgiref.sync import async_to_sync

from airflow_provider_kedro_vertex import triggers
from airflow_provider_kedro_vertex.compat import in_thread
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.hooks import KedroVertexHook
from airflow_provider_kedro_vertex.triggers import KedroVertexJobTrigger, KedroVertexNodeTrigger
from airflow_provider_kedro_vertex.vertex import poller
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from tests.unit.jobs import body

PARENT = "projects/demo-project/locations/europe-west1"


@pytest.fixture
def hook(vertex: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> KedroVertexHook:
    connect(monkeypatch, vertex.url)
    return KedroVertexHook(gcp_conn_id="local")


@pytest.fixture(autouse=True)
def shortest_deferral(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests wait no longer than they must."""
    monkeypatch.setattr(triggers.job, "SHORTEST_PAUSE_SECONDS", 0.0)


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **extra: Any) -> None:
    connection = {
        "conn_type": "google_cloud_platform",
        "extra": {"project": "demo-project", "is_anonymous": True, "api_endpoint": url, "console_url": url, **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", json.dumps(connection))


def trigger(job: str, outage_timeout: float = 60.0, end_task: bool = False) -> KedroVertexJobTrigger:
    made = KedroVertexJobTrigger(
        job,
        gcp_conn_id="local",
        impersonation_chain=None,
        poll_interval=0.05,
        outage_timeout=outage_timeout,
        cancel_on_kill=True,
        end_task=end_task,
        since=None,
        seen={},
    )
    path, arguments = made.serialize()
    assert path == "airflow_provider_kedro_vertex.triggers.job.KedroVertexJobTrigger"
    return KedroVertexJobTrigger(**json.loads(json.dumps(arguments)))  # as the triggerer gets it


async def event(waiting: KedroVertexJobTrigger) -> dict[str, Any]:
    payloads = [fired.payload async for fired in waiting.run()]
    assert len(payloads) == 1
    payload: dict[str, Any] = payloads[0]
    return payload


def test_the_hook_takes_project_and_endpoint_from_the_connection(hook: KedroVertexHook, vertex: VertexEmulator) -> None:
    client = hook.client(None, "europe-west1")

    assert (client.parent, client.endpoint) == (PARENT, vertex.url)
    assert hook.job_url(f"{PARENT}/pipelineJobs/x") == (
        f"{vertex.url}/vertex-ai/locations/europe-west1/pipelines/runs/x?project=demo-project"
    )


def test_the_hook_says_what_is_missing(hook: KedroVertexHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^No region is set\. Set it in vertexai\.yml or as an argument"):
        hook.client(None, None)
    with pytest.raises(ConfigError, match=r"^'job-1' is no job: "):
        hook.client_of("job-1")
    connect(monkeypatch, "http://127.0.0.1:1", project=None)
    with pytest.raises(ConfigError, match=r"^No project_id is set\. .* connection 'local'\.$"):
        KedroVertexHook(gcp_conn_id="local").client(None, "europe-west1")


@pytest.mark.parametrize(
    ("code", "state"), [("print(1)", "PIPELINE_STATE_SUCCEEDED"), ("raise SystemExit(3)", "PIPELINE_STATE_FAILED")]
)
def test_the_trigger_fires_when_the_job_has_ended(hook: KedroVertexHook, code: str, state: str) -> None:
    name = hook.client(None, "europe-west1").create_pipeline_job(f"trigger-{state[-6:].lower()}", body(code))["name"]

    seen = {"only": state.removeprefix("PIPELINE_STATE_")}
    assert asyncio.run(event(trigger(name))) == {"name": name, "state": state, "seen": seen}


def test_a_task_that_goes_on_in_a_worker_stays_deferred_until_the_scheduler_knows(
    hook: KedroVertexHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers.job, "SHORTEST_PAUSE_SECONDS", 1.5)
    started = time.monotonic()
    gone = asyncio.run(event(trigger(f"{PARENT}/pipelineJobs/none")))

    assert gone["final"]
    assert time.monotonic() - started >= 1.5


def test_killing_a_deferred_task_cancels_its_job(hook: KedroVertexHook) -> None:
    client = hook.client(None, "europe-west1")
    name = client.create_pipeline_job("trigger-kill", body("import time; time.sleep(600)"))["name"]

    asyncio.run(trigger(name).on_kill())

    if not hasattr(BaseTrigger, "on_kill"):
        # An Airflow that does not tell of kills cannot be asked here either, so the job is left alone.
        assert client.get_job(name)["state"] in ("PIPELINE_STATE_PENDING", "PIPELINE_STATE_RUNNING")
        client.cancel_job(name)
    assert asyncio.run(event(trigger(name)))["state"] == "PIPELINE_STATE_CANCELLED"


def test_a_job_that_is_gone_is_an_error_event(hook: KedroVertexHook) -> None:
    fired = asyncio.run(event(trigger(f"{PARENT}/pipelineJobs/never-made")))

    assert "status 404" in fired["error"]
    assert fired["final"]


def test_a_wait_gives_up_when_nobody_answers_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers.job, "CALL_SECONDS", 0.1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connect(monkeypatch, f"http://127.0.0.1:{unused.getsockname()[1]}")

        fired = asyncio.run(event(trigger(f"{PARENT}/pipelineJobs/x", outage_timeout=0.3)))

    assert not fired["final"]
    assert fired["error"].startswith("Vertex AI does not answer at http://127.0.0.1:")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What triggers leave in XCom."""
    found: dict[str, str] = {}

    async def keep(ti: Any, values: dict[str, str]) -> bool:
        found.update(values)
        return True

    monkeypatch.setattr(triggers.job, "keep_in_xcom", keep)
    return found


def test_a_waiting_node_has_its_links_from_its_start(
    hook: KedroVertexHook, vertex: VertexEmulator, kept: dict[str, str]
) -> None:
    client = hook.client(None, "europe-west1")
    name = client.create_pipeline_job("trigger-links", body("import time; time.sleep(600)"))["name"]
    arguments = {**trigger(name).serialize()[1], "console_url": vertex.url}
    waiting = KedroVertexNodeTrigger("only", **arguments)

    async def links_of_running_node() -> None:
        run = asyncio.create_task(event(waiting))
        while "vertex_ai_job" not in kept:
            await asyncio.sleep(0.05)
        assert not run.done()
        await asyncio.to_thread(client.cancel_job, name)
        await run

    asyncio.run(asyncio.wait_for(links_of_running_node(), 120))
    (number,) = [task.number for task in outcome.tasks(client.get_job(name))]
    assert kept["vertex_ai_logs"] == hook.logs_url("demo-project", [str(number)])
    assert kept["vertex_ai_job"] == hook.job_url(f"{PARENT}/customJobs/{number}")


def test_a_waiting_task_has_the_link_to_the_mlflow_run_as_soon_as_there_is_one(
    hook: KedroVertexHook, monkeypatch: pytest.MonkeyPatch, kept: dict[str, str]
) -> None:
    answers = [None, b"no json", b'{"run_id": "7", "url": "http://mlflow/#/7"}']
    asked: list[str] = []

    def find_object(client: VertexClient, url: str) -> bytes | None:
        asked.append(url)
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(VertexClient, "find_object", find_object)
    waiting = trigger(f"{PARENT}/pipelineJobs/x")
    waiting.mlflow_file = "gs://bucket/runs/mlflow-run.json"

    async def looks() -> None:
        for _ in range(5):
            await waiting._keep_mlflow_page()

    asyncio.run(looks())
    assert kept == {"mlflow": "http://mlflow/#/7"}
    assert asked == ["gs://bucket/runs/mlflow-run.json"] * 3, "it is not asked for again"


def test_a_web_shell_is_linked_to_while_it_is_open(
    hook: KedroVertexHook, monkeypatch: pytest.MonkeyPatch, kept: dict[str, str]
) -> None:
    shells = {"workerpool1-0": "https://shell/1", "workerpool0-0": "https://shell/0"}
    job = f"{PARENT}/customJobs/7"
    states = iter(["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"])

    def get_job(client: VertexClient, name: str) -> dict[str, Any]:
        state = next(states)
        return {"name": name, "state": state, "webAccessUris": shells if state.endswith("RUNNING") else {}}

    monkeypatch.setattr(VertexClient, "get_job", get_job)
    monkeypatch.setattr(VertexClient, "list_jobs", lambda *args, **kwargs: iter(()))
    monkeypatch.setattr(poller, "READ_AGAIN", 0.0)
    assert asyncio.run(event(trigger(job)))["state"] == "JOB_STATE_SUCCEEDED"
    assert kept == {"vertex_ai_web_shell": "https://shell/0"}


def test_what_asks_airflow_from_a_thread_comes_back_to_the_triggers_own_loop() -> None:
    """So Airflow 3.1's triggerer asks; in another loop it would take the answers of other triggers."""

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def run() -> bool:
        return await in_thread(lambda: async_to_sync(loop)()) is asyncio.get_running_loop()

    assert asyncio.run(run())


def test_a_cancelled_trigger_leaves_no_question_half_asked() -> None:
    asked = []

    async def ask() -> None:
        started.set()
        await asyncio.sleep(0.1)
        asked.append("answered")

    async def run() -> None:
        trigger = asyncio.create_task(in_thread(lambda: async_to_sync(ask)()))
        await started.wait()
        trigger.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trigger
        while not asked:
            await asyncio.sleep(0.01)

    started = asyncio.Event()
    asyncio.run(asyncio.wait_for(run(), 60))
