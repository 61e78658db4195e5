"""A plan as a person reads it: its groups, their machines, edges and price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
from airflow_provider_kedro_vertex.core.project.graph import levels
from airflow_provider_kedro_vertex.core.settings.data_root import shown
from airflow_provider_kedro_vertex.core.settings.machine_prices import AS_OF, PRICED_REGION
from airflow_provider_kedro_vertex.core.settings.machines import Machine, choose


@dataclass(frozen=True)
class Row:
    """One node group.

    :param machine: the machine that it needs: a CustomJob gets it, also inside of a PipelineJob; a PipelineJob's
        container gets one of that size.
    :param workers: the machines beside it that run the group together with it.
    :param is_exit: whether it runs last, whatever the others' outcome is.
    """

    group: NodeGroup
    machine: Machine
    workers: tuple[Machine, ...]
    is_exit: bool

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All machines that run it together."""
        return (self.machine, *self.workers)

    @property
    def machines_text(self) -> str:
        """The machines as a person reads them."""
        count = len(self.machines)
        if len(set(self.machines)) == 1:
            return str(self.machine) if count == 1 else f"{count} x ({self.machine})"
        return f"{self.machine}, {len(self.workers)} x ({self.workers[0]})"

    @property
    def dollars_an_hour(self) -> float | None:
        """An estimate; None for a machine that nothing is known of."""
        return _sum([machine.dollars_an_hour for machine in self.machines])

    def to_dict(self) -> dict[str, Any]:
        """As JSON: names, machine, edges and price."""
        return {
            "group": self.group.name,
            "task_id": self.group.task_id,
            "nodes": list(self.group.nodes),
            "upstream": list(self.group.upstream),
            "machine_type": self.machine.machine_type,
            "accelerator_type": self.machine.accelerator_type,
            "accelerator_count": self.machine.accelerator_count,
            "replicas": len(self.machines),
            "worker_machine_type": self.workers[0].machine_type if self.workers else None,
            "dollars_an_hour": self.dollars_an_hour,
            "custom_job": self.group.needs_custom_job,
        }


@dataclass(frozen=True)
class PlanTable:
    """The rows of a plan, and what its grouping saves.

    :param rows: in the plan's order; the exit group comes last.
    :param edges: how many times one group waits for another.
    :param nodes: how many nodes the groups have.
    :param longest: how many containers follow one another at most.
    :param alone: the same with a container for each node; None if that is what the plan has.
    :param data_root: where datasets with a relative path lie; None if on each container's own disk.
    :param experiment: the id of the runs' Vertex AI experiment; None if they have none.
    """

    rows: tuple[Row, ...]
    edges: int
    nodes: int
    longest: int
    alone: PlanTable | None
    data_root: str | None
    experiment: str | None

    @property
    def dollars_an_hour(self) -> float | None:
        """Dollars an hour while all containers run at the same time; None if the price of one is unknown."""
        return _sum([row.dollars_an_hour for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the rows and their sums."""
        return {
            "groups": [row.to_dict() for row in self.rows],
            "edges": self.edges,
            "nodes": self.nodes,
            "longest_chain": self.longest,
            "dollars_an_hour": self.dollars_an_hour,
            "data_root": self.data_root,
            "experiment": self.experiment,
            "prices": {"region": PRICED_REGION, "as_of": AS_OF, "estimate": True},
            "with_a_container_for_each_node": self.alone
            and {
                "groups": len(self.alone.rows),
                "edges": self.alone.edges,
                "longest_chain": self.alone.longest,
                "dollars_an_hour": self.alone.dollars_an_hour,
            },
        }

    def to_text(self) -> str:
        """As a table with a line for each group, and sentences with the sums."""
        cells = [("GROUP", "NODES", "MACHINE", "$/HOUR", "AFTER")]
        for row in self.rows:
            after = "all, also after a failure" if row.is_exit else ", ".join(row.group.upstream) or "-"
            cells.append(
                (row.group.task_id, str(len(row.group.nodes)), row.machines_text, _dollars(row.dollars_an_hour), after)
            )
        lines = _aligned(cells)
        lines += ["", self._sums()]
        if self.alone is not None:
            lines.append(self._saving(self.alone))
        if launched := [row.group.task_id for row in self.rows if row.group.needs_custom_job]:
            lines.append(f"CustomJobs, also inside of a PipelineJob: {', '.join(launched)}.")
        if self.data_root is not None:
            lines.append(f"Datasets with a relative path lie below {self.data_root}/.")
        if self.experiment is not None:
            lines.append(f"Runs are of the Vertex AI experiment {self.experiment}.")
        lines.append(
            f"Prices are estimates for {PRICED_REGION}, written down on {AS_OF}, without discounts, disks and Spot."
        )
        return "\n".join(lines) + "\n"

    def _sums(self) -> str:
        return (
            f"{_count(len(self.rows), 'container')} for {_count(self.nodes, 'node')}, {_count(self.edges, 'edge')}; at "
            f"most {self.longest} one after another. All at once cost ${_dollars(self.dollars_an_hour)} an hour."
        )

    def _saving(self, alone: PlanTable) -> str:
        fewer, shorter = len(alone.rows) - len(self.rows), alone.longest - self.longest
        return (
            f"With a container for each node: {_count(len(alone.rows), 'container')}, at most {alone.longest} one "
            f"after another, ${_dollars(alone.dollars_an_hour)} an hour. The grouping saves {_count(fewer, 'start')} "
            f"of a container, {shorter} of them one after another."
        )


def plan_table(plan: Plan, alone: Plan | None = None) -> PlanTable:
    """Work out the table of a plan.

    :param alone: the same plan with ``grouping: none``, to tell what the grouping saves.
    :raises ConfigError: no machine of Vertex AI has what a group asks for.
    """
    groups = [*plan.groups, *([plan.exit_group] if plan.exit_group else [])]
    grouped = alone is not None and len(alone.groups) != len(plan.groups)
    return PlanTable(
        rows=tuple(row(plan, group) for group in groups),
        edges=sum(len(group.upstream) for group in plan.groups),
        nodes=sum(len(group.nodes) for group in groups),
        longest=_longest(plan.groups) + bool(plan.exit_group),
        alone=plan_table(alone) if alone is not None and grouped else None,
        data_root=plan.config.data_root and shown(plan.config.data_root),
        experiment=plan.experiment,
    )


def row(plan: Plan, group: NodeGroup) -> Row:
    """Work out the row of one group.

    :raises ConfigError: see :func:`plan_table`.
    """
    region, who = plan.config.region, f"Group {group.name!r}"
    workers = (choose(group.worker_resources, region, who),) * (group.replicas - 1)
    return Row(group, choose(group.resources, region, who), workers, group is plan.exit_group)


def _longest(groups: Sequence[NodeGroup]) -> int:
    position = {group.task_id: at for at, group in enumerate(groups)}
    depth = levels([[position[task_id] for task_id in group.upstream] for group in groups]) or [0]
    return max(depth) + 1


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    sides = ("<", ">", "<", ">", "<")
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in cells
    ]


def _sum(prices: Sequence[float | None]) -> float | None:
    return None if None in prices else sum(price for price in prices if price is not None)


def _dollars(amount: float | None) -> str:
    return "?" if amount is None else f"{amount:.2f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
