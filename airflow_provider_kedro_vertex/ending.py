"""Ending a task with a result from the triggerer, in the way that each Airflow allows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from airflow import __version__
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent


async def success_event(ti: Any, result: dict[str, Any], more: Mapping[str, Any] | None = None) -> TriggerEvent | None:
    """Leave a task's result in XCom and make the event that ends the task.

    Airflow 2 pushes what the event carries. Airflow 3 (seen in 3.3.2) writes such a value as JSON twice, so that a
    task downstream would pull a string: there the result is pushed by the triggerer's own way to XCom before.

    :param ti: the task instance that the triggerer gave to the trigger; None for a trigger without one.
    :param more: more values for XCom, by their keys.
    :return: None if this Airflow does not take XComs from its triggerer: a worker must end the task.
    """
    xcoms = {"return_value": result, **(more or {})}
    if __version__.startswith("2."):
        return TaskSuccessEvent(xcoms=xcoms)
    if ti is None:
        return None
    try:
        await asyncio.to_thread(_push, ti, xcoms)
    except Exception:  # before Airflow 3.1 there was no such message; whichever error it is, a worker can do it
        return None
    return TaskSuccessEvent()


def _push(ti: Any, xcoms: Mapping[str, Any]) -> None:
    from airflow.sdk.execution_time.xcom import XCom

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
