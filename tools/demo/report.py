"""What the demo prints: a line for each change while it works, and a table at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from tools.demo.airflow import Run, Task
from tools.demo.vertex import VertexJob

NODE_STATES_SHOWN = ("RUNNING", "FAILED")
FEW_TASKS = 3


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


class Progress:
    """Prints a run's line when it differs from the run's last one."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lines: dict[str, str] = {}

    def show(self, run: Run, tasks: Iterable[Task], job: VertexJob | None) -> None:
        """Print where the run stands, if that is news."""
        line = f"{run.day}  {_run_line(run, tasks, job)}"
        if self._lines.get(run.run_id) != line:
            self._lines[run.run_id] = line
            minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
            say(f"  {minutes}:{seconds:02}  {line}")


def _run_line(run: Run, tasks: Iterable[Task], job: VertexJob | None) -> str:
    parts = [f"run {run.state}"]
    begun = [task for task in tasks if task.state != "none"]
    if len(begun) <= FEW_TASKS:
        parts += [f"{task.task_id} {task.state}" for task in begun]
    else:
        states = Counter(task.state for task in begun)
        parts += [f"tasks {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}"]
    if job:
        parts.append(f"nodes {job.nodes_done}")
        for shown in NODE_STATES_SHOWN:
            if names := [name for name, state in job.nodes.items() if state == shown]:
                parts.append(f"{shown.lower()}: {', '.join(sorted(names))}")
    return " | ".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)
