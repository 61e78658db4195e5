"""A queue of faults to inject: each strikes once (or ``count`` times), the first that fits first.

    {"faults": [
      {"method": "CreatePipelineJob", "status": "UNAVAILABLE", "count": 2},
      {"method": "CreatePipelineJob", "lost_response": true},
      {"method": "GetPipelineJob", "delay": 2.5},
      {"method": "ListLogEntries", "reset": true},
      {"task": "train", "preempt_after": 0.5}
    ]}

``method`` is an RPC's name. ``status`` is a ``google.rpc.Code`` by name, with ``message`` as its text. ``delay`` is in
seconds, and alone it only delays. With ``reset`` the connection is reset without an answer. With ``lost_response`` the
request is done first, and then the client gets the status (UNAVAILABLE if none is named) or the reset.

``task`` is the name of a pipeline's container task, or the display name of a CustomJob: its container is ended
``preempt_after`` seconds after it started, as when its Spot machine is taken away.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code, Violation, invalid_argument

MOST_FAULTS = 1000
MOST_TIMES = 10_000
LONGEST_SECONDS = 3600.0

_Answer = TypeVar("_Answer")


class ConnectionLostError(Exception):
    """The client gets no answer: its connection is to be reset."""


@dataclass(frozen=True)
class Fault:
    """One fault; see the module's docstring for its fields."""

    method: str = ""
    task: str = ""
    status: str = ""
    message: str = ""
    delay: float = 0.0
    lost_response: bool = False
    reset: bool = False
    preempt_after: float = 0.0
    count: int = 1

    def strike(self) -> None:
        """Raise what the client gets instead of the answer; a mere delay raises nothing."""
        if self.reset:
            raise ConnectionLostError
        status = self.status or ("UNAVAILABLE" if self.lost_response else "")
        if status:
            raise ApiError(Code[status], self.message or "A fault that was queued at /_emulator/faults.")


_FIELDS: Mapping[str, type] = {
    "method": str, "task": str, "status": str, "message": str, "delay": float, "lost_response": bool, "reset": bool,
    "preempt_after": float, "count": int,
}  # fmt: skip
_OF_METHODS = frozenset({"method", "status", "message", "delay", "lost_response", "reset", "count"})
_OF_TASKS = frozenset({"task", "preempt_after", "count"})


class Faults:
    """The queue of one emulator. Used in the event loop."""

    def __init__(self) -> None:
        self._queue: list[Fault] = []

    def add(self, faults: Collection[Fault]) -> None:
        """Queue faults behind those that wait.

        :raises ApiError: RESOURCE_EXHAUSTED if too many would wait.
        """
        if len(self._queue) + len(faults) > MOST_FAULTS:
            raise ApiError(Code.RESOURCE_EXHAUSTED, f"More than {MOST_FAULTS} faults would wait; DELETE them first.")
        self._queue += faults

    def clear(self) -> None:
        """Forget all faults."""
        self._queue.clear()

    def to_json(self) -> dict[str, Any]:
        """The faults that wait, in the form in which they are given, without fields at their defaults."""
        plain = asdict(Fault())
        return {"faults": [{k: v for k, v in asdict(f).items() if v != plain[k]} for f in self._queue]}

    async def around(self, method: str, act: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do what a request asks for, or what a fault makes of it.

        :raises ApiError: as the fault says.
        :raises ConnectionLostError: if the client gets no answer.
        """
        fault = self._take(lambda one: one.method == method)
        if fault is None:
            return await act()
        await asyncio.sleep(fault.delay)
        if not fault.lost_response:
            fault.strike()
        answer = await act()
        fault.strike()
        return answer

    def preemption(self, task: str) -> float | None:
        """After how many seconds the container of a task, which starts now, is preempted; None if it is not."""
        fault = self._take(lambda one: one.task == task)
        return None if fault is None else fault.preempt_after

    def _take(self, fits: Callable[[Fault], bool]) -> Fault | None:
        for index, fault in enumerate(self._queue):
            if fits(fault):
                if fault.count > 1:
                    self._queue[index] = replace(fault, count=fault.count - 1)
                else:
                    del self._queue[index]
                return fault
        return None


def parse_faults(data: Any, methods: Collection[str]) -> list[Fault]:
    """Read ``{"faults": [...]}``, strictly.

    :param methods: the names of the RPCs.
    :raises ApiError: INVALID_ARGUMENT with everything that is wrong.
    """
    if not isinstance(data, dict) or set(data) != {"faults"} or not isinstance(data["faults"], list):
        raise invalid_argument(Violation("", 'must be an object {"faults": [...]}.'))
    faults: list[Fault] = []
    wrong: list[Violation] = []
    for index, item in enumerate(data["faults"]):
        found = _wrong(item, methods)
        wrong += [Violation(f"faults[{index}]", text) for text in found]
        if not found:
            faults.append(Fault(**item))
    if wrong:
        raise invalid_argument(*wrong)
    return faults


def _wrong(item: Any, methods: Collection[str]) -> list[str]:
    if not isinstance(item, dict):
        return ["must be an object."]
    if ("method" in item) == ("task" in item):
        return ['needs either a "method" or a "task".']
    allowed = _OF_METHODS if "method" in item else _OF_TASKS
    found = [
        f'"{str(name)[:100]}" is no field of a fault for a {"method" if "method" in item else "task"}; known: '
        f"{', '.join(sorted(allowed))}."
        for name in item
        if name not in allowed
    ]
    found += [
        f'"{name}" must be a {_FIELDS[name].__name__}.'
        for name, value in item.items()
        if name in allowed and not _is(value, _FIELDS[name])
    ]
    return found or _contradictions(item, methods)


def _contradictions(item: Mapping[str, Any], methods: Collection[str]) -> list[str]:
    found = []
    if "method" in item:
        if item["method"] not in methods:
            found.append(f'"{item["method"][:100]}" is no method; known: {", ".join(sorted(methods))}.')
        if not any(item.get(name) for name in ("status", "delay", "lost_response", "reset")):
            found.append('does nothing: give "status", "delay", "lost_response" or "reset".')
        if item.get("reset") and item.get("status"):
            found.append('has "reset" and "status": a connection that is reset gives no status.')
    elif not item["task"]:
        found.append('"task" is empty.')
    if "status" in item and item["status"] not in Code.__members__:
        found.append(f'"{item["status"][:100]}" is no status; known: {", ".join(Code.__members__)}.')
    for name in ("delay", "preempt_after"):
        if not 0 <= item.get(name, 0) <= LONGEST_SECONDS:
            found.append(f'"{name}" must be between 0 and {LONGEST_SECONDS:g} seconds.')
    if not 1 <= item.get("count", 1) <= MOST_TIMES:
        found.append(f'"count" must be between 1 and {MOST_TIMES}.')
    return found


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind
