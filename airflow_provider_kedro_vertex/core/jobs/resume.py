"""Resume: what the attempts of one DAG run have done, and what is left. Decisions alone; no call is made here.

An attempt here is a PipelineJob as Vertex AI tells it, with its task details. All attempts of one task are given, the
oldest first. An attempt that runs only what earlier ones left says so in a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.attempts import START_LABEL, TaskTry
from airflow_provider_kedro_vertex.core.jobs.states import DONE_STATES, is_over, short, succeeded
from airflow_provider_kedro_vertex.core.plan.plan import Plan

#: The label of an attempt that runs only the node groups that earlier attempts left; its value is their number.
RESUMES_LABEL = "kedro-resumes"

_FAILED_STATES: Mapping[str, Literal["failed", "cancelled", "not triggered"]] = {
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "NOT_TRIGGERED": "not triggered",
}


@dataclass(frozen=True)
class GroupProgress:
    """How far one node group has come, through all attempts to run its job.

    :param verdict: ``done``, ``going on``, or how it ended without success. ``not triggered`` is a group that Vertex AI
        left out since another one failed; ``failed`` and ``cancelled`` are also those of a job that ended before the
        group began.
    :param job: the attempt that tells so.
    :param task: the group's part of it; None when it did not begin.
    """

    verdict: Literal["done", "going on", "failed", "cancelled", "not triggered"]
    job: Job
    task: outcome.Task | None

    @property
    def ended(self) -> bool:
        """It will not change any more."""
        return self.verdict != "going on"


def done(attempts: Sequence[Job]) -> frozenset[str]:
    """The node groups that need not run again: they succeeded since the last attempt that ran everything.

    :return: nothing after a success, since whoever asks for another attempt then wants all of it.
    """
    found: set[str] = set()
    for job in attempts:
        if succeeded(job["state"]) or RESUMES_LABEL not in job.get("labels", {}):
            found.clear()
        if not succeeded(job["state"]):
            found.update(task.name for task in outcome.tasks(job) if task.state in DONE_STATES)
    return frozenset(found)


def remaining(plan: Plan, earlier: Sequence[Job], task: TaskTry) -> Plan | None:
    """The part of a plan that earlier attempts left to do.

    :param earlier: the attempts of the task so far, the oldest first.
    :param task: the try that asks for another one.
    :return: None for the whole plan.
    """
    if task.first_try == 1:
        # Never cleared, so jobs of another start are those of a DAG run that was deleted and made again.
        earlier = [job for job in earlier if job.get("labels", {}).get(START_LABEL) == task.run_start]
    known = {group.task_id for group in plan.groups}
    finished = done(earlier) & known
    if not finished:
        return None
    # A job needs a task: when nothing is left, what failed came after the last ones (the exit handler, or a cancel).
    return plan.only((known - finished) or known - {name for group in plan.groups for name in group.upstream})


def runs_group(job: Job, group: str) -> bool:
    """Tell whether an attempt runs a node group itself, rather than takes what an earlier one made."""
    spec = job.get("pipelineSpec", {})
    dags = [spec.get("root", {}).get("dag", {}), *(each.get("dag", {}) for each in spec.get("components", {}).values())]
    return any(group in dag.get("tasks", {}) for dag in dags)


def group_progress(attempts: Sequence[Job], group: str) -> GroupProgress:
    """Tell how far a node group has come.

    :param attempts: at least one, the oldest first.
    """
    *before, last = attempts
    task = _task(last, group)
    if task is None:
        if before and RESUMES_LABEL in last.get("labels", {}) and group in done(before):
            earlier = next(job for job in reversed(before) if _task(job, group) is not None)
            return GroupProgress("done", earlier, _task(earlier, group))
        if not is_over(last["state"]):
            return GroupProgress("going on", last, None)
        return GroupProgress(_never_began(last), last, None)
    if task.state in DONE_STATES:
        return GroupProgress("done", last, task)
    if task.state in _FAILED_STATES:
        return GroupProgress(_FAILED_STATES[task.state], last, task)
    if is_over(last["state"]):  # Vertex AI no longer tells what became of it
        return GroupProgress("cancelled" if short(last["state"]) == "CANCELLED" else "failed", last, task)
    return GroupProgress("going on", last, task)


def ended(attempts: Sequence[Job], groups: Iterable[str] = ()) -> str:
    """Say how the last attempt ended, once nobody waits for it any more.

    Vertex AI may call a job running for a while after its last node group has ended. Then the groups tell.

    :param attempts: at least one, the oldest first.
    :param groups: the node groups that were waited for one by one, by their task ids on Vertex AI.
    :return: the state without its prefix. A job that goes on counts as CANCELLED: who no longer waits has cancelled it.
    """
    state: str = attempts[-1]["state"]
    if is_over(state):
        return short(state)
    verdicts = {group_progress(attempts, group).verdict for group in groups}
    if "failed" in verdicts:
        return "FAILED"
    return "SUCCEEDED" if verdicts == {"done"} else "CANCELLED"


def _never_began(job: Job) -> Literal["failed", "cancelled", "not triggered"]:
    if short(job["state"]) == "CANCELLED":
        return "cancelled"
    # Without a node that failed, it is the job itself that did: none of its nodes may then count as left out.
    return "not triggered" if any(task.failed for task in outcome.tasks(job)) else "failed"


def _task(job: Job, group: str) -> outcome.Task | None:
    return next((task for task in outcome.tasks(job) if task.name == group), None)
