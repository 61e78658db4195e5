"""The line of a container's log that tells what the container used: memory, processors, and the time of each node.

``kedro-vertex used: {"memory": 734003200, "limit": 2147483648, "cpu_seconds": 21.4, "cores": 1.9, "seconds": 14.2,
"nodes": {"train": {"load": 1.2, "run": 10.4, "save": 0.3}}}``. The container writes it once, when its nodes have run or
one has failed; one that is killed does not come to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.marked import LENGTH, objects

#: How the line begins.
MARK = "kedro-vertex used: "


@dataclass(frozen=True)
class NodeSeconds:
    """The time of one node, in seconds.

    :param load: of loading its inputs.
    :param run: of its function.
    :param save: of saving its outputs.
    """

    load: float = 0.0
    run: float = 0.0
    save: float = 0.0


@dataclass(frozen=True)
class Usage:
    """What a container used from its start to its end, with all processes in it.

    :param memory: bytes, the most at any time.
    :param limit: bytes, more than which the kernel would not give; None for no limit.
    :param cpu_seconds: processor time.
    :param cores: processors that were busy, in the busiest seconds.
    :param seconds: from start to end.
    :param nodes: the time of each node that began; empty where they are too many for the line.
    """

    memory: int
    limit: int | None
    cpu_seconds: float
    cores: float
    seconds: float
    nodes: Mapping[str, NodeSeconds] = field(default_factory=dict)


def to_line(usage: Usage) -> str:
    """Write the line."""
    told: dict[str, Any] = {
        "memory": usage.memory,
        "limit": usage.limit,
        "cpu_seconds": round(usage.cpu_seconds, 3),
        "cores": round(usage.cores, 2),
        "seconds": round(usage.seconds, 3),
    }
    nodes = {
        name: {"load": round(each.load, 3), "run": round(each.run, 3), "save": round(each.save, 3)}
        for name, each in usage.nodes.items()
    }
    line = MARK + json.dumps({**told, "nodes": nodes})
    return line if len(line) <= LENGTH else MARK + json.dumps({**told, "nodes": {}})


def from_lines(lines: Iterable[str]) -> Usage | None:
    """Read the line of a container; the last one counts. None where there is none of its form."""
    found = None
    for told in objects(lines, MARK):
        try:
            found = _usage(told)
        except (ValueError, TypeError, AttributeError, LookupError):
            continue
    return found


def _usage(told: Mapping[str, Any]) -> Usage:
    limit = told.get("limit")
    return Usage(
        memory=int(_number(told["memory"])),
        limit=None if limit is None else int(_number(limit)),
        cpu_seconds=_number(told["cpu_seconds"]),
        cores=_number(told["cores"]),
        seconds=_number(told["seconds"]),
        nodes={
            str(name): NodeSeconds(*(_number(each[part]) for part in ("load", "run", "save")))
            for name, each in told["nodes"].items()
        },
    )


def _number(value: Any) -> float:
    """A number that somebody measured.

    :raises ValueError: it is none, or below zero.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(value)
    return value
