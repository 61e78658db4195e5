"""Where Airflow's versions differ: the one module that knows which one is installed.

The names of Airflow's public interface come from ``airflow.sdk`` on Airflow 3 and from where they stood before on
Airflow 2. They are not taken from ``airflow.providers.common.compat.sdk``: 1.8 and 1.9 of that package, which
Composer's images of Airflow 2.10.5 have, lack ``conf`` and the exceptions.

DAG files import this module, so what only a running task needs is imported where it is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from airflow import __version__

#: The installed Airflow's version: major and minor number.
AIRFLOW = tuple(int(number) for number in __version__.split(".")[:2])

# Type checkers read the branch of the newest Airflow alone.
if TYPE_CHECKING or AIRFLOW >= (3, 0):
    from airflow.sdk import (
        DAG,
        Asset,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Context,
        Param,
        PokeReturnValue,
        TaskGroup,
    )
else:
    from airflow.datasets import Dataset as Asset
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.models.dag import DAG
    from airflow.models.param import Param
    from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
    from airflow.utils.context import Context
    from airflow.utils.task_group import TaskGroup

if TYPE_CHECKING or AIRFLOW >= (3, 2):
    from airflow.sdk import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
else:
    from airflow.configuration import conf
    from airflow.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey
    from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = [
    "AIRFLOW",
    "DAG",
    "SHORTEST_PAUSE_SECONDS",
    "TRIGGERS_ARE_TOLD_OF_KILLS",
    "AirflowException",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "Asset",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Context",
    "Param",
    "PokeReturnValue",
    "TaskGroup",
    "TaskInstanceKey",
    "conf",
    "find_dag_file",
    "has_listeners",
    "in_thread",
    "is_deferred",
    "is_first_look",
    "keep_in_xcom",
    "make_asset",
    "map_indexes",
    "object_storage_path",
    "pause_trigger",
    "skipped_tasks",
    "success_event",
    "xcom_value",
]

#: Airflow 3.3 and later call a trigger's ``on_kill`` when its task is killed. Older ones cancel the trigger's
#: coroutine then, as they do whenever the triggerer stops or hands the trigger over.
TRIGGERS_ARE_TOLD_OF_KILLS = AIRFLOW >= (3, 3)


#: Seconds for which a task that goes on in a worker is away at least: deferred, or rescheduled. Airflow's scheduler
#: fails one that comes back before it has heard that it went: "finished with state success, but the task instance's
#: state attribute is queued" (seen in 2.11.2 and 3.3.2).
SHORTEST_PAUSE_SECONDS = 10.0

P = ParamSpec("P")
Result = TypeVar("Result")


def find_dag_file(frame: FrameType) -> str:
    """Find the DAG file that is being parsed, through modules of helpers that it calls.

    Airflow gives each DAG file that it parses a module name of its own form; in a packaged DAG (a zip), and outside of
    Airflow's parsing, it is the file of the caller.

    :param frame: of the caller.
    """
    caller = str(frame.f_globals.get("__file__", ""))
    outer: FrameType | None = frame
    while outer is not None:
        if outer.f_globals.get("__name__", "").startswith("unusual_prefix_"):
            return str(outer.f_globals["__file__"])
        outer = outer.f_back
    return caller


def make_asset(uri: str) -> Asset:
    """Make an asset (a ``Dataset`` in Airflow 2) whose name is its URI, as that of everybody who gives only the URI.

    Airflow asks the Google provider whether a URI is right, which takes the process that parses a DAG file 0.75 s and
    39 MB. So it is told a name first, which needs no asking, and the URI afterwards.

    :param uri: in the form that Airflow would bring it to.
    """
    asset = Asset("-")
    object.__setattr__(asset, "uri", uri)
    if AIRFLOW >= (3, 0):
        object.__setattr__(asset, "name", uri)
    return asset


def pause_trigger(seconds: float) -> BaseTrigger:
    """Make the trigger that fires after some seconds."""
    if TYPE_CHECKING or AIRFLOW >= (3, 0):
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    else:
        from airflow.triggers.temporal import TimeDeltaTrigger

    return TimeDeltaTrigger(timedelta(seconds=seconds))


def object_storage_path(url: str) -> Any:
    """Make Airflow's path of an object in any storage that its providers know."""
    if TYPE_CHECKING or AIRFLOW >= (3, 0):
        from airflow.sdk import ObjectStoragePath
    else:
        from airflow.io.path import ObjectStoragePath

    return ObjectStoragePath(url)


def xcom_value(ti_key: TaskInstanceKey, key: str) -> Any:
    """Read a task instance's XCom from wherever this process may: None if there is none."""
    if TYPE_CHECKING or AIRFLOW >= (3, 0):
        from airflow.sdk.execution_time.xcom import XCom
    else:
        from airflow.models.xcom import XCom

    return XCom.get_value(key=key, ti_key=ti_key)


def has_listeners() -> bool:
    """Tell whether a plugin listens to what becomes of tasks, as OpenLineage's does."""
    if TYPE_CHECKING or AIRFLOW >= (3, 2):
        from airflow.sdk.listener import get_listener_manager
    else:
        from airflow.listeners.listener import get_listener_manager

    return bool(get_listener_manager().has_listeners)


def is_first_look(context: Context) -> bool:
    """Tell whether this try of a sensor has not been rescheduled yet."""
    if AIRFLOW >= (3, 0):
        return not context.get("task_reschedule_count", 0)
    from airflow.models.taskreschedule import TaskReschedule
    from airflow.utils.session import create_session

    ti = context["ti"]
    of_try = {name: getattr(ti, name) for name in ("dag_id", "task_id", "run_id", "map_index", "try_number")}
    with create_session() as session:
        return session.query(TaskReschedule.id).filter_by(**of_try).first() is None


def map_indexes(context: Context, task_id: str) -> list[int]:
    """List the map indexes that a task has in the DAG run that runs; none if it was mapped over nothing."""
    ti = context["ti"]
    if AIRFLOW >= (3, 0):
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states = RuntimeTaskInstance.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
        of_run = states.get(ti.run_id, {})  # by f"{task_id}_{map_index}"
        return [index for index in range(len(of_run)) if f"{task_id}_{index}" in of_run]
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(TaskInstance.map_index).filter_by(dag_id=ti.dag_id, task_id=task_id, run_id=ti.run_id)
        return sorted(index for (index,) in rows if index >= 0)


def skipped_tasks(context: Context, task_ids: Collection[str]) -> set[str]:
    """Find those of some tasks that Airflow has skipped in the DAG run that runs."""
    ti = context["ti"]
    if not task_ids:
        return set()
    if AIRFLOW >= (3, 0):
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states = RuntimeTaskInstance.get_task_states(dag_id=ti.dag_id, task_ids=sorted(task_ids), run_ids=[ti.run_id])
        return {task_id for task_id, state in states.get(ti.run_id, {}).items() if state == "skipped"} & set(task_ids)
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(TaskInstance.task_id).filter_by(dag_id=ti.dag_id, run_id=ti.run_id, state="skipped")
        return {task_id for (task_id,) in rows} & set(task_ids)


async def in_thread(function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Run in a thread what blocks and may ask Airflow: for a connection, a task's state, or to store an XCom.

    In the triggerer of Airflow 3.0 and 3.1 such a call has to come back to the trigger's own event loop, which it finds
    from a thread of asgiref alone. From one of ``asyncio.to_thread`` it reads the answers that others wait for, and the
    triggerer ends with "Response read out of order" (seen in 3.1.7; https://github.com/apache/airflow/issues/64620). A
    trigger that is cancelled meanwhile must not leave an answer unread there, so the function runs on to its end.
    """
    from asgiref.sync import sync_to_async

    return await asyncio.shield(sync_to_async(function, thread_sensitive=False)(*args, **kwargs))


async def keep_in_xcom(ti: Any, values: Mapping[str, Any]) -> bool:
    """Leave values of a deferred task in XCom, from its trigger.

    :param ti: the task instance that the triggerer gave to the trigger; None for a trigger without one.
    :param values: by their keys.
    :return: False if this Airflow does not take them from its triggerer: a worker must leave them.
    """
    if ti is None:
        return False
    try:
        await in_thread(_push, ti, values)
    except Exception:  # before Airflow 3.1 there was no such message; whichever error it is, a worker can do it
        return False
    return True


async def success_event(ti: Any, result: dict[str, Any]) -> TriggerEvent | None:
    """Leave a task's result in XCom and make the event by which the triggerer ends the task.

    Airflow 2 pushes what the event carries. Airflow 3 (seen in 3.3.2) writes such a value as JSON twice, so that a
    task downstream would pull a string: there the result is pushed by the triggerer's own way to XCom before.

    :param ti: the task instance that the triggerer gave to the trigger; None for a trigger without one.
    :return: None if this Airflow does not take XComs from its triggerer: a worker must end the task.
    """
    from airflow.triggers.base import TaskSuccessEvent

    xcoms: dict[str, Any] = {"return_value": result}
    if AIRFLOW < (3, 0):
        return TaskSuccessEvent(xcoms=xcoms)
    return TaskSuccessEvent() if await keep_in_xcom(ti, xcoms) else None


async def is_deferred(ti: Any) -> bool:
    """Tell whether Airflow still has this try of the task as deferred.

    It tells a killed task from one whose triggerer only stops: one that still is deferred was not killed.

    :param ti: the task instance that the triggerer gave to the trigger.
    :raises Exception: Airflow could not be asked.
    """
    ask = _state_from_supervisor if AIRFLOW >= (3, 0) else _state_from_database
    return await in_thread(ask, ti) == "deferred"


def _push(ti: Any, xcoms: Mapping[str, Any]) -> None:
    if TYPE_CHECKING or AIRFLOW >= (3, 0):
        from airflow.sdk.execution_time.xcom import XCom
    else:
        from airflow.models.xcom import XCom

    map_index = -1 if ti.map_index is None else ti.map_index
    for key, value in xcoms.items():
        XCom.set(
            key=key,
            value=value,
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=map_index,
        )


def _state_from_supervisor(ti: Any) -> str | None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    mapped = ti.map_index is not None and ti.map_index >= 0
    states = RuntimeTaskInstance.get_task_states(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index if mapped else None
    )
    of_run = states.get(ti.run_id, {})
    state: str | None = of_run.get(f"{ti.task_id}_{ti.map_index}" if mapped else ti.task_id)
    return state


def _state_from_database(ti: Any) -> str | None:
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
