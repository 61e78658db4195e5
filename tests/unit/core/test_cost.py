"""What containers cost, worked out by hand from the table of prices."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.cost import container_costs, cost_summary, cost_text, sums, total
from airflow_provider_kedro_vertex.core.jobs.failure import explain_job
from airflow_provider_kedro_vertex.core.jobs.summary import summary
from airflow_provider_kedro_vertex.core.settings.machine_prices import (
    ACCELERATOR_DOLLARS,
    AS_OF,
    GIB_DOLLARS,
    SURCHARGE,
    VCPU_DOLLARS,
)
from tests.unit.core.test_outcome import task
from tests.unit.core.test_run_status import custom_job, pipeline_job, small_plan

#: n1-standard-4 is 4 cores and 15 GiB.
N1_STANDARD_4 = (4 * VCPU_DOLLARS["n1"] + 15 * GIB_DOLLARS["n1"]) * SURCHARGE
HOUR = {"startTime": "2013-06-01T00:00:00Z", "endTime": "2013-06-01T01:00:00Z"}


def ended_custom_job(number: int = 1, **config: Any) -> Any:
    plan = small_plan(resources={"__default__": {"machine_type": "n1-standard-4"}}, **config)
    return {**custom_job(plan, 0, "SUCCEEDED", number), **HOUR}


def test_a_custom_job_costs_its_machines_for_its_hours() -> None:
    (cost,) = container_costs(ended_custom_job())
    assert (cost.seconds, cost.node, cost.day, cost.pipeline) == (3600, "load", "2013-06-01", "__default__")
    assert cost.dollars == pytest.approx(N1_STANDARD_4)

    (cost,) = container_costs(ended_custom_job(nodes={"load": {"replica_count": 3}}))
    assert cost.dollars == pytest.approx(3 * N1_STANDARD_4)

    job = ended_custom_job()
    job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] |= {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 2}
    (cost,) = container_costs(job)
    assert cost.dollars == pytest.approx(N1_STANDARD_4 + 2 * ACCELERATOR_DOLLARS["NVIDIA_TESLA_T4"] * SURCHARGE)


def test_a_pipeline_job_costs_each_container_that_has_ended() -> None:
    plan = small_plan(resources={"__default__": {"cpu": "4", "memory": "15Gi"}})
    tasks = [task("load", **HOUR), task("clean", "SKIPPED", **HOUR), task("report", "RUNNING", endTime=None)]
    found = {cost.node: cost for cost in container_costs(pipeline_job(plan, *tasks))}
    assert found.keys() == {"load", "clean"}
    load, clean = found["load"], found["clean"]
    assert load.seconds == 3600
    assert 0 < (load.dollars or 0) <= N1_STANDARD_4, "the cheapest machine that has as much"
    assert (clean.seconds, clean.dollars) == (0, 0), "its result came from the cache"


def test_a_machine_without_a_price_is_told_and_counts_nothing() -> None:
    job = ended_custom_job()
    job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] = {"machineType": "z9-standard-1"}
    all_of_it = total([*container_costs(job), *container_costs(ended_custom_job(2))])
    assert (all_of_it.jobs, all_of_it.unpriced) == (2, 1)
    assert all_of_it.dollars == pytest.approx(N1_STANDARD_4, abs=1e-6)
    job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] |= {"acceleratorType": "NEW", "acceleratorCount": 1}
    assert container_costs(job)[0].dollars is None


def test_a_job_that_is_launched_is_priced_as_the_job_that_it_is() -> None:
    job = pipeline_job(small_plan(), task("load", **HOUR))
    container = job["pipelineSpec"]["deploymentSpec"]["executors"]["exec-load"]["container"]
    launched = {"container_spec": {"image_uri": "i", "args": ["--node", "load"]}}
    payload = f'{{"job_spec": {{"worker_pool_specs": [{str(launched).replace(chr(39), chr(34))}]}}}}'
    command = ["python3", "-u", "-m", "google_cloud_pipeline_components.container.v1.custom_job.launcher"]
    container |= {"command": command, "args": ["--type", "CustomJob", "--payload", payload]}
    assert container_costs(job) == []


def test_a_job_tells_what_it_has_cost() -> None:
    plan = small_plan(
        resources={"__default__": {"cpu": "4", "memory": "15Gi"}, "clean": {"machine_type": "n1-standard-4"}},
        nodes={"clean": {"replica_count": 3, "distributed": "torch"}},
    )
    job = pipeline_job(plan, task("load", **HOUR), task("clean", **HOUR), task("report", endTime=None))
    # What is launched is a part of the job here.
    by_node = {cost.node: cost.dollars for cost in container_costs(job, launched=True)}
    assert by_node["clean"] == pytest.approx(3 * N1_STANDARD_4)
    assert [cost.node for cost in container_costs(job)] == ["load"]
    told = cost_summary(job)
    assert told["groups"] == {name: pytest.approx(dollars, abs=1e-6) for name, dollars in by_node.items()}
    assert told["dollars"] == pytest.approx(sum(by_node.values()), abs=1e-5)  # type: ignore[arg-type]
    assert (told["unpriced"], told["region"], told["as_of"]) == (0, "us-central1", AS_OF)
    assert cost_text(job) == (
        f"It has cost about ${told['dollars']:.4f} (clean ${by_node['clean']:.4f}, load ${by_node['load']:.4f}): an "
        f"estimate at list prices for us-central1, written down on {AS_OF}."
    )
    assert summary({**job, "state": "PIPELINE_STATE_SUCCEEDED"}, "url")["cost"] == told
    assert "cost" not in summary({**job, "state": "PIPELINE_STATE_RUNNING"}, "url")
    assert f"  {cost_text(job)}" in explain_job({**job, "state": "PIPELINE_STATE_FAILED"}, "url").splitlines()


def test_a_job_of_another_package_and_one_that_has_not_begun_tell_no_cost() -> None:
    other = pipeline_job(small_plan(), task("load", **HOUR))
    other["pipelineSpec"]["deploymentSpec"]["executors"] = {"exec-load": {"container": {"image": "i"}}}
    for job in (other, pipeline_job(small_plan(), task("load", "RUNNING", endTime=None))):
        assert cost_summary(job) == {}
        assert cost_text(job) is None


def test_an_unknown_price_is_told_with_the_sum() -> None:
    job = ended_custom_job()
    job["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] = {"machineType": "z9-standard-1"}
    assert cost_summary(job)["unpriced"] == 1
    assert cost_summary(job)["groups"] == {"load": None}
    assert str(cost_text(job)).startswith("It has cost about $0.0000, and 1 container without a known price: ")


def test_days_come_in_order_and_all_else_the_dearest_first() -> None:
    early, late = ended_custom_job(1), {**ended_custom_job(2), "createTime": "2013-06-02T00:00:00Z"}
    late["endTime"] = "2013-06-01T02:00:00Z"
    late["labels"] = {**late["labels"], "kedro-pipeline": "dear"}
    costs = [cost for job in (late, early) for cost in container_costs(job)]
    assert [each.key for each in sums(costs, "day")] == ["2013-06-01", "2013-06-02"]
    assert [(each.key, each.seconds) for each in sums(costs, "pipeline")] == [("dear", 7200), ("__default__", 3600)]
    assert [(each.key, each.jobs) for each in sums(costs, "node")] == [("load", 2)]
    assert sums([], "day") == []
