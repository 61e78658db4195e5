"""How the rest of a DAG run ended, for the pipeline that runs last. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_kedro_vertex.core import identity, outcome, resume
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.sensors import KedroVertexNodeSensor

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.task.compat import BaseOperator, Context
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

_Task: TypeAlias = KedroVertexPipelineOperator | KedroVertexCustomJobOperator | KedroVertexNodeSensor


def run_outcome(operator: BaseOperator, client: VertexClient, context: Context) -> dict[str, Any]:
    """Tell how the jobs of all tasks before this one ended, as Vertex AI knows it.

    :return: ``{"state", "failed_nodes", "errors"}``: SUCCEEDED only if every task's last job succeeded, else CANCELLED
        or FAILED; the task ids of the node groups that failed; and a message for each of them, or for a job that failed
        as a whole.
    :raises VertexApiError: the jobs could not be read.
    """
    from airflow_provider_kedro_vertex.submitting import GROUP_LABEL, attempts_of, config_of, rendered
    from airflow_provider_kedro_vertex.vertex.submission import custom_jobs_of_run, pipeline_jobs

    before = _before(operator)
    custom_jobs: Mapping[str, list[dict[str, Any]]] = {}
    if any(isinstance(task, KedroVertexCustomJobOperator) for task in before):
        custom_jobs = custom_jobs_of_run(client, identity.run_key(context["ti"].dag_id, context["ti"].run_id))
    sensors = [task for task in before if isinstance(task, KedroVertexNodeSensor)]
    states: set[str] = set()
    failures: list[tuple[str, str]] = []
    for task in before:
        if isinstance(task, KedroVertexNodeSensor):
            continue
        jobs: resume.Attempts
        if isinstance(task, KedroVertexPipelineOperator):
            submit = rendered(task, context)
            jobs = pipeline_jobs(client, attempts_of(submit, context, config_of(submit)))
        else:
            jobs = custom_jobs.get(attempts_of(task, context, RunConfig()).key, [])
        groups = [sensor.group for sensor in sensors if sensor.submit_task_id == task.task_id]
        state = resume.ended(jobs, groups) if jobs else ""
        states.add(state)
        if state not in ("", "SUCCEEDED", "CANCELLED"):
            failures += _failures(jobs[-1], GROUP_LABEL)
    return {
        "state": _state(states),
        "failed_nodes": [name for name, _ in failures if name],
        "errors": [message for _, message in failures if message],
    }


def _before(operator: BaseOperator) -> list[_Task]:
    """The tasks that this one comes after and that have a job or wait for a part of one, in the order of the DAG."""
    found: set[str] = set()
    waiting = [operator.task_id]
    while waiting:
        more = operator.dag.get_task(waiting.pop()).upstream_task_ids - found
        found |= more
        waiting += more
    return [task for task in operator.dag.tasks if task.task_id in found and isinstance(task, _Task)]


def _state(states: set[str]) -> str:
    if states == {"SUCCEEDED"}:
        return "SUCCEEDED"
    # A task without a job came after one that failed, or could not submit its own.
    cancelled = "CANCELLED" in states and states <= {"SUCCEEDED", "", "CANCELLED"}
    return "CANCELLED" if cancelled else "FAILED"


def _failures(job: Mapping[str, Any], group_label: str) -> list[tuple[str, str]]:
    """The node groups of a job that failed, with the message; the job itself has no name."""
    message = job.get("error", {}).get("message", "")
    if "/customJobs/" in job["name"]:
        return [(job.get("labels", {}).get(group_label, ""), message)]
    return [(task.name, task.message) for task in outcome.tasks(job) if task.failed] or [("", message)]
