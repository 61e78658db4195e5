"""Memory: whether a container was killed for it, what its limit was, and what its next attempt asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import asked_resources
from airflow_provider_kedro_vertex.core.jobs.outcome import Task, tasks
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
from airflow_provider_kedro_vertex.core.settings.machines import memory_of

GIB = 2**30


def was_killed(task: Task) -> bool:
    """Tell whether a node group was killed for its memory."""
    return task.failed and task.failure_class == "memory"


def explain_kill(job: Job, task: Task) -> str | None:
    """Say that a node group was killed for its memory, at which limit, and what to try; None if it was not.

    :param job: as Vertex AI tells it, whole.
    """
    if not was_killed(task):
        return None
    limit = limit_of(job, task.name)
    if limit is None:
        return "It was killed for its memory. Try more: resources.<node>.memory in vertexai.yml."
    return (
        f"It was killed at {limit / GIB:.1f} GiB of memory, its limit, and had asked for more. Try memory: "
        f"{in_gib(2 * limit)} in resources.<node> of vertexai.yml."
    )


def limit_of(job: Job, group: str) -> float | None:
    """Bytes that a node group may use in a job: what its container asks for, or what its machine has.

    :param group: its task id; of a CustomJob any name.
    :return: None where nobody knows.
    """
    return memory_of(asked_resources(job, group))


def in_gib(number: float) -> str:
    """Write bytes as a setting, rounded up: ``4Gi``."""
    return f"{max(math.ceil(round(number / GIB, 6)), 1)}Gi"


def with_more_memory(plan: Plan, earlier: Sequence[Job]) -> Plan:
    """Let the node groups that were killed for their memory ask for more, where ``on_out_of_memory`` says so.

    A group asks for ``factor`` times what its killed attempt could use, at most ``max``, and never for less than its
    settings say.

    :param earlier: the attempts before this one, each with what it asks for.
    :return: the plan itself where nothing changes.
    """
    groups = tuple(more_memory(group, earlier) for group in plan.groups)
    exit_group = plan.exit_group and more_memory(plan.exit_group, earlier)
    if (groups, exit_group) == (plan.groups, plan.exit_group):
        return plan
    return replace(plan, groups=groups, exit_group=exit_group)


def more_memory(group: NodeGroup, earlier: Sequence[Job]) -> NodeGroup:
    """Do for one node group what :func:`with_more_memory` does for all of a plan.

    :param earlier: PipelineJobs that may have run it, and CustomJobs of this group alone.
    """
    policy = group.retry.on_out_of_memory if group.retry else None
    if policy is None or group.resources.machine_type is not None:
        return group
    limits = [
        limit_of(job, task.name)
        for job in earlier
        for task in tasks(job)
        if was_killed(task) and ("/customJobs/" in job["name"] or task.name == group.task_id)
    ]
    wanted = min(max((limit for limit in limits if limit), default=0.0) * policy.factor, policy.most)
    if wanted <= (memory_of(group.resources) or 0.0):
        return group
    return replace(group, resources=replace(group.resources, memory=f"{math.ceil(wanted / (1 << 20))}Mi"))
