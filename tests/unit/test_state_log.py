from __future__ import annotations

from typing import Any

from airflow_provider_kedro_vertex.core.jobs.outcome import Task
from airflow_provider_kedro_vertex.task.job_monitor import StateLog


class Lines(list[str]):
    """A log that keeps its lines."""

    def info(self, message: str, /, *args: Any) -> None:
        self.append(message % args)

    warning = error = info


def task(name: str, state: str, number: str | None) -> Task:
    return Task(name, state, seconds=None, message="", code=None, number=number, created=None)


def test_a_node_that_starts_tells_where_its_log_is_once() -> None:
    log = Lines()
    states = StateLog(log, lambda number: f"https://logs/{number}", {"load": "SUCCEEDED"})
    states.show([task("load", "SUCCEEDED", "1"), task("fit", "PENDING", None)])
    states.show([task("load", "SUCCEEDED", "1"), task("fit", "RUNNING", None)])  # the number may come later
    states.show([task("load", "SUCCEEDED", "1"), task("fit", "RUNNING", "2")])
    states.show([task("load", "SUCCEEDED", "1"), task("fit", "RUNNING", "2")])
    states.show([task("load", "SUCCEEDED", "1"), task("fit", "SUCCEEDED", "2")])

    assert log == [
        "fit: PENDING",
        "fit: RUNNING",
        "fit: its log is at https://logs/2",
        "fit: SUCCEEDED",
    ]
    assert states.seen == {"load": "SUCCEEDED", "fit": "SUCCEEDED"}
