"""Resume: what the attempts of one DAG run have done, and what is left. Decisions alone; no call is made here.

An attempt here is a PipelineJob as Vertex AI tells it, with its task details. All attempts of one task are given, the
oldest first. An attempt that runs only what earlier ones left says so in a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_kedro_vertex.core import outcome
from airflow_provider_kedro_vertex.core.states import DONE_STATES, is_over, short, succeeded

#: The label of an attempt that runs only the node groups that earlier attempts left; its value is their number.
RESUMES_LABEL = "kedro-resumes"

_FAILED_STATES: Mapping[str, Literal["failed", "cancelled", "not triggered"]] = {
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "NOT_TRIGGERED": "not triggered",
}

Attempts = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Standing:
    """Where one node group stands.

    :param verdict: ``done``, ``going on``, or how it ended without success. ``not triggered`` is a group that Vertex AI
        left out since another one failed; ``failed`` and ``cancelled`` are also those of a job that ended before the
        group began.
    :param job: the attempt that tells so.
    :param task: the group's part of it; None when it did not begin.
    """

    verdict: Literal["done", "going on", "failed", "cancelled", "not triggered"]
    job: Mapping[str, Any]
    task: outcome.Task | None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.verdict != "going on"


def done(attempts: Attempts) -> frozenset[str]:
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


def standing(attempts: Attempts, group: str) -> Standing:
    """Say where a node group stands, by its task id on Vertex AI.

    :param attempts: at least one.
    """
    *before, last = attempts
    task = _task(last, group)
    if task is None:
        if before and RESUMES_LABEL in last.get("labels", {}) and group in done(before):
            earlier = next(job for job in reversed(before) if _task(job, group) is not None)
            return Standing("done", earlier, _task(earlier, group))
        if not is_over(last["state"]):
            return Standing("going on", last, None)
        return Standing(_never_began(last), last, None)
    if task.state in DONE_STATES:
        return Standing("done", last, task)
    if task.state in _FAILED_STATES:
        return Standing(_FAILED_STATES[task.state], last, task)
    if is_over(last["state"]):  # Vertex AI no longer tells what became of it
        return Standing("cancelled" if short(last["state"]) == "CANCELLED" else "failed", last, task)
    return Standing("going on", last, task)


def ended(attempts: Attempts, groups: Iterable[str] = ()) -> str:
    """Say how the last attempt ended, once nobody waits for it any more.

    Vertex AI may call a job running for a while after its last node group has ended. Then the groups tell.

    :param attempts: at least one.
    :param groups: the node groups that were waited for one by one, by their task ids on Vertex AI.
    :return: the state without its prefix. A job that goes on counts as CANCELLED: who no longer waits has cancelled it.
    """
    state: str = attempts[-1]["state"]
    if is_over(state):
        return short(state)
    verdicts = {standing(attempts, group).verdict for group in groups}
    if "failed" in verdicts:
        return "FAILED"
    return "SUCCEEDED" if verdicts == {"done"} else "CANCELLED"


def _never_began(job: Mapping[str, Any]) -> Literal["failed", "cancelled", "not triggered"]:
    if short(job["state"]) == "CANCELLED":
        return "cancelled"
    # Without a node that failed, it is the job itself that did: none of its nodes may then count as left out.
    return "not triggered" if any(task.failed for task in outcome.tasks(job)) else "failed"


def _task(job: Mapping[str, Any], group: str) -> outcome.Task | None:
    return next((task for task in outcome.tasks(job) if task.name == group), None)
