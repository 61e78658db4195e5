"""What a container tells of the memory, processors and time that it used."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.jobs.usage import MARK, Usage, from_lines
from airflow_provider_kedro_vertex.runtime.process.cgroup import own_cgroup
from airflow_provider_kedro_vertex.runtime.process.meter import Meter
from tests.unit.runtime.containers import Project, Result
from tests.unit.runtime.test_replay import replay

MIB = 1 << 20


def told(result: Result) -> Usage:
    (line,) = [line for line in result.lines if line.startswith(MARK)]
    used = from_lines([line])
    assert used is not None
    return used


def test_a_container_tells_what_its_nodes_used(shop: Project) -> None:
    used = told(shop.succeed("numbers", "double"))
    assert used.nodes.keys() == {"numbers", "double"}
    # Python with Kedro takes this much and not more, wherever it is measured.
    assert 30 * MIB < used.memory < 1024 * MIB
    assert used.cpu_seconds > 0.1
    assert used.cores > 0
    times = [each for node in used.nodes.values() for each in (node.load, node.run, node.save)]
    assert 0 < sum(times) < used.seconds


def test_one_that_fails_tells_too_before_its_last_line(shop: Project) -> None:
    failed = shop.run("numbers", "fail", pipeline="wrong")
    assert failed.code == 1
    assert set(failed.last) == {"node", "error", "seconds"}
    assert "fail" in told(failed).nodes


def test_nothing_is_told_where_no_node_began_and_by_a_replay(shop: Project) -> None:
    shop.succeed("numbers")
    assert MARK not in replay(shop, "double").log
    assert MARK not in shop.run("unknown").log


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V2 = {
    "memory.peak": "1000",
    "memory.max": "max\n",
    "memory.stat": "anon 5\ninactive_file 300\nactive_file 7\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
}
V1 = {
    "memory/memory.max_usage_in_bytes": "1000\n",
    "memory/memory.limit_in_bytes": "9223372036854771712\n",
    "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
    "cpuacct/cpuacct.usage": "2500000000\n",
}


@pytest.mark.parametrize(
    ("listed", "folder", "files", "limit"),
    [
        ("0::/\n", "", V2, "memory.max"),
        # The host's own path, which is not there in the container; and one that is.
        ("0::/kubepods/pod1\n", "", V2, "memory.max"),
        ("0::/pod1\n", "pod1", V2, "memory.max"),
        ("3:cpu,cpuacct:/docker/a\n2:memory:/docker/a\n0::/\n", "", V1, "memory/memory.limit_in_bytes"),
    ],
)
def test_the_kernels_files_are_read(
    tmp_path: Path, listed: str, folder: str, files: dict[str, str], limit: str
) -> None:
    place = tmp_path / "sys/fs/cgroup" / folder
    write(tmp_path, {"proc/self/cgroup": listed})
    write(place, files)
    group = own_cgroup(tmp_path)
    assert group is not None
    assert (group.peak, group.limit, group.idle_files, group.cpu_seconds) == (1000, None, 300, 2.5)
    write(place, {limit: "2147483648\n"})
    assert group.limit == 2 << 30


def test_a_group_with_other_things_in_it_is_not_the_containers(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/\n"})
    assert own_cgroup(tmp_path) is None
    write(tmp_path / "sys/fs/cgroup", {**V2, "memory.peak": f"{500 * MIB}"})
    assert own_cgroup(tmp_path) is None
    write(tmp_path / "sys/fs/cgroup", {**V2, "memory.peak": "what"})
    assert own_cgroup(tmp_path) is None
    write(tmp_path / "sys/fs/cgroup", V2)
    assert own_cgroup(tmp_path) is not None


def test_memory_that_was_given_back_counts() -> None:
    meter = Meter()
    before = meter.memory
    held = bytearray(b"x") * (before + 64 * MIB)
    del held
    assert meter.memory >= before + 64 * MIB - MIB
    assert meter.seconds > 0
    assert meter.cpu_seconds > 0
