"""What a new attempt still has to run, from what the attempts before it did."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.resume import RESUMES_LABEL, GroupProgress, done, ended, group_progress


def attempt(state: str, resumes: bool = False, **tasks: str) -> dict[str, Any]:
    details = [{"taskName": name, "state": task, "parentTaskId": "1"} for name, task in tasks.items()]
    return {
        "name": f"projects/p/locations/l/pipelineJobs/{state.lower()}-{len(tasks)}",
        "state": f"PIPELINE_STATE_{state}",
        "labels": {RESUMES_LABEL: "1"} if resumes else {},
        "jobDetail": {"taskDetails": [{"taskName": "root", "state": state}, *details]},
    }


FAILED = attempt("FAILED", a="SUCCEEDED", b="FAILED", c="SKIPPED")


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([], set()),
        ([FAILED], {"a", "c"}),
        # A part that ran after it adds to what is done, also when it failed in its turn.
        ([FAILED, attempt("FAILED", True, b="SUCCEEDED", d="FAILED")], {"a", "b", "c"}),
        ([FAILED, attempt("CANCELLED", True, b="CANCELLED")], {"a", "c"}),
        # After a success everything runs, and what failed since then counts alone.
        ([attempt("SUCCEEDED", a="SUCCEEDED")], set()),
        ([FAILED, attempt("SUCCEEDED", True, b="SUCCEEDED")], set()),
        ([FAILED, attempt("FAILED", a="SUCCEEDED", b="FAILED")], {"a"}),
        ([attempt("SUCCEEDED", a="SUCCEEDED", b="SUCCEEDED"), attempt("FAILED", a="FAILED")], set()),
    ],
)
def test_what_need_not_run_again(attempts: list[dict[str, Any]], expected: set[str]) -> None:
    assert done(attempts) == expected


def verdict(attempts: list[dict[str, Any]], group: str) -> str:
    return group_progress(attempts, group).verdict


def test_states_of_the_last_attempt() -> None:
    running = attempt("RUNNING", a="SUCCEEDED", b="RUNNING", c="FAILED", d="CANCELLED", e="NOT_TRIGGERED", f="SKIPPED")
    expected = {"a": "done", "b": "going on", "c": "failed", "d": "cancelled", "e": "not triggered", "f": "done"}
    assert {group: verdict([running], group) for group in expected} == expected
    assert verdict([running], "not begun") == "going on"
    assert not group_progress([running], "not begun").ended


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (attempt("FAILED", a="FAILED"), "not triggered"),
        # No node failed, so the job itself did: a group that did not run must not count as left out.
        (attempt("FAILED", a="SUCCEEDED"), "failed"),
        (attempt("FAILED"), "failed"),
        (attempt("CANCELLED", a="SUCCEEDED"), "cancelled"),
    ],
)
def test_a_group_that_never_began_in_a_job_that_ended(job: dict[str, Any], expected: str) -> None:
    assert group_progress([job], "b") == GroupProgress(expected, job, None)  # type: ignore[arg-type]


def test_a_group_that_an_earlier_attempt_did_is_done() -> None:
    part = attempt("RUNNING", True, b="RUNNING")
    found = group_progress([FAILED, part], "a")
    assert (found.verdict, found.job) == ("done", FAILED)
    assert verdict([FAILED, part], "b") == "going on"
    # An attempt that runs everything has not begun it yet.
    assert verdict([FAILED, attempt("RUNNING", b="RUNNING")], "a") == "going on"


def test_a_task_that_a_job_left_behind_is_no_success() -> None:
    assert verdict([attempt("FAILED", a="RUNNING")], "a") == "failed"
    assert verdict([attempt("CANCELLED", a="PENDING")], "a") == "cancelled"


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_job_that_ended_tells_how(state: str) -> None:
    assert ended([FAILED, attempt(state, a="SUCCEEDED")], ["a"]) == state
    assert ended([attempt(state, a="FAILED", b="SUCCEEDED")]) == state


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (attempt("RUNNING", a="SUCCEEDED", b="SKIPPED"), "SUCCEEDED"),
        (attempt("RUNNING", a="SUCCEEDED", b="FAILED"), "FAILED"),
        (attempt("RUNNING", a="FAILED"), "FAILED"),
        (attempt("RUNNING", a="FAILED", b="NOT_TRIGGERED"), "FAILED"),
        # Nobody waits for them any more.
        (attempt("RUNNING", a="SUCCEEDED", b="RUNNING"), "CANCELLED"),
        (attempt("RUNNING", a="SUCCEEDED"), "CANCELLED"),
        (attempt("CANCELLING", a="CANCELLED", b="PENDING"), "CANCELLED"),
    ],
)
def test_the_groups_tell_how_a_job_ended_that_has_not_been_told_as_such(job: dict[str, Any], expected: str) -> None:
    assert ended([job], ["a", "b"]) == expected
    assert ended([job]) == "CANCELLED"


def test_a_part_that_is_about_to_end_counts_what_was_done_before() -> None:
    assert ended([FAILED, attempt("RUNNING", True, b="SUCCEEDED")], ["a", "b", "c"]) == "SUCCEEDED"
