"""How a run stands: its node groups, through all of its jobs.

A run here is a PipelineJob, a CustomJob, or all jobs of one DAG run. The jobs are as Vertex AI tells them, PipelineJobs
with their task details.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.attempts import KEY_LABEL
from airflow_provider_kedro_vertex.core.jobs.containers import Container, containers
from airflow_provider_kedro_vertex.core.jobs.outcome import Task, tasks
from airflow_provider_kedro_vertex.core.jobs.states import DONE_STATES, is_over, short, succeeded

#: The states of a node group that Vertex AI has not begun, and of one that it never will.
WAITING, NOT_TRIGGERED = "WAITING", "NOT_TRIGGERED"


@dataclass(frozen=True)
class GroupStatus:
    """A node group, as the last job that runs it tells.

    :param name: its task id.
    :param container: what it was asked to run; None for a job that is not of this package.
    :param job: the job.
    :param task: its part of the job; None before it has begun.
    """

    name: str
    container: Container | None
    job: Job
    task: Task | None

    @property
    def state(self) -> str:
        """Without a prefix."""
        if self.task is not None:
            return self.task.state
        return NOT_TRIGGERED if is_over(self.job.get("state", "")) else WAITING

    @property
    def seconds(self) -> float | None:
        """How long it ran; None until it has ended."""
        return self.task.seconds if self.task else None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, as far as they are known."""
        return self.container.nodes if self.container else ()

    @property
    def done(self) -> bool:
        """It succeeded."""
        return self.state in DONE_STATES

    @property
    def failed(self) -> bool:
        """It ended without success by itself."""
        return self.task is not None and self.task.failed


def group_statuses(jobs: Iterable[Job]) -> list[GroupStatus]:
    """Tell how each node group of a run stands, in the order in which they began; what has not begun comes last.

    :param jobs: the oldest first. Of several jobs that run a group, the last one tells.
    """
    found: dict[str, GroupStatus] = {}
    for job in jobs:
        asked_for = containers(job)
        told = {_group_name(job, asked_for, task): task for task in tasks(job)}
        for name in asked_for or told:  # Vertex AI also tells of the task that holds all but an exit pipeline
            found[name] = GroupStatus(name, asked_for.get(name), job, told.get(name))
    return sorted(found.values(), key=_begun)


def run_state(jobs: Sequence[Job]) -> str:
    """Say how a run stands: RUNNING while one of its tasks has a job that goes on, else how the worst one ended.

    :param jobs: at least one, the oldest first; of each Airflow task the last one counts.
    """
    last = {job.get("labels", {}).get(KEY_LABEL, job["name"]): job.get("state", "") for job in jobs}
    states = [*last.values()]
    live = [short(state) for state in states if not is_over(state)]
    if live:
        return live[0] if len(states) == 1 else "RUNNING"
    ended = {short(state) for state in states if not succeeded(state)}
    return next((state for state in ("FAILED", "CANCELLED", *sorted(ended)) if state in ended), "SUCCEEDED")


def choose(statuses: Iterable[GroupStatus], node: str) -> GroupStatus:
    """Find the node group that a person means.

    :param node: the name of one of its nodes, or its task id.
    :raises ConfigError: there is none.
    """
    by_name: Mapping[str, GroupStatus] = {
        name: status for status in reversed([*statuses]) for name in (status.name, *status.nodes)
    }
    if node not in by_name:
        raise ConfigError(f"The run has no node {node!r}.{did_you_mean(node, by_name)}")
    return by_name[node]


def _group_name(job: Job, asked_for: Iterable[str], task: Task) -> str:
    return next(iter(asked_for), task.name) if "/customJobs/" in job["name"] else task.name


def _begun(status: GroupStatus) -> tuple[bool, str, str]:
    created = status.task.created if status.task else None
    return (created is None, created or "", status.name)
