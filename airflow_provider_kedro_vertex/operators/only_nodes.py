"""Skipping the tasks of nodes that a run was not asked for. Imported when a task runs, not at parse.

Airflow's default rule would skip what comes after them too. So the factory gives the tasks that come after others of
its own the rule ``none_failed``, and they look here for themselves whether to follow a skipped one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow_provider_kedro_vertex.compat import AirflowSkipException, BaseOperator, Context, skipped_tasks
from airflow_provider_kedro_vertex.core.plan.plan import EXIT_TASK_ID
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.operators.job_request import asked_groups, task_id_of_group


def skip_unless_asked(task: BaseOperator, job: VertexJobOperator, group: str, context: Context) -> None:
    """Skip a task whose nodes are not to run, and one that comes after a task which was skipped for another reason.

    :param task: it runs.
    :param job: the operator that makes the job, with its templates rendered; ``task`` itself or another one.
    :param group: the task's node group.
    :raises AirflowSkipException: the task is to be skipped.
    :raises KedroVertexError: ``only_nodes`` has an unknown name, the nodes lack data that others keep in memory, or
        the manifest or a setting is wrong.
    """
    asked = asked_groups(job, context) if job.only_nodes else None
    # The pipeline that runs last is part of each run.
    if asked is not None and task_id_of_group(job, context, group) not in (*asked, EXIT_TASK_ID):
        raise AirflowSkipException(f"{group} is not among the nodes that this run was asked for: {job.only_nodes}.")
    if vars(task).get("follows_skipped") and (first := _first_skipped(task, asked, context)) is not None:
        raise AirflowSkipException(f"Task {first!r} was skipped, and {group} comes after it.")


def _first_skipped(task: BaseOperator, asked: Collection[str] | None, context: Context) -> str | None:
    """Find the task by which a skip began that reaches a task; None if all began by nodes that are not to run.

    :param asked: the node groups that are to run; None for all.
    """
    dag: Any = task.dag
    seen: set[str] = set()
    waiting = skipped_tasks(context, task.upstream_task_ids)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        earlier = dag.get_task(name)
        if asked is not None and "follows_skipped" in vars(earlier) and earlier.group not in asked:
            continue
        before = skipped_tasks(context, earlier.upstream_task_ids)
        if not before:
            return name
        waiting |= before - seen
    return None
