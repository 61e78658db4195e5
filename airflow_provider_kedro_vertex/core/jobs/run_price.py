"""What a run of a plan is likely to cost: its machines, for as long as its containers took in the last runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.run_status import group_statuses
from airflow_provider_kedro_vertex.core.plan.plan_table import PlanTable


@dataclass(frozen=True)
class RunPrice:
    """The price of a run of a plan.

    :param seconds: by the task id of each node group, how long its container took on average; None for one that has
        not succeeded with these nodes.
    :param dollars: by the same, an estimate; None where the seconds or the price of its machine are not known.
    """

    seconds: Mapping[str, float | None]
    dollars: Mapping[str, float | None]

    @property
    def unknown(self) -> list[str]:
        """The node groups without a price."""
        return [group for group, dollars in self.dollars.items() if dollars is None]

    @property
    def known_dollars(self) -> float:
        """The sum of those with one."""
        return sum(dollars for dollars in self.dollars.values() if dollars is not None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; ``dollars`` is null where a part of it is not known."""
        return {
            "dollars": None if self.unknown else self.known_dollars,
            "known_dollars": self.known_dollars,
            "groups": {
                group: {"seconds": seconds, "dollars": self.dollars[group]} for group, seconds in self.seconds.items()
            },
        }

    def to_text(self) -> str:
        """A sentence."""
        if len(self.unknown) == len(self.dollars):
            return "What a run costs is unknown: none of its containers has succeeded in that time.\n"
        lacking = f", without what is unknown: {', '.join(self.unknown)}" if self.unknown else ""
        return (
            f"A run costs about ${self.known_dollars:.4f}, by how long its containers took in the last runs{lacking}.\n"
        )


def run_price(table: PlanTable, jobs: Iterable[Job]) -> RunPrice:
    """Price a run of a plan.

    :param jobs: of the project, whole. A container counts for the node group with the same nodes.
    """
    taken: dict[frozenset[str], list[float]] = {}
    for job in jobs:
        for group in group_statuses([job]):
            if group.done and group.seconds is not None and group.state != "SKIPPED":
                taken.setdefault(frozenset(group.nodes), []).append(group.seconds)
    seconds: dict[str, float | None] = {}
    dollars: dict[str, float | None] = {}
    for row in table.rows:
        took = taken.get(frozenset(row.group.nodes))
        mean = sum(took) / len(took) if took else None
        hour = row.dollars_an_hour
        seconds[row.group.task_id] = mean
        dollars[row.group.task_id] = None if mean is None or hour is None else hour * mean / 3600
    return RunPrice(seconds, dollars)
