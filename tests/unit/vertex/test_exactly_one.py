"""Exactly one job, whatever goes wrong: random schedules of faults, kills, retries and clears.

A task instance of Airflow is played: each of its tries submits as the operators do, and may be killed before or after
any call. The judge is what the emulator, a process of its own, says of its jobs in the end. ``SUBMISSION_SCHEDULES``
sets how many schedules are tried.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from airflow_provider_kedro_vertex.core.errors import VertexApiError
from airflow_provider_kedro_vertex.core.jobs.attempts import KEY_LABEL, TRY_LABEL, TaskTry
from airflow_provider_kedro_vertex.core.jobs.states import is_ending, is_over, succeeded
from airflow_provider_kedro_vertex.vertex import rest, submission
from airflow_provider_kedro_vertex.vertex.client import Collection, Endpoints, VertexClient
from airflow_provider_kedro_vertex.vertex.rest import RestSession
from tests.unit.jobs import body as pipeline_body

SCHEDULES = int(os.environ.get("SUBMISSION_SCHEDULES", "60"))
NOOP = {"lives": "noop:3600", "succeeds": "noop:0.01:succeeded", "fails": "noop:0.01:failed"}
METHODS: Mapping[str, tuple[str, ...]] = {
    "pipelineJobs": ("CreatePipelineJob", "GetPipelineJob", "CancelPipelineJob"),
    "customJobs": ("CreateCustomJob", "ListCustomJobs", "GetCustomJob", "CancelCustomJob"),
}
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": "UNAVAILABLE"},
    {"status": "RESOURCE_EXHAUSTED"},
    {"status": "INTERNAL"},
    {"lost_response": True},
    {"lost_response": True, "reset": True},
    {"reset": True},
    {"delay": 0.02},
)


class KilledError(BaseException):
    """The process ends here, as after `kill -9`."""


class MortalSession(RestSession):
    """Its process may be killed before or after any call."""

    def __init__(self) -> None:
        super().__init__(AnonymousCredentials(), deadline=0.3)
        self.dies_at: int | None = None  # 2n is before call n, 2n + 1 is after it
        self._boundaries = itertools.count()

    def _boundary(self) -> None:
        if next(self._boundaries) == self.dies_at:
            raise KilledError

    def _try(self, *call: Any) -> requests.Response:
        self._boundary()
        try:
            return super()._try(*call)
        finally:
            self._boundary()


class Mortal(VertexClient):
    """A client whose process may be killed before or after any call, and whose lists may lag behind."""

    def __init__(self, url: str) -> None:
        super().__init__("demo-project", "europe-west1", AnonymousCredentials(), Endpoints(url))
        self._rest = self.session = MortalSession()
        self.lagging = 0
        self._listed: set[str] = set()

    @staticmethod
    def _goes_on(job: Mapping[str, Any]) -> bool:
        return job["labels"]["image"] == "lives" and not is_over(job["state"]) and not is_ending(job["state"])

    def list_jobs(self, *arguments: Any) -> Iterator[dict[str, Any]]:
        jobs = {job["name"]: job for job in super().list_jobs(*arguments)}
        hidden: set[str] = set()
        if self.lagging:
            self.lagging -= 1
            # A list is as it was some time ago: what it lacks are the newest jobs.
            new = [job for name, job in jobs.items() if name not in self._listed and self._goes_on(job)]
            since = min((job["createTime"] for job in new), default="9")
            hidden = {name for name, job in jobs.items() if job["createTime"] >= since}
        self._listed |= jobs.keys() - hidden
        return iter([job for name, job in jobs.items() if name not in hidden])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("vertex")
    images = [argument for name, noop in NOOP.items() for argument in ("--image", f"{name}={noop}")]
    argv = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator", "--port", "0", "--data", str(data), *images]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield _announced(process, data / "url")
        finally:
            process.terminate()


def _announced(process: subprocess.Popen[bytes], file: Path) -> str:
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return file.read_text().strip()


def body(collection: Collection, image: str, labels: dict[str, str]) -> dict[str, Any]:
    if collection == "pipelineJobs":
        made = pipeline_body("", labels)
        made["pipelineSpec"]["deploymentSpec"]["executors"]["exec-only"]["container"] = {"image": image}
        return made
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": {"imageUri": image},
    }
    return {"displayName": "a test", "labels": labels, "jobSpec": {"workerPoolSpecs": [pool]}}


class TaskInstance(RuleBasedStateMachine):
    """One task instance, from its first try on.

    No rule has a precondition: what is possible depends on how fast the jobs end, and Hypothesis wants to know before.
    """

    url: str
    collection: Collection
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        requests.post(f"{self.url}/_emulator/reset", timeout=120).raise_for_status()
        key = f"key-{next(self.numbers)}"
        self.attempts = TaskTry(key, key, "submit", -1, 1, 1, "monday")
        self.client = Mortal(self.url)
        self.job: str | None = None
        self.success = False

    @rule(data=st.data(), fault=st.sampled_from(FAULTS), count=st.integers(1, 3))
    def break_calls(self, data: st.DataObject, fault: dict[str, Any], count: int) -> None:
        method = data.draw(st.sampled_from(METHODS[self.collection]))
        faults = {"faults": [{"method": method, "count": count, **fault}]}
        requests.post(f"{self.url}/_emulator/faults", json=faults, timeout=120).raise_for_status()

    @rule(image=st.sampled_from(sorted(NOOP)), dies_at=st.none() | st.integers(0, 16), lagging=st.integers(0, 2))
    def submit(self, image: str, dies_at: int | None, lagging: int) -> None:
        """A try runs: to its wait, to an error, or to its death. What does not wait is followed by a retry."""
        if self.success:
            return
        if lagging:  # a job takes longer than a list lags: what has succeeded cannot be taken back
            image = "lives"
        self.client = Mortal(self.url)
        self.client.session.dies_at, self.client.lagging = dies_at, lagging
        try:
            self.job = self._submit(image)
        except (KilledError, VertexApiError):
            self._retry()
        finally:
            self.client.session.dies_at = None

    @rule(image=st.sampled_from(sorted(NOOP)))
    def wake_a_process_that_airflow_gave_up(self, image: str) -> None:
        if self.attempts.try_number == 1:
            return
        self.client = Mortal(self.url)
        now, self.attempts = self.attempts, replace(self.attempts, try_number=self.attempts.try_number - 1)
        try:
            self._submit(image)
        except VertexApiError:
            pass
        finally:
            self.attempts = now

    @rule()
    def look(self) -> None:
        """The try that waits reads its job, and ends as the job did."""
        if self.job is None or self.success:
            return
        try:
            state = self.client.get_job(str(self.job))["state"]
        except VertexApiError:
            return
        if is_over(state):
            self.success = succeeded(state)
            if not self.success:
                self._retry()

    @rule()
    def lose_the_worker(self) -> None:
        if not self.success:
            self._retry()

    @rule(run_anew=st.booleans())
    def clear(self, run_anew: bool) -> None:
        """Somebody clears the task, or the whole DAG run after it had ended."""
        start = f"{self.attempts.run_start}-x" if run_anew else self.attempts.run_start
        number = self.attempts.try_number + 1
        self.attempts = replace(self.attempts, try_number=number, first_try=number, run_start=start)
        self.job, self.success = None, False

    def teardown(self) -> None:
        """Nothing goes wrong any more: the task comes to have one job, and no other is left."""
        requests.delete(f"{self.url}/_emulator/faults", timeout=120).raise_for_status()
        if self.success:
            assert self.job is not None
            assert succeeded(self._read()[self.job]["state"]), "a false success"
        else:
            self.client = Mortal(self.url)
            self.client.deadline = 20.0
            while True:
                self.job = self._submit("lives")
                job = self.client.get_job(self.job)
                while job["labels"]["image"] != "lives" and not is_over(job["state"]):
                    job = self.client.get_job(self.job)
                if job["labels"]["image"] == "lives" or succeeded(job["state"]):
                    break
                self._retry()
        jobs = self._read()
        live = [name for name, job in jobs.items() if not is_over(job["state"]) and not is_ending(job["state"])]
        done = [
            name
            for name, job in jobs.items()
            if succeeded(job["state"])
            and int(job["labels"][TRY_LABEL]) >= self.attempts.first_try
            and job["labels"]["airflow-run-start"] == self.attempts.run_start
        ]
        assert live + done == [self.job], jobs

    def _submit(self, image: str) -> str:
        def make(job_id: str, _earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
            return body(self.collection, image, {**self.attempts.labels, "image": image})

        return str(submission.submit_job(self.client, self.collection, self.attempts, make).job["name"])

    def _retry(self) -> None:
        self.attempts = replace(self.attempts, try_number=self.attempts.try_number + 1)
        self.job = None

    def _read(self) -> dict[str, dict[str, Any]]:
        found = VertexClient.list_jobs(Mortal(self.url), self.collection, f'labels.{KEY_LABEL}="{self.attempts.key}"')
        return {job["name"]: job for job in found}


@pytest.mark.parametrize("collection", ["pipelineJobs", "customJobs"])
def test_each_task_comes_to_have_exactly_one_job(
    collection: Collection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "BACKOFF", 0.004)
    monkeypatch.setattr(rest, "MAX_BACKOFF", 0.02)
    monkeypatch.setattr(submission, "POLL_SECONDS", 0.004)
    monkeypatch.setattr(submission, "LIST_LAG", 0.1)
    machine = type("TaskInstance", (TaskInstance,), {"url": url, "collection": collection})
    options = settings(
        max_examples=SCHEDULES // 2,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        # How a schedule ends depends on time too, so that a smaller one may end well.
        phases=[Phase.explicit, Phase.generate],
    )
    run_state_machine_as_test(machine, settings=options)
