"""What a sensor does that no run of Airflow shows soon: its time limits, and an outage while it is rescheduled."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import DAG, AirflowException, AirflowSensorTimeout, BaseSensorOperator
from airflow_provider_kedro_vertex.core.errors import UnavailableError
from airflow_provider_kedro_vertex.operators import (
    KedroVertexNodeOperator,
    KedroVertexPipelineOperator,
    node,
    node_monitor,
)
from airflow_provider_kedro_vertex.sensors import KedroVertexPipelineSensor
from airflow_provider_kedro_vertex.task.deferral import deferral_timeout


@pytest.mark.parametrize(
    ("limit", "seconds"), [(None, 100), (timedelta(seconds=40), 40), (timedelta(seconds=400), 100)]
)
def test_a_deferred_sensor_waits_for_the_shorter_of_its_two_limits(limit: timedelta | None, seconds: int) -> None:
    sensor = KedroVertexNodeOperator(task_id="node", group="node", timeout=100, execution_timeout=limit)
    assert deferral_timeout(sensor) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("mode", "given", "away"), [("reschedule", 1, 10), ("reschedule", 30, 30), ("poke", 1, 1)])
def test_a_task_that_reschedules_itself_is_away_until_airflow_has_heard_of_it(
    monkeypatch: pytest.MonkeyPatch, mode: str, given: float, away: float
) -> None:
    monkeypatch.setattr(node, "is_first_look", lambda context: False)
    monkeypatch.setattr(BaseSensorOperator, "execute", lambda self, context: self.poke_interval)
    operator = KedroVertexNodeOperator(task_id="node", group="node", mode=mode, poke_interval=given)
    sensor = KedroVertexPipelineSensor(task_id="wait", job="x", mode=mode, poke_interval=given, deferrable=False)

    assert [task.execute({}) for task in (operator, sensor)] == [away, away]


class OutOfReach:
    """Vertex AI gives no answer."""

    def __init__(self, operator: KedroVertexNodeOperator, group: str, submit_task_id: str, context: Any) -> None:
        self.submit = SimpleNamespace(only_nodes=None)

    def poll(self) -> Any:
        raise UnavailableError("Vertex AI does not answer")

    last_job = poll


@pytest.mark.parametrize(
    ("first", "error"),
    # The first look also decides on a new attempt, so it must not be passed over: Airflow's retries come again.
    [(True, AirflowException), (False, AirflowSensorTimeout)],
)
def test_a_rescheduled_sensor_rides_out_an_outage_until_its_timeout(
    monkeypatch: pytest.MonkeyPatch, first: bool, error: type[Exception]
) -> None:
    monkeypatch.setattr(node_monitor, "NodeMonitor", OutOfReach)
    monkeypatch.setattr(node, "is_first_look", lambda context: first)
    sensor = KedroVertexNodeOperator(task_id="node", group="node", mode="poke", timeout=0)

    with pytest.raises(AirflowException) as raised:
        sensor.execute({})
    assert type(raised.value) is error


def test_a_sensor_takes_the_result_of_a_job_whose_task_it_cannot_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", '{"conn_type": "google_cloud_platform"}')
    with DAG("mapped", schedule=None):
        KedroVertexPipelineOperator.partial(task_id="run").expand(runtime_params=[{"a": 1}])
        sensor = KedroVertexPipelineSensor(
            task_id="wait", job="projects/p/locations/r/pipelineJobs/j", submitted_by="run"
        )
    vars(sensor)["_monitor"] = SimpleNamespace(result=lambda context, job: {"state": "SUCCEEDED"})
    job: Any = {"name": sensor.job, "state": "PIPELINE_STATE_SUCCEEDED"}
    assert sensor._result({}, job) == {"state": "SUCCEEDED"}  # type: ignore[typeddict-item]
