"""What an operator does around its job: quotas, time limits, who may end the task. The rest runs in tests/airflow."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_kedro_vertex.compat import AirflowException, AirflowFailException
from airflow_provider_kedro_vertex.core.errors import (
    BadRequestError,
    ConfigError,
    JobError,
    KedroVertexError,
    QuotaExceededError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.task import deferral
from airflow_provider_kedro_vertex.task.deferral import is_timeout, may_end_in_triggerer
from airflow_provider_kedro_vertex.task.errors import event_exception, to_airflow_exception, to_waiting_exception

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import TaskDeferred


def operator(**arguments: Any) -> KedroVertexPipelineOperator:
    return KedroVertexPipelineOperator(task_id="submit", manifest="none.json", **arguments)


@pytest.mark.parametrize(
    ("error", "waited", "pause"),
    [
        (QuotaExceededError("full", 429), 0, 30),
        (QuotaExceededError("full", 429), 100, 100),
        (QuotaExceededError("full", 429), 1000, 300),
        (QuotaExceededError("full", 429), 3400, None),
        (JobError("no machine", "quota"), 10, 30),
        (JobError("your fault", "user code"), 10, None),
        (UnavailableError("gone"), 10, None),
    ],
)
def test_a_used_up_quota_is_waited_for_with_growing_pauses(
    error: KedroVertexError, waited: float, pause: float | None
) -> None:
    found = operator()._quota_pause(error, time.time() - waited)

    assert found == (None if pause is None else pytest.approx(pause, abs=1))


class Refused(VertexJobOperator):
    """There is no quota for its job."""

    def submission(self, context: Any) -> Any:
        raise QuotaExceededError("full", 429)


def test_a_deferrable_task_waits_for_a_quota_in_the_triggerer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", '{"conn_type": "google_cloud_platform"}')
    task = Refused(task_id="submit", deferrable=True, execution_timeout=timedelta(minutes=5))
    since = time.time() - 100

    with pytest.raises(TaskDeferred) as deferred:
        task.submit_and_wait({}, since)  # type: ignore[typeddict-item]

    assert deferred.value.method_name == "execute_after_pause"
    assert deferred.value.kwargs == {"since": since}
    assert deferred.value.timeout is not None
    assert 100 < deferred.value.timeout.total_seconds() <= 200
    left = (deferred.value.trigger.moment - datetime.now(timezone.utc)).total_seconds()  # type: ignore[attr-defined]
    assert 90 < left < 200

    with pytest.raises(AirflowException, match=r"^full$"):
        task.submit_and_wait({}, time.time() - 4000)  # type: ignore[typeddict-item]


def test_a_killed_task_waits_for_no_quota() -> None:
    killed = operator()
    killed.on_kill()

    assert killed._quota_pause(QuotaExceededError("full", 429), time.time()) is None


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (JobError("x", "user code"), True),
        (JobError("x", "infrastructure"), True),
        (JobError("x", "quota"), True),
        (JobError("x", "request"), False),
        (JobError("x", "permission"), False),
        (UnavailableError("x"), True),
        (QuotaExceededError("x"), True),
        (BadRequestError("x"), False),
        (ConfigError("x"), False),
    ],
)
def test_what_stays_wrong_is_not_tried_again(error: KedroVertexError, again: bool) -> None:
    assert isinstance(to_airflow_exception(error), AirflowFailException) is not again


def test_who_only_waits_tries_again_after_an_outage_alone() -> None:
    assert isinstance(to_waiting_exception(JobError("x", "infrastructure")), AirflowFailException)
    assert not isinstance(to_waiting_exception(UnavailableError("x")), AirflowFailException)
    assert isinstance(event_exception({"error": "gone", "final": True}), AirflowFailException)
    lasting = event_exception({"error": "out", "final": False})
    assert isinstance(lasting, AirflowException)
    assert not isinstance(lasting, AirflowFailException)


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        ({}, True),
        ({"end_from_trigger": False}, False),
        ({"do_xcom_push": False}, False),
        ({"on_success_callback": print}, False),
    ],
)
def test_the_triggerer_ends_a_task_that_has_nothing_left_to_do(arguments: dict[str, Any], ends: bool) -> None:
    assert may_end_in_triggerer(operator(**arguments)) is ends


def test_a_worker_ends_a_task_when_a_plugin_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferral, "has_listeners", lambda: True)

    assert not may_end_in_triggerer(operator())


def test_the_time_of_a_deferred_task_is_what_is_left_of_it() -> None:
    limited = operator(execution_timeout=timedelta(minutes=10))

    assert operator()._time_left(time.time()) is None
    since = time.time() - 540
    left = limited._time_left(since)
    assert left is not None
    assert since + 600 - time.time() <= left.total_seconds() <= 60
    assert limited._time_left(time.time() - 700) == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("method", "error", "expected"),
    [
        ("__fail__", "Trigger timeout", True),
        ("__fail__", "Trigger/execution timeout", True),
        ("__fail__", "Trigger failure", False),
        ("execute_complete", "Trigger timeout", False),
    ],
)
def test_a_time_that_is_over_is_told_from_a_broken_trigger(method: str, error: str, expected: bool) -> None:
    assert is_timeout(method, {"error": error}) is expected
