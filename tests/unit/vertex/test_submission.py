"""Exactly one job, against the emulator: what a try does with the jobs that are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.api import JobBody
from airflow_provider_kedro_vertex.core.jobs.attempts import Choice, TaskTry, Verdict
from airflow_provider_kedro_vertex.core.jobs.memory import limit_of
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.jobs.states import succeeded
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from airflow_provider_kedro_vertex.vertex.submission import live_jobs, submit_job
from tests.unit.conftest import small_manifest
from tests.unit.jobs import IMAGE, body
from tests.unit.vertex.test_client import LONG, wait

OK, BAD = "print('fine')", "raise SystemExit(1)"


def attempts(name: str, try_number: int = 1, first_try: int = 1, run_start: str = "monday") -> TaskTry:
    return TaskTry(f"key-{name}", f"key-{name}", "submit", -1, try_number, first_try, run_start)


def submit(client: VertexClient, tries: TaskTry, code: str) -> tuple[str, bool]:
    """Submit, and tell the id of the job and whether it is new."""
    done = submit_job(client, "pipelineJobs", tries, lambda job_id, _earlier: body(code, labels=tries.labels))
    return done.job["name"].rpartition("/")[2], done.created


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


def test_clearing_while_a_job_goes_on_ends_it_before_the_new_one(client: VertexClient) -> None:
    first = submit(client, attempts("cleared-live"), LONG)[0]

    assert submit(client, attempts("cleared-live", try_number=2, first_try=2), OK) == (
        "key-cleared-live-submit-2",
        True,
    )
    assert client.get_job(f"{client.parent}/pipelineJobs/{first}")["state"] == "PIPELINE_STATE_CANCELLED"


def test_a_retry_does_not_adopt_a_job_that_is_being_cancelled(client: VertexClient) -> None:
    first = submit(client, attempts("cancelling"), LONG)[0]
    client.cancel_job(f"{client.parent}/pipelineJobs/{first}")

    assert submit(client, attempts("cancelling", try_number=2), OK) == ("key-cancelling-submit-2", True)


def test_a_process_that_airflow_gave_up_makes_no_new_attempt(client: VertexClient) -> None:
    first = submit(client, attempts("zombie", try_number=2), BAD)[0]
    end(client, first)

    assert submit(client, attempts("zombie", try_number=1), OK) == (first, False)


@pytest.mark.parametrize(("code", "verdict"), [(8, Verdict.OLD), (3, Verdict.OURS)])
def test_a_job_that_found_no_quota_is_followed_by_another_in_the_same_try(code: int, verdict: Verdict) -> None:
    tries = attempts("quota")

    assert tries.verdict({"state": "JOB_STATE_FAILED", "labels": tries.labels, "error": {"code": code}}) is verdict


def test_the_live_jobs_of_a_task_are_found_by_their_ids(client: VertexClient) -> None:
    tries = attempts("live")
    end(client, submit(client, tries, BAD)[0])
    second = submit(client, replace(tries, try_number=2), LONG)[0]

    assert live_jobs(client, "pipelineJobs", tries) == [f"{client.parent}/pipelineJobs/{second}"]
    client.cancel_job(f"{client.parent}/pipelineJobs/{second}")


def job(number: int, state: str, tries: TaskTry, **labels: str) -> dict[str, Any]:
    created = f"2013-06-01T00:00:0{number}Z"
    return {"name": f"jobs/{number}", "state": state, "createTime": created, "labels": {**tries.labels, **labels}}


@pytest.mark.parametrize(
    ("states", "taken", "cancelled"),
    [
        ((), None, ()),
        (("RUNNING",), 0, ()),
        (("RUNNING", "PENDING", "QUEUED"), 0, (1, 2)),
        (("CANCELLING", "RUNNING"), 1, ()),
        (("CANCELLED", "FAILED"), 1, ()),
        (("FAILED", "RUNNING"), 1, ()),
        (("RUNNING", "SUCCEEDED"), 1, (0,)),
        (("SUCCEEDED", "SUCCEEDED"), 0, ()),
    ],
)
def test_of_doubles_one_is_taken_and_the_others_are_cancelled(
    states: tuple[str, ...], taken: int | None, cancelled: tuple[int, ...]
) -> None:
    tries = attempts("doubles")
    jobs = [job(number, f"JOB_STATE_{state}", tries) for number, state in enumerate(states)]

    choice = tries.choose(reversed(jobs))

    assert choice.take == (None if taken is None else jobs[taken])
    assert choice.cancel == tuple(jobs[number] for number in cancelled)
    assert choice.leftovers == ()


def test_custom_jobs_from_before_the_task_was_cleared_must_end_first() -> None:
    tries = attempts("doubles", try_number=3, first_try=3)
    old, new = (job(number, "JOB_STATE_RUNNING", tries, **{"airflow-try": str(number)}) for number in (2, 3))

    assert tries.choose([old, new]) == Choice(take=new, cancel=(), leftovers=(old,))


def test_the_custom_job_after_one_that_was_killed_for_its_memory_has_more(client: VertexClient) -> None:
    manifest = small_manifest(retry_policy={"clean": {"on_out_of_memory": {"factor": 2, "max": "64Gi"}}})
    plan = build_plan(manifest, "__default__", manifest.config)
    group = next(group for group in plan.groups if group.name == "clean")
    run = Run("key-killed", "shop", "one", datetime(2024, 1, 1, tzinfo=timezone.utc))

    def memory_of_try(number: int) -> float:
        tries = replace(attempts("killed", try_number=number), task_id="clean")
        request = JobRequest(plan, run, "demo-project", "europe-west1", "{}", "t", {}, task=tries, group=group)

        def killed(job_id: str, earlier: Sequence[Any]) -> JobBody:
            made = request.body(job_id, earlier)
            container = {"imageUri": IMAGE, "command": ["python", "-c", "raise SystemExit(137)"]}
            made["jobSpec"]["workerPoolSpecs"][0]["containerSpec"] = container
            return made

        job = submit_job(client, "customJobs", tries, killed).job
        wait(client, job["name"])
        return limit_of(job, "clean") or 0

    first, second, third = map(memory_of_try, (1, 2, 3))
    assert first > 0
    assert second >= 2 * first
    assert third >= 2 * second or second >= 64 * 2**30
