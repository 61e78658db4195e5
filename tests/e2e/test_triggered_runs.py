"""Single runs: a DAG of one's own with the operator, and a run that must fail."""

from __future__ import annotations

import pytest

from tools.demo.stack import Stack

pytestmark = [pytest.mark.airflow]


def test_airflow_finds_the_example_dags_and_nothing_else(stack: Stack) -> None:
    pipelines = {"flights", "flights_features", "flights_training", "flights_reporting"}
    modes = {"flights_nodes", "flights_custom_jobs"}
    others = {"flights_on_demand", "flights_maintenance", "flights_notices"}
    assert stack.airflow.dag_ids() == pipelines | modes | others


def test_operators_in_a_dag_of_ones_own(stack: Stack) -> None:
    run = stack.airflow.trigger("flights_on_demand", {"run_date": "2013-06-04"})
    tasks = {task.task_id: task.state for task in stack.airflow.tasks("flights_on_demand", run.run_id)}
    assert tasks == dict.fromkeys(("features", "training", "reporting", "announce"), "success")
    assert [job.state for job in stack.vertex.jobs() if job.run_id == run.run_id] == ["SUCCEEDED"] * 3
    assert stack.storage.read_json("2013-06-04/metrics.json")["run_date"] == "2013-06-04"


def test_a_node_that_fails_fails_the_run_and_the_logs_say_why(stack: Stack) -> None:
    run = stack.airflow.trigger("flights_on_demand", {"run_date": "2012-12-31"})
    assert run.state == "failed"
    tasks = {task.task_id: task.state for task in stack.airflow.tasks("flights_on_demand", run.run_id)}
    assert tasks.pop("features") == "failed"
    assert set(tasks.values()) == {"upstream_failed"}
    job = next(job for job in stack.vertex.jobs() if job.run_id == run.run_id)
    log = stack.airflow.task_log("flights_on_demand", run.run_id, "features")
    assert "features-select-flights" in log
    assert job.url in log
    assert list(job.failed) == ["features-select-flights"]
    assert "There are no flights on 2012-12-31" in stack.vertex.log(job.failed["features-select-flights"])


def test_the_maintenance_dag_tells_what_it_would_delete(stack: Stack) -> None:
    run = stack.airflow.trigger("flights_maintenance", {})
    assert run.state == "success"
    log = stack.airflow.task_log("flights_maintenance", run.run_id, "clean_up")
    assert "Would delete 0 runs" in log
