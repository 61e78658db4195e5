"""What to ask for, from what was used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.run_status import group_statuses
from airflow_provider_kedro_vertex.core.jobs.tuning import Advice, Run, advise, changes, dollars_a_run, to_text
from airflow_provider_kedro_vertex.core.jobs.usage import Usage
from tests.unit.core.test_memory import KILLED, failed
from tests.unit.core.test_request import request

GIB = 1 << 30


def used(memory: float, cores: float = 0.5, seconds: float = 3600) -> Usage:
    return Usage(int(memory * GIB), None, cores * seconds, cores, seconds)


def advice(
    *told: Usage | None, asked: dict[str, Any], margin: float = 0.25, error: dict[str, Any] | None = None, **config: Any
) -> Advice:
    """What is said of the node `clean`, whose runs told these."""
    resources = {"__default__": {}, "clean": asked, **config.pop("resources", {})}
    job = request(resources=resources, **config)
    (status,) = (each for each in group_statuses([failed(job.body("job-1"), error or {})]) if each.name == "clean")
    found = advise(job.plan, [Run(status, each) for each in told], margin)
    (each,) = (each for each in found if each.group.name == "clean")
    return each


def test_memory_is_the_most_that_was_used_with_the_margin() -> None:
    asked = {"cpu": "4", "memory": "16Gi"}
    each = advice(used(1.5), used(1.6), used(0.2), asked=asked)
    assert (each.runs, each.killed, each.memory) == (3, 0, int(1.6 * GIB))
    assert each.changes == {"cpu": "1", "memory": "2Gi"}
    assert advice(used(1.6), asked=asked, margin=0).changes["memory"] == "1792Mi"
    assert advice(used(0.01), asked=asked).changes["memory"] == "512Mi"


def test_processors_are_those_of_the_busiest_run_unless_all_were_busy() -> None:
    assert advice(used(1, 1.9), asked={"cpu": "8", "memory": "1280Mi"}).changes == {"cpu": "2500m"}
    assert advice(used(1, 0.1), asked={"cpu": "8", "memory": "1280Mi"}).changes == {"cpu": "500m"}
    assert advice(used(1, 7.5), asked={"cpu": "8", "memory": "1280Mi"}).changes == {}
    assert advice(used(1, 3.0), asked={"memory": "1280Mi"}).changes == {"cpu": "4"}


def test_what_fits_is_not_written_in_other_words() -> None:
    assert advice(used(1.6, 0.7), asked={"cpu": "1000m", "memory": "2048Mi"}).changes == {}


def test_a_node_that_was_killed_gets_twice_its_limit() -> None:
    each = advice(None, asked={"memory": "2Gi"}, error=KILLED)
    assert (each.runs, each.killed, each.changes) == (0, 1, {"memory": "4Gi"})
    each = advice(used(1), None, asked={"memory": "2Gi"}, error=KILLED)
    assert (each.runs, each.killed, each.changes["memory"]) == (1, 2, "4Gi")


@pytest.mark.parametrize(
    ("told", "asked", "config", "remark"),
    [
        ([used(1)], {"machine_type": "n1-highmem-8"}, {}, "keeps its machine_type, n1-highmem-8"),
        (
            [used(1)],
            {"memory": "16Gi"},
            {"nodes": {"clean": {"replica_count": 2, "distributed": "torch"}}},
            "keeps what its 2 machines have",
        ),
        ([], {"memory": "16Gi"}, {}, "has told nothing"),
        ([None], {"memory": "16Gi"}, {}, "has told nothing"),
    ],
)
def test_what_cannot_be_advised_stays(told: list[Usage | None], asked: Any, config: Any, remark: str) -> None:
    each = advice(*told, asked=asked, **config)
    assert (each.changes, each.remark) == ({}, remark)
    assert each.before == each.after


def test_the_price_of_a_run_goes_down() -> None:
    each = advice(used(1.6), used(1.6), asked={"cpu": "16", "memory": "64Gi"})
    assert each.before is not None
    assert each.after is not None
    assert each.after < each.before / 2
    assert dollars_a_run([each]) == pytest.approx((each.before, each.after))
    assert dollars_a_run([each, replace(each, seconds=None)]) == dollars_a_run([each])
    text = to_text([each]).splitlines()
    assert text[0].split() == ["NODES", "RUNS", "KILLED", "MEMORY", "USED", "CPU", "USED", "$/HOUR"]
    assert text[1].split()[:6] == ["clean", "2", "-", "64Gi", "->", "2Gi"]
    assert text[-1] == (f"A run of them costs about ${each.before:.4f}, and ${each.after:.4f} with what is advised.")
    assert changes([each]) == {"clean": {"cpu": "1", "memory": "2Gi"}}
    assert each.to_dict()["advice"] == {"cpu": "1", "memory": "2Gi"}


def test_runs_of_other_nodes_are_not_the_nodes_own() -> None:
    job = request(resources={"__default__": {"cpu": "4", "memory": "16Gi"}})
    statuses = group_statuses([failed(job.body("job-1"), {})])
    found = advise(job.plan, [Run(each, used(3)) for each in statuses if each.name == "load"], 0.25)
    assert changes(found) == {"load": {"cpu": "1", "memory": "3840Mi"}}
