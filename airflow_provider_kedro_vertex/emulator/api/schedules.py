"""ScheduleService (v1): schedules are kept, checked, listed, paused, resumed and deleted, but start no runs.

So a schedule has no ``next_run_time``, and it is completed by its ``end_time`` alone. Changing one (UpdateSchedule) and
schedules of notebooks answer UNIMPLEMENTED.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_kedro_vertex.emulator.api.filters import Kind, compile_filter
from airflow_provider_kedro_vertex.emulator.api.operations import done_operation
from airflow_provider_kedro_vertex.emulator.api.paging import page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Violation,
    invalid_argument,
    not_found,
    unimplemented,
    wrong_state,
)
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    DeleteOperationMetadata,
    Empty,
    ListSchedulesResponse,
    Message,
    Schedule,
    microseconds,
    now,
    without,
)
from airflow_provider_kedro_vertex.emulator.storage.store import Store

#: The fields of ListSchedulesRequest.filter, as its documentation lists them.
_FIELDS: Mapping[str, Kind] = {
    "display_name": "text",
    "state": "state",
    "create_pipeline_job_request": "text",
    "create_notebook_execution_job_request": "text",
    "create_time": "time",
    "start_time": "time",
    "end_time": "optional time",
    "next_run_time": "time",
}
#: The fields of ListSchedulesRequest.order_by.
_TIMES = ("create_time", "start_time", "end_time", "next_run_time")

# Set by the server; what a client sends in them is not looked at, as https://google.aip.dev/203 says.
_OUTPUT_ONLY = (
    "name", "started_run_count", "state", "create_time", "update_time", "next_run_time", "last_pause_time",
    "last_resume_time", "catch_up", "last_scheduled_run_response",
)  # fmt: skip

_TIMEZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Each field of a cron expression: its name, the least and the largest number, and words for them, from the least on.
_CRON: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)

_ACTIVE, _PAUSED, _COMPLETED = (Schedule.State.Value(name) for name in ("ACTIVE", "PAUSED", "COMPLETED"))


class Schedules:
    """The RPCs.

    :param check_pipeline_job: refuses a CreatePipelineJobRequest that no run could be made of.
    """

    def __init__(self, store: Store, check_pipeline_job: Callable[[Message], Any]) -> None:
        self._store = store
        self._check_pipeline_job = check_pipeline_job

    def create(self, request: Message) -> Message:
        """``ScheduleService.CreateSchedule``."""
        names.location(request.parent)
        schedule = without(request.schedule, *_OUTPUT_ONLY)
        if schedule.HasField("create_notebook_execution_job_request"):
            raise unimplemented("A schedule of notebook execution jobs")
        if faults := [*_faults(schedule, request.parent)]:
            raise invalid_argument(*faults)
        self._check_pipeline_job(schedule.create_pipeline_job_request)
        schedule.name = f"{request.parent}/{names.SCHEDULES}/{names.generated_number()}"
        schedule.create_time.CopyFrom(now())
        if not schedule.HasField("start_time"):
            schedule.start_time.CopyFrom(schedule.create_time)
        return self._saved(schedule, _ACTIVE)

    def get(self, request: Message) -> Message:
        """``ScheduleService.GetSchedule``."""
        name = str(names.resource(request.name, names.SCHEDULES))
        schedule = self._store.records.get(Schedule, name)
        if schedule is None:
            raise not_found("Schedule", name)
        return _as_of_now(schedule)

    def list(self, request: Message) -> Message:
        """``ScheduleService.ListSchedules``."""
        names.location(request.parent)
        found = {
            schedule.name: _as_of_now(schedule)
            for schedule in self._store.records.list(Schedule, request.parent, names.SCHEDULES)
        }
        rows, token = page(
            [*map(_row, found.values())],
            compile_filter(request.filter, _FIELDS, Schedule.State.keys()),
            parse_order(request.order_by, _TIMES),
            page_size(request.page_size),
            request.page_token,
            (names.SCHEDULES, request.parent, request.filter, request.order_by),
        )
        return ListSchedulesResponse(schedules=[found[row["name"]] for row in rows], next_page_token=token)

    def pause(self, request: Message) -> Message:
        """``ScheduleService.PauseSchedule``: only an active one."""
        schedule = self._in_state(request, _ACTIVE, "paused")
        schedule.last_pause_time.CopyFrom(now())
        self._saved(schedule, _PAUSED)
        return Empty()

    def resume(self, request: Message) -> Message:
        """``ScheduleService.ResumeSchedule``: only a paused one."""
        schedule = self._in_state(request, _PAUSED, "resumed")
        schedule.last_resume_time.CopyFrom(now())
        schedule.catch_up = request.catch_up
        self._saved(schedule, _ACTIVE)
        return Empty()

    def delete(self, request: Message) -> Message:
        """``ScheduleService.DeleteSchedule``, in any state. The operation is done at once."""
        schedule = self.get(request)
        operation = done_operation(schedule.name, DeleteOperationMetadata(), Empty())
        with self._store.transaction():
            self._store.records.delete([schedule.name])
            self._store.save_operation(operation)
        return operation

    def _in_state(self, request: Message, state: int, wanted: str) -> Message:
        schedule = self.get(request)
        if schedule.state != state:
            raise wrong_state("Schedule", schedule.name, Schedule.State.Name(schedule.state), wanted)
        return schedule

    def _saved(self, schedule: Message, state: int) -> Message:
        schedule.state = state
        schedule.update_time.CopyFrom(now())
        self._store.records.save([schedule])
        return _as_of_now(schedule)


def _as_of_now(schedule: Message) -> Message:
    if schedule.HasField("end_time") and schedule.end_time.ToNanoseconds() <= now().ToNanoseconds():
        schedule.state = _COMPLETED
    return schedule


def _row(schedule: Message) -> dict[str, Any]:
    """A schedule as filters and orders see it."""
    requests = ("create_pipeline_job_request", "create_notebook_execution_job_request")
    return {
        "name": schedule.name,
        "display_name": schedule.display_name,
        "state": Schedule.State.Name(schedule.state),
        **{field: "set" if schedule.HasField(field) else None for field in requests},
        **{field: microseconds(schedule, field) for field in _TIMES},
    }


def _faults(schedule: Message, parent: str) -> Iterator[Violation]:
    if not schedule.display_name:
        yield Violation("schedule.display_name", "is required.")
    yield from names.display_name_faults(schedule.display_name, "schedule.display_name")
    yield from _cron_faults(schedule.cron)
    for field, least in (("max_concurrent_run_count", 1), ("max_run_count", 0), ("max_concurrent_active_run_count", 0)):
        if getattr(schedule, field) < least:
            yield Violation(f"schedule.{field}", f"is {getattr(schedule, field)}; it must be at least 1.")
    start, end = (microseconds(schedule, field) for field in ("start_time", "end_time"))
    if start is not None and end is not None and end <= start:
        yield Violation("schedule.end_time", "is not after the start_time.")
    if not schedule.HasField("create_pipeline_job_request"):
        yield Violation("schedule.create_pipeline_job_request", "is required.")
    elif schedule.create_pipeline_job_request.parent != parent:
        yield Violation("schedule.create_pipeline_job_request.parent", f"must be {parent}.")


def _cron_faults(text: str) -> Iterator[Violation]:
    """Check a cron expression: five fields of numbers, names, ranges, lists and steps, perhaps after a time zone."""
    where = "schedule.cron"
    zone = _TIMEZONE.match(text)
    if zone:
        try:
            ZoneInfo(zone[1])
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield Violation(where, f'there is no time zone "{zone[1][:100]}".')
    fields = text[zone.end() if zone else 0 :].split()
    if len(fields) != len(_CRON):
        yield Violation(where, f'"{text[:100]}" has {len(fields)} fields; 5 are required.')
        return
    for field, (name, least, most, words) in zip(fields, _CRON, strict=True):
        if not all(_is_part(part, least, most, words) for part in field.lower().split(",")):
            yield Violation(where, f'"{field[:100]}" is no {name}.')


def _is_part(part: str, least: int, most: int, words: tuple[str, ...]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not re.fullmatch(r"[1-9][0-9]{0,3}", step):
        return False
    if span == "*":
        return True
    bounds = span.split("-")
    numbers = [
        words.index(bound) + least if bound in words else int(bound) if re.fullmatch(r"[0-9]{1,2}", bound) else -1
        for bound in bounds
    ]
    return len(bounds) <= 2 and all(least <= number <= most for number in numbers)
