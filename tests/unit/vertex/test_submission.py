"""Exactly one job, against the emulator: what a try does with the jobs that are there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider_kedro_vertex.core.states import succeeded
from airflow_provider_kedro_vertex.core.submission import Attempts
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from tests.unit.jobs import body
from tests.unit.vertex.test_client import LONG, wait

OK, BAD = "print('fine')", "raise SystemExit(1)"


def attempts(name: str, try_number: int = 1, first_try: int = 1, run_start: str = "monday") -> Attempts:
    return Attempts(f"key-{name}", "submit", -1, try_number, first_try, run_start)


def submit(client: VertexClient, tries: Attempts, code: str) -> tuple[str, bool]:
    """Submit, and tell the id of the job and whether it is new."""
    job, created = tries.submit(client, lambda job_id: body(code, labels=tries.labels))
    return job["name"].rpartition("/")[2], created


def end(client: VertexClient, job_id: str) -> dict[str, Any]:
    return wait(client, f"{client.parent}/pipelineJobs/{job_id}")


def test_the_first_try_creates_the_first_job(client: VertexClient) -> None:
    assert submit(client, attempts("first"), OK) == ("key-first-submit-1", True)


def test_the_same_try_again_finds_its_own_job(client: VertexClient) -> None:
    first = submit(client, attempts("again"), BAD)[0]
    end(client, first)

    assert submit(client, attempts("again"), BAD) == (first, False)


def test_a_retry_adopts_a_job_that_goes_on(client: VertexClient) -> None:
    first = submit(client, attempts("running"), LONG)[0]

    assert submit(client, attempts("running", try_number=2), LONG) == (first, False)
    client.cancel_job(f"{client.parent}/pipelineJobs/{first}")


def test_a_retry_takes_a_job_that_succeeded_before_its_try_could_tell(client: VertexClient) -> None:
    first = submit(client, attempts("succeeded"), OK)[0]
    assert succeeded(end(client, first)["state"])

    assert submit(client, attempts("succeeded", try_number=2), OK) == (first, False)


def test_a_retry_after_a_failure_is_a_new_attempt(client: VertexClient) -> None:
    end(client, submit(client, attempts("failed"), BAD)[0])
    second = submit(client, attempts("failed", try_number=2), BAD)
    assert second == ("key-failed-submit-2", True)
    end(client, second[0])

    assert submit(client, attempts("failed", try_number=3), OK) == ("key-failed-submit-3", True)


def test_clearing_a_success_runs_anew(client: VertexClient) -> None:
    end(client, submit(client, attempts("cleared"), OK)[0])

    assert submit(client, attempts("cleared", try_number=2, first_try=2), OK) == ("key-cleared-submit-2", True)


def test_tasks_and_mapped_tasks_do_not_meet(client: VertexClient) -> None:
    base = attempts("mapped")
    ids = {
        submit(client, tries, OK)[0]
        for tries in (base, replace(base, map_index=0), replace(base, map_index=1), replace(base, task_id="submit_"))
    }

    assert len(ids) == 4


def test_a_run_that_was_deleted_and_made_again_runs_anew(client: VertexClient) -> None:
    end(client, submit(client, attempts("recreated"), OK)[0])

    assert submit(client, attempts("recreated", run_start="tuesday"), OK) == ("key-recreated-submit-2", True)
