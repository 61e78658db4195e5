"""The small summaries of jobs and node groups that go to XCom. Never the job or its spec."""

from __future__ import annotations

from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.cost import cost_summary
from airflow_provider_kedro_vertex.core.jobs.origin import origin
from airflow_provider_kedro_vertex.core.jobs.outcome import Task, tasks
from airflow_provider_kedro_vertex.core.jobs.states import is_over, short


def summary(job: Job, url: str) -> dict[str, Any]:
    """Summarise a job.

    :return: ``{"name", "id", "state", "url", "groups": {task id: {"state", "seconds"}}}``, with what :func:`.origin`
        tells, and ``cost``, once the job has ended, with what :func:`.cost_summary` tells; ``seconds`` is None until a
        task has ended.
    """
    cost = cost_summary(job) if is_over(job.get("state", "")) else {}
    return {
        "name": job["name"],
        "id": job["name"].rpartition("/")[2],
        "state": short(job.get("state", "")),
        "url": url,
        "groups": {task.name: {"state": task.state, "seconds": task.seconds} for task in tasks(job)},
        **origin(job),
        **({"cost": cost} if cost else {}),
    }


def node_summary(job: Job, task: Task, url: str) -> dict[str, Any]:
    """Summarise one node group: the job's name, id and page, and the group's own state and seconds."""
    return {
        "name": job["name"],
        "id": job["name"].rpartition("/")[2],
        "url": url,
        "group": task.name,
        "state": task.state,
        "seconds": task.seconds,
    }
