"""A container of a run that is run once more by a person: its command, and the line that starts it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import Container, containers
from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus
from airflow_provider_kedro_vertex.core.plan.plan import COMMAND, EXIT_TASK_ID

#: Follows ``python``, in the place of ``run``.
REPLAY = (*COMMAND[1:-1], "replay")
#: Variables that say where things are on the container's machine, and are wrong on another one.
_OF_THE_MACHINE = frozenset({"HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR"})


def command_line(job: Job, task_id: str, node: str | None, environment: Mapping[str, str]) -> str | None:
    """The line for a shell that replays a node in the project's folder; None for a job that is not of this package.

    :param task_id: the node group's, on Vertex AI.
    :param node: the node, where it is known; else the group's first one that fails.
    :param environment: variables by which the command reaches other services than Google's.
    """
    asked_for = containers(job)
    if not asked_for:
        return None
    alone = node is None or all(each.nodes == (node,) for each in asked_for.values())
    which = [] if "/customJobs/" in job["name"] and alone else ["--node", node or task_id]
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    return " ".join([*variables, shlex.join(["kedro", "vertex", "replay", job["name"], *which])])


def arguments(container: Container, up_to: str | None, outcome: str | None, debugger: str | None) -> list[str]:
    """What follows ``python`` to run a container's nodes and keep nothing.

    :param up_to: of its nodes, only this one and those that it takes data from; None for all of them.
    :param outcome: for an exit pipeline, how the others ended; see :func:`final_status`.
    :param debugger: opened where a node fails; None for none.
    """
    options = {"--up-to": up_to, "--final-status": outcome, "--debugger": debugger}
    given = [part for option, value in options.items() if value is not None for part in (option, value)]
    return [*REPLAY, *container.arguments, *given]


def variables(container: Container) -> dict[str, str]:
    """The environment variables of a container that mean the same on another machine."""
    return {name: value for name, value in container.env.items() if name not in _OF_THE_MACHINE}


def final_status(group: GroupStatus, groups: Iterable[GroupStatus]) -> str | None:
    """How the others ended, as Vertex AI tells it to the container of an exit pipeline; None for any other group."""
    if group.name != EXIT_TASK_ID or "/customJobs/" in group.job["name"]:
        return None
    failed = [other.name for other in groups if other.failed and other is not group]
    if not failed:
        return json.dumps({"state": "SUCCEEDED"})
    message = f"The DAG failed because some tasks failed. The failed tasks are: [{', '.join(failed)}]."
    return json.dumps({"state": "FAILED", "error": {"message": message}})
