"""What this container uses: of its cgroup, or, where it has none to itself, of this process and its children."""

from __future__ import annotations

import os
import re
import resource
import time
from contextlib import suppress
from pathlib import Path

from airflow_provider_kedro_vertex.runtime.process.cgroup import own_cgroup

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Meter:
    """Tells what was used since it was made, which is to be when the process begins.

    :param started: when that was, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._cgroup = own_cgroup()

    @property
    def seconds(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self.started

    @property
    def cpu_seconds(self) -> float:
        """Processor time. Without a cgroup, that of children is added when they have ended."""
        if self._cgroup is not None:
            with suppress(OSError, ValueError):
                return self._cgroup.cpu_seconds
        return sum(os.times()[:4])

    @property
    def memory(self) -> int:
        """Bytes: the most memory that was needed at any time.

        The kernel's figure for the cgroup, without the files that it could have given up; but no less than the most
        that one process had. Without a cgroup it is that of the largest process, among those that have ended.
        """
        largest = _largest_process()
        if self._cgroup is not None:
            with suppress(OSError, ValueError):
                peak = self._cgroup.peak
                return min(max(peak - self._cgroup.idle_files, largest), peak)
        return largest

    @property
    def limit(self) -> int | None:
        """Bytes, more than which the container does not get; None for no limit, or where it is not known."""
        if self._cgroup is not None:
            with suppress(OSError, ValueError):
                return self._cgroup.limit
        return None


def _largest_process() -> int:
    """Bytes: the most memory that this process, or one of its children that have ended, has had."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    # Not its own ru_maxrss, which begins with that of the process that started it.
    with suppress(OSError):
        if told := _PEAK.search(Path("/proc/self/status").read_text()):
            return max(int(told[1]) * 1024, children)
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, children)
