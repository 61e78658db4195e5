"""The schedule of a DAG whose file gives none: that of the pipeline in ``schedules:``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.schedules import airflow_schedule, moment, scheduled, zone_of

#: Where a schedule has no ``start_time``. A fixed day, so that no deployment moves the start; without catchup nothing
#: between it and the first run is made up for.
_FIRST_DAY = datetime(2020, 1, 1)


def schedule_arguments(config: RunConfig, pipeline: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Find the arguments of a DAG that say when it runs, where its file does not.

    What else the DAG file gives wins. A ``start_date`` of its own is told in the schedule's time zone, since Airflow
    takes the time zone of the cron expression from it.

    :param given: what the DAG file hands to Airflow's ``DAG``.
    :return: ``schedule=None`` for a pipeline without a schedule.
    :raises ConfigError: the schedule is wrong.
    """
    found = scheduled(config.schedules).get(pipeline)
    if found is None:
        return {"schedule": None}
    where = f"schedules.{pipeline}"
    schedule = airflow_schedule(found, where)
    zone = zone_of(schedule.timezone, f"{where}.timezone") or timezone.utc

    def in_zone(date: datetime) -> datetime:
        return date.replace(tzinfo=zone) if date.tzinfo is None else date.astimezone(zone)

    start = given.get("start_date") or (given.get("default_args") or {}).get("start_date")
    if start is None:
        start = moment(schedule.start, f"{where}.start_time") if schedule.start else _FIRST_DAY
    arguments = {
        "schedule": schedule.cron,
        "end_date": in_zone(moment(schedule.end, f"{where}.end_time")) if schedule.end else None,
        "catchup": False,
        "max_active_runs": schedule.max_active_runs,
    }
    return {**arguments, **{name: given[name] for name in arguments if name in given}, "start_date": in_zone(start)}
