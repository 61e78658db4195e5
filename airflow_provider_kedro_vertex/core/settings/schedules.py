"""``schedules:`` as Airflow takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.settings.cron import five_fields
from airflow_provider_kedro_vertex.core.settings.run_config import Schedule

DEFAULT_SCHEDULE = "default_schedule"

#: The pipeline that ``default_schedule`` is for (Kedro's own name).
_DEFAULT_PIPELINE = "__default__"


@dataclass(frozen=True)
class AirflowSchedule:
    """A schedule in Airflow's terms.

    :param cron: five fields, or a preset such as ``@daily``.
    :param timezone: of the cron expression, and of the moments that have none of their own.
    :param start: ISO 8601; None leaves it open.
    :param end: ISO 8601; None is for ever.
    :param max_active_runs: runs side by side at most.
    """

    cron: str
    timezone: str
    start: str | None
    end: str | None
    max_active_runs: int


def scheduled(schedules: Mapping[str, Schedule]) -> dict[str, Schedule]:
    """Find which pipelines run by a schedule.

    Those are the pipelines that ``schedules`` names. Where it names none, ``default_schedule`` is for ``__default__``.
    """
    named = {name: schedule for name, schedule in schedules.items() if name != DEFAULT_SCHEDULE}
    if named or DEFAULT_SCHEDULE not in schedules:
        return named
    return {_DEFAULT_PIPELINE: schedules[DEFAULT_SCHEDULE]}


def airflow_schedule(schedule: Schedule, where: str) -> AirflowSchedule:
    """Bring a schedule into Airflow's terms.

    :param where: its key, for the messages.
    :raises ConfigError: it has no cron expression, time zone or moment that Airflow would take; the message names the
        key.
    """
    cron, prefix = five_fields(schedule.cron_expression, f"{where}.cron_expression")
    timezone = prefix or schedule.timezone
    zone_of(timezone, f"{where}.timezone")
    for key in ("start_time", "end_time"):
        if text := getattr(schedule, key):
            moment(text, f"{where}.{key}")
    return AirflowSchedule(
        cron=cron,
        timezone=timezone,
        start=schedule.start_time or None,
        end=schedule.end_time or None,
        max_active_runs=schedule.max_concurrent_run_count,
    )


def zone_of(name: str, where: str) -> ZoneInfo | None:
    """Find a time zone by its name; None where the system knows no time zones at all.

    :raises ConfigError: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not (known := available_timezones()):
            return None
        raise ConfigError(f"{where}: there is no time zone {name!r}.", did_you_mean(name, known)) from None


def moment(text: str, where: str) -> datetime:
    """Read a moment, which may have no time zone.

    :raises ConfigError: it is not ISO 8601.
    """
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ConfigError(
            f"{where} must be ISO 8601, such as 2026-01-31 or 2026-01-31T04:00:00Z, not {text!r}."
        ) from None
