"""Whether a waiting task was killed by a person, or its triggerer only goes.

Airflow 3.3 and later tell a trigger of a kill (``BaseTrigger.on_kill``); older ones cancel its coroutine in either
case, and so does 3.3 when another triggerer takes the trigger over. The task's state in Airflow's database tells them
apart: a task that still is deferred was not killed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from airflow import __version__

_DEFERRED = "deferred"


async def is_deferred(ti: Any) -> bool:
    """Whether Airflow still has this try of the task as deferred.

    :param ti: the task instance that the triggerer gave to the trigger.
    :raises Exception: Airflow could not be asked.
    """
    ask = _ask_database if __version__.startswith("2.") else _ask_supervisor
    return await asyncio.to_thread(ask, ti) == _DEFERRED


def _ask_supervisor(ti: Any) -> str | None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    mapped = ti.map_index is not None and ti.map_index >= 0
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index if mapped else None
    )
    of_run = states.get(ti.run_id, {})
    state: str | None = of_run.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id)
    return state


def _ask_database(ti: Any) -> str | None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        found = (
            session.query(TaskInstance.state, TaskInstance.try_number)
            .filter_by(dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index)
            .one_or_none()
        )
    # Cleared, and deferred anew in the meantime: this try is over all the same.
    return found.state if found is not None and found.try_number == ti.try_number else None
