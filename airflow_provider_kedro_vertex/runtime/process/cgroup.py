"""The kernel's account of this container: the memory and the processor time of all processes in it.

Of cgroup v2 ``memory.peak``, ``memory.max``, ``memory.stat`` and ``cpu.stat`` are read, of v1 the files that they took
the place of (https://docs.kernel.org/admin-guide/cgroup-v2.html, and ``cgroup-v1/memory.html``). A container finds its
own group at the root of what is mounted, also where ``/proc/self/cgroup`` has the path that the host has for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: v1 says so when there is no limit: the largest number of whole pages.
_NO_LIMIT = 1 << 60
#: Bytes. A group that held more before the command began holds other things than this container: a process that runs
#: in no container of its own is in the group of whoever started it.
_OWN = 128 << 20


@dataclass(frozen=True)
class Cgroup:
    """A group of processes, and the files in which the kernel accounts for it.

    :param memory: the folder of the files about memory.
    :param cpu: the folder of those about processors.
    :param version: 1 or 2.
    """

    memory: Path
    cpu: Path
    version: int

    @property
    def peak(self) -> int:
        """Bytes: the most memory at any time, with the files that the kernel kept in it meanwhile.

        :raises OSError: this kernel does not tell (before Linux 5.19 and with cgroup v2).
        """
        return _number(self.memory / ("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"))

    @property
    def limit(self) -> int | None:
        """Bytes, more than which the kernel does not give; None for no limit."""
        text = (self.memory / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")).read_text().strip()
        return None if text == "max" or int(text) >= _NO_LIMIT else int(text)

    @property
    def idle_files(self) -> int:
        """Bytes of files that the kernel keeps for now, and gives up when memory is asked for."""
        return self._stat(self.memory / "memory.stat", "inactive_file" if self.version == 2 else "total_inactive_file")

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all processes so far."""
        if self.version == 2:
            return self._stat(self.cpu / "cpu.stat", "usage_usec") / 1e6
        return _number(self.cpu / "cpuacct.usage") / 1e9

    @staticmethod
    def _stat(file: Path, name: str) -> int:
        pairs = (line.split() for line in file.read_text().splitlines())
        return next((int(pair[1]) for pair in pairs if pair[:1] == [name]), 0)


def own_cgroup(root: Path = Path("/")) -> Cgroup | None:
    """Find the group of this container; None where there is none, or where other things are in it too.

    To be asked before much is in memory.

    :param root: of the file system.
    """
    for group in _groups(root):
        with suppress(OSError, ValueError):
            return group if group.peak <= _OWN and group.cpu_seconds >= 0 else None
    return None


def _groups(root: Path) -> Iterator[Cgroup]:
    paths: dict[str, str] = {}
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            paths.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
    mounted = root / "sys/fs/cgroup"
    if "memory" in paths and "cpuacct" in paths:
        yield Cgroup(mounted / "memory" / paths["memory"], mounted / "cpuacct" / paths["cpuacct"], 1)
        yield Cgroup(mounted / "memory", mounted / "cpuacct", 1)
    elif "" in paths:
        yield Cgroup(mounted / paths[""], mounted / paths[""], 2)
        yield Cgroup(mounted, mounted, 2)


def _number(file: Path) -> int:
    return int(file.read_text())
