"""Rules of Airflow for tasks that defer. Light, since DAG files import it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_kedro_vertex.compat import has_listeners

#: Airflow's ``next_method`` of a deferred task that must fail: its trigger broke, or its time is over.
_FAIL = "__fail__"


def is_timeout(next_method: str, next_kwargs: Mapping[str, Any] | None) -> bool:
    """Tell whether a deferred task comes back because its time is over.

    Airflow then says "Trigger timeout" or "Trigger/execution timeout".
    """
    return next_method == _FAIL and "timeout" in str((next_kwargs or {}).get("error", "")).lower()


def deferral_timeout(sensor: Any) -> timedelta:
    """How long a sensor may be deferred: its ``timeout``, or its ``execution_timeout`` if that is shorter."""
    return min(timedelta(seconds=sensor.timeout), sensor.execution_timeout or timedelta.max)


def may_end_in_triggerer(operator: Any) -> bool:
    """Tell whether the triggerer may end this task when its job succeeded: nothing is left for a worker to do then.

    What the operator was given as ``end_from_trigger`` it keeps under another name: Airflow refuses each DAG file that
    has a task with a true attribute of that name while a plugin listens, as OpenLineage's does.
    """
    return bool(
        operator.may_end_in_triggerer
        and operator.do_xcom_push  # the triggerer always leaves the result
        and not operator.outlets
        and not operator.on_success_callback
        and not has_listeners()  # the triggerer does not tell them
    )
