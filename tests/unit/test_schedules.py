"""A DAG whose file says nothing of when it runs: ``schedules:`` of the manifest does."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.checks.check import check_project
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from tests.unit.conftest import small_manifest
from tests.unit.test_dag import dags, load

DAILY = {"cron_expression": "0 4 * * *", "timezone": "Europe/Warsaw", "max_concurrent_run_count": 2}
ALL = 'kedro_vertex_dags(globals(), manifest="m.json"{})'


def made(folder: Path, schedules: dict[str, Any], arguments: str = "") -> dict[str, Any]:
    manifests.write(small_manifest(schedules=schedules), folder / "m.json")
    return dags(load(folder, ALL.format(arguments)))


def when(dag: Any) -> Any:
    return getattr(dag, "schedule", None) or getattr(dag, "schedule_interval", None)  # Airflow 3 or 2


def test_the_manifest_says_when(tmp_path: Path) -> None:
    end = "2030-01-01T00:00:00Z"
    given = {"first": {**DAILY, "cron_expression": "TZ=Asia/Tokyo 0 4 ? * mon", "end_time": end}, "__default__": DAILY}
    found = made(tmp_path, given)

    assert (when(found["small"]), found["small"].timezone.name) == ("0 4 * * *", "Europe/Warsaw")
    assert (found["small"].max_active_runs, found["small"].catchup, found["small"].end_date) == (2, False, None)
    assert (when(found["small_first"]), found["small_first"].timezone.name) == ("0 4 * * mon", "Asia/Tokyo")
    assert found["small_first"].end_date == datetime(2030, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("schedules", "scheduled"),
    [
        ({}, {"small": None, "small_first": None}),
        ({"default_schedule": DAILY}, {"small": "0 4 * * *", "small_first": None}),
        ({"default_schedule": DAILY, "first": {}}, {"small": None, "small_first": "0 * * * *"}),
    ],
)
def test_which_pipelines_have_a_schedule(
    tmp_path: Path, schedules: dict[str, Any], scheduled: dict[str, str | None]
) -> None:
    """Never Airflow 2's default, which is daily."""
    assert {name: when(dag) for name, dag in made(tmp_path, schedules).items()} == scheduled


def test_the_start_stays_where_it_is(tmp_path: Path) -> None:
    """Also in the time zone of the schedule, from which Airflow takes that of the cron expression."""
    first = made(tmp_path, {"default_schedule": DAILY})["small"]
    assert first.start_date == datetime(2019, 12, 31, 23, tzinfo=timezone.utc)

    said = made(tmp_path, {"default_schedule": {**DAILY, "start_time": "2026-05-01T04:00:00Z"}})["small"]
    assert (said.start_date, said.timezone.name) == (datetime(2026, 5, 1, 4, tzinfo=timezone.utc), "Europe/Warsaw")


@pytest.mark.parametrize(
    ("arguments", "schedule", "start"),
    [
        (', schedule="@weekly", start_date=datetime(2013, 6, 1)', "@weekly", datetime(2013, 6, 1)),
        (", schedule=None", None, None),
        (", start_date=datetime(2013, 6, 1)", "0 4 * * *", datetime(2013, 5, 31, 22)),
        (', default_args={"start_date": datetime(2013, 6, 1)}', "0 4 * * *", datetime(2013, 5, 31, 22)),
        (", catchup=True, max_active_runs=7", "0 4 * * *", datetime(2019, 12, 31, 23)),
    ],
)
def test_what_the_file_says_wins(tmp_path: Path, arguments: str, schedule: str | None, start: datetime | None) -> None:
    dag = made(tmp_path, {"default_schedule": DAILY}, arguments)["small"]

    assert when(dag) == schedule
    assert dag.start_date == (start and start.replace(tzinfo=timezone.utc))
    if "catchup" in arguments:
        assert (dag.catchup, dag.max_active_runs) == (True, 7)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"cron_expression": "0 25 * * *"}, "schedules.__default__.cron_expression: '0 25 * * *': '25' is no hour"),
        ({"timezone": "Europe/Warsav"}, "schedules.__default__.timezone: there is no time zone 'Europe/Warsav'. Did"),
        ({"end_time": "soon"}, "schedules.__default__.end_time must be ISO 8601"),
    ],
)
def test_check_finds_what_the_factory_refuses(tmp_path: Path, schedule: dict[str, Any], said: str) -> None:
    schedules = {"__default__": {**DAILY, **schedule}}
    with pytest.raises(ConfigError) as caught:
        made(tmp_path, schedules)
    findings = check_project(small_manifest(schedules=schedules))

    assert [(each.code, each.level) for each in findings if "schedules" in each.message] == [("KV022", "error")]
    assert any(f"{each.message} {each.fix}".startswith(said) for each in findings)
    assert said.split(" Did")[0] in str(caught.value)


def test_check_warns_of_a_schedule_for_no_pipeline() -> None:
    findings = check_project(small_manifest(schedules={"frist": DAILY}))

    assert [(each.code, each.level, each.fix) for each in findings if "schedules" in each.message] == [
        ("KV014", "warning", "Did you mean 'first'?")
    ]


def test_check_tells_of_schedules_that_kedro_vertexai_may_have_made() -> None:
    def notes(**config: Any) -> list[str]:
        return [each.code for each in check_project(small_manifest(**config)) if each.code == "KV031"]

    assert notes(scheduled_run_name="shop") == ["KV031"]
    assert notes(scheduled_run_name="shop", schedules={"default_schedule": DAILY}) == ["KV031"]
    assert notes(scheduled_run_name="shop", schedules={"first": DAILY}) == []
    assert notes(schedules={"default_schedule": DAILY}) == []
