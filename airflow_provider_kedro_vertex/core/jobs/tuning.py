"""What node groups ask for, what they used in their last runs, and what to ask for instead."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.memory import limit_of, was_killed
from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus
from airflow_provider_kedro_vertex.core.jobs.usage import Usage
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
from airflow_provider_kedro_vertex.core.plan.plan_table import row
from airflow_provider_kedro_vertex.core.settings.machines import memory_of
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.settings.quantities import cores

_MIB, _GIB = 1 << 20, 1 << 30
#: Memory is asked for in these pieces, and no less than two of them; processors in halves.
_PIECE = 256 * _MIB
#: The part of its processors from which on a node may well have wanted more of them.
_BUSY = 0.85


@dataclass(frozen=True)
class Run:
    """A container of a node group that has ended.

    :param usage: None for one that did not tell.
    """

    group: GroupStatus
    usage: Usage | None


@dataclass(frozen=True)
class Advice:
    """A node group, and what to ask for.

    :param group: of the plan, as it is now.
    :param runs: how many containers told what they used.
    :param killed: how many were killed for their memory.
    :param memory: bytes, the most that one used; None where none told.
    :param cores: the most processors that were busy in one; None where none told.
    :param seconds: how long one ran, on average; None where none told.
    :param resources: what to ask for; what the group asks for already where there is nothing to tell.
    :param remark: why that is so; "" otherwise.
    :param before: dollars an hour of what it asks for; None for an unknown price.
    :param after: dollars an hour of what to ask for.
    """

    group: NodeGroup
    runs: int
    killed: int
    memory: int | None
    cores: float | None
    seconds: float | None
    resources: Resources
    remark: str
    before: float | None
    after: float | None

    @property
    def changes(self) -> dict[str, str]:
        """The settings of ``resources`` to write: ``cpu``, ``memory``, or none."""
        pairs = {"cpu": self.resources.cpu, "memory": self.resources.memory}
        return {key: value for key, value in pairs.items() if value and value != getattr(self.group.resources, key)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "group": self.group.name,
            "nodes": list(self.group.nodes),
            "runs": self.runs,
            "killed": self.killed,
            "asks_for": {"cpu": self.group.resources.cpu, "memory": self.group.resources.memory},
            "used": {"cores": self.cores, "memory": self.memory, "seconds": self.seconds},
            "advice": self.changes,
            "remark": self.remark,
            "dollars_an_hour": {"before": self.before, "after": self.after},
        }


def advise(plan: Plan, runs: Iterable[Run], margin: float) -> list[Advice]:
    """Work out what each node group of a plan is to ask for.

    Memory is the most that a run used, with a margin, or twice the limit at which one was killed. Processors are those
    that were busy in the busiest run, with the margin; a node that kept all of its processors busy keeps what it has.
    A group whose machine is named, or that several machines run, keeps what it asks for.

    :param runs: of any groups, in any order; they are told apart by their nodes.
    :param margin: 0.25 asks for a quarter more than what was used.
    :raises ConfigError: no machine of Vertex AI has what a group asks for, or is to ask for.
    """
    by_nodes: dict[frozenset[str], list[Run]] = {}
    for run in runs:
        by_nodes.setdefault(frozenset(run.group.nodes), []).append(run)
    groups = [*plan.groups, *([plan.exit_group] if plan.exit_group else [])]
    return [_advice(plan, group, by_nodes.get(frozenset(group.nodes), []), margin) for group in groups]


def _advice(plan: Plan, group: NodeGroup, runs: Iterable[Run], margin: float) -> Advice:
    runs = list(runs)
    told = [run.usage for run in runs if run.usage is not None]
    limits = [limit_of(run.group.job, run.group.name) for run in runs if run.group.task and was_killed(run.group.task)]
    memory = max((each.memory for each in told), default=None)
    busy = max((each.cores for each in told), default=None)
    resources, remark = group.resources, _remark(group, bool(told or limits))
    if not remark:
        wanted = max([(memory or 0) * (1 + margin), *(2 * limit for limit in limits if limit)])
        resources = replace(resources, memory=_memory(wanted) if wanted else resources.memory)
        if busy is not None and not _wants_more(group.resources.cpu, busy):
            resources = replace(resources, cpu=_cpu(busy * (1 + margin)))
        resources = replace(
            resources, memory=_kept(group.resources, resources), cpu=_same_cpu(group.resources.cpu, resources.cpu)
        )
    return Advice(
        group=group,
        runs=len(told),
        killed=len(limits),
        memory=memory,
        cores=busy,
        seconds=sum(each.seconds for each in told) / len(told) if told else None,
        resources=resources,
        remark=remark,
        before=row(plan, group).dollars_an_hour,
        after=row(plan, replace(group, resources=resources)).dollars_an_hour,
    )


def _remark(group: NodeGroup, known: bool) -> str:
    if group.resources.machine_type is not None:
        return f"keeps its machine_type, {group.resources.machine_type}"
    if group.replicas > 1:
        return f"keeps what its {group.replicas} machines have"
    return "" if known else "has told nothing"


def _wants_more(asked: str | None, busy: float) -> bool:
    return asked is not None and busy >= _BUSY * cores(asked)


def _memory(number: float) -> str:
    pieces = max(math.ceil(round(number / _PIECE, 6)), 2)
    return f"{pieces // 4}Gi" if pieces % 4 == 0 else f"{pieces * 256}Mi"


def _cpu(number: float) -> str:
    halves = max(math.ceil(round(number * 2, 6)), 1)
    return f"{halves // 2}" if halves % 2 == 0 else f"{halves * 500}m"


def _kept(asked: Resources, advised: Resources) -> str | None:
    """The memory to ask for, as it is written already if it is the same."""
    return asked.memory if memory_of(asked) == memory_of(advised) else advised.memory


def _same_cpu(asked: str | None, advised: str | None) -> str | None:
    return asked if asked and advised and cores(asked) == cores(advised) else advised


def dollars_a_run(advice: Iterable[Advice]) -> tuple[float, float]:
    """What one run of the node groups costs, by what they ask for and by what to ask for.

    Those count whose seconds and prices are known.
    """
    priced = [each for each in advice if each.seconds is not None and each.before is not None]
    before = sum((each.before or 0.0) * (each.seconds or 0.0) / 3600 for each in priced)
    return before, sum((each.after or 0.0) * (each.seconds or 0.0) / 3600 for each in priced)


def to_text(advice: Iterable[Advice]) -> str:
    """Write a table with a line for each node group, and what a run costs."""
    advice = list(advice)
    cells = [("NODES", "RUNS", "KILLED", "MEMORY", "USED", "CPU", "USED", "$/HOUR")]
    for each in advice:
        asked = each.group.resources
        cells.append(
            (
                each.group.name,
                str(each.runs),
                str(each.killed) if each.killed else "-",
                _change(asked.memory, each.resources.memory),
                "-" if each.memory is None else f"{each.memory / _GIB:.2f} GiB",
                _change(asked.cpu, each.resources.cpu),
                "-" if each.cores is None else f"{each.cores:.1f}",
                _change(_dollars(each.before), _dollars(each.after)),
            )
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    lines += [f"{each.group.name} {each.remark}." for each in advice if each.remark]
    before, after = dollars_a_run(advice)
    lines.append(f"A run of them costs about ${before:.4f}, and ${after:.4f} with what is advised.")
    return "\n".join(lines) + "\n"


def _change(before: str | None, after: str | None) -> str:
    return before or "-" if before == after else f"{before or '-'} -> {after or '-'}"


def _dollars(price: float | None) -> str | None:
    return None if price is None else f"{price:.2f}"


def changes(advice: Iterable[Advice]) -> dict[str, Mapping[str, str]]:
    """What to write into ``resources``, by selector."""
    return {each.group.name: each.changes for each in advice if each.changes}
