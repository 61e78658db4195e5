"""What a run of a plan is likely to cost."""

from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.core.jobs.run_price import run_price
from airflow_provider_kedro_vertex.core.plan.plan_table import plan_table
from tests.unit.core.test_outcome import task
from tests.unit.core.test_run_status import pipeline_job, small_plan

HOUR = {"startTime": "2013-06-01T00:00:00Z", "endTime": "2013-06-01T01:00:00Z"}
THREE = {"startTime": "2013-06-01T00:00:00Z", "endTime": "2013-06-01T03:00:00Z"}


def test_a_run_costs_what_its_machines_cost_for_as_long_as_they_took_on_average() -> None:
    plan = small_plan()
    table = plan_table(plan)
    jobs = [
        pipeline_job(plan, task("load", **HOUR), task("clean", **HOUR), task("report", **HOUR)),
        pipeline_job(plan, task("load", **THREE), task("clean", "FAILED", 3, "x", **THREE), task("report", "SKIPPED")),
    ]
    price = run_price(table, jobs)
    assert price.seconds == {"load": 7200, "clean": 3600, "report": 3600}
    hour = {row.group.task_id: row.dollars_an_hour or 0.0 for row in table.rows}
    assert price.dollars == {
        group: pytest.approx(hour[group] * seconds / 3600)
        for group, seconds in (("load", 7200), ("clean", 3600), ("report", 3600))
    }
    assert price.unknown == []
    assert price.to_dict()["dollars"] == pytest.approx(2 * hour["load"] + hour["clean"] + hour["report"])
    assert price.to_text() == (
        f"A run costs about ${price.known_dollars:.4f}, by how long its containers took in the last runs.\n"
    )


def test_what_has_not_run_is_unknown() -> None:
    plan = small_plan()
    table = plan_table(plan)
    price = run_price(table, [pipeline_job(plan, task("load", **HOUR))])
    assert price.unknown == ["clean", "report"]
    assert price.to_dict()["dollars"] is None
    assert price.to_dict()["groups"]["clean"] == {"seconds": None, "dollars": None}
    assert price.to_text().endswith("in the last runs, without what is unknown: clean, report.\n")
    assert run_price(table, []).to_text() == (
        "What a run costs is unknown: none of its containers has succeeded in that time.\n"
    )
