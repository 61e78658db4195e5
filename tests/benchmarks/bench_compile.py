"""What compiling costs: read a manifest, select a slice, group, plan, check, write the spec, write the spec as JSON.

Run it with ``python tests/benchmarks/bench_compile.py [NODES ...]``; it prints milliseconds of processor time, the best
of several, and the memory that it takes beyond the interpreter's own. Ends with exit code 1 when 4,000 nodes take more
than 2 seconds or 300 MB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

from airflow_provider_kedro_vertex.core.checks.check import check
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

REPEATS = 5

#: What 4,000 nodes may take: seconds to select, group, check and compile, and bytes.
LIMIT_NODES, LIMIT_SECONDS, LIMIT_BYTES = 4000, 2.0, 300e6

#: All but the first nodes, by a walk through the graph.
SLICE = Selection(from_inputs=("area.data_0",), tags=("weekly",))


def generated(nodes: int, grouping: str = "none") -> Manifest:
    """A project of many nodes: each takes three earlier outputs and a parameter, and has two tags.

    Every tenth dataset lives in memory only; the namespaces follow one another.
    """
    config = RunConfig.from_dict(
        {
            "image": "registry.test/generated:1",
            "root": "bucket/prefix",
            "grouping": grouping,
            "resources": {"__default__": {"cpu": 1, "memory": "2Gi"}, "tag_3": {"cpu": 4}, "area_5.node_5": {"cpu": 8}},
        }
    )
    pipeline = tuple(
        Node(
            name=f"area_{index // 20}.node_{index}",
            inputs=(*(f"area.data_{index - back}" for back in (1, 2, 7) if index >= back), f"params:area.p_{index}"),
            outputs=(f"area.data_{index}",),
            tags=(f"tag_{index % 7}", "weekly"),
            namespace=f"area_{index // 20}",
        )
        for index in range(nodes)
    )
    return Manifest(
        project=Project("Generated", "generated", "1.0.0"),
        env=None,
        config=config,
        parameters={f"area.p_{index}": Parameter("integer", index) for index in range(nodes)},
        datasets={
            f"area.data_{index}": Dataset(f"area.data_{index}", "MemoryDataset")
            if index % 10 == 9
            else Dataset(f"area.data_{index}", "pandas.ParquetDataset", f"gs://bucket/{index}", "remote")
            for index in range(nodes)
        },
        pipelines={"__default__": Pipeline("__default__", pipeline)},
    )


def compile_times(nodes: int) -> dict[str, float]:
    """Seconds of each part of compiling a generated project, the best of :data:`REPEATS`; ``all`` is their sum."""
    text = manifests.dumps(generated(nodes))
    manifest = manifests.loads(text, "generated")
    plan = build_plan(manifest)
    spec = pipeline_spec(plan)
    times = {
        "read": _best(lambda: manifests.loads(text, "generated")),
        "plan": _best(lambda: build_plan(manifest)),
        "spec": _best(lambda: pipeline_spec(plan)),
    }
    return {**times, "all": sum(times.values()), "json": _best(lambda: json.dumps(spec))}


def whole_times(nodes: int) -> dict[str, float]:
    """Seconds of planning with each grouping and a slice, of checking, and of all that a run needs together."""
    manifest = generated(nodes)

    def planned(grouping: str, selection: Selection | None = None) -> Plan:
        return build_plan(manifest, config=manifest.config.overridden({"grouping": grouping}), selection=selection)

    plan = planned("none")
    times = {"slice": _best(lambda: planned("none", SLICE))}
    times |= {kind: _best(lambda kind=kind: planned(kind)) for kind in ("namespace", "memory", "auto")}  # type: ignore[misc]
    times["check"] = _best(lambda: check(manifest, plan))
    times["together"] = _best(lambda: together(manifest))
    return times


def together(manifest: Manifest) -> str:
    """Select, group, check and compile, as a run does."""
    plan = build_plan(manifest, config=manifest.config.overridden({"grouping": "memory"}), selection=SLICE)
    check(manifest, plan)
    return json.dumps(pipeline_spec(plan))


def taken_bytes(nodes: int) -> int:
    """The memory of a process that reads, selects, groups, checks and compiles, beyond one that reads no project."""

    def peak(size: int) -> int:
        command = [sys.executable, __file__, "--peak", str(size)]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    return peak(nodes) - peak(0)


def _peak(nodes: int) -> int:
    if nodes:
        together(manifests.loads(manifests.dumps(generated(nodes)), "generated"))
    # Of this program alone; getrusage's figure begins with that of the process which started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _best(work: Callable[[], object]) -> float:
    # Processor time: what else runs on the machine does not count. timeit keeps the garbage collector out of it.
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=REPEATS))


def main(sizes: list[int]) -> int:
    """Print one row for each size.

    :return: the exit code.
    """
    failed = False
    for nodes in sizes:
        times = {**compile_times(nodes), **whole_times(nodes)}
        taken = taken_bytes(nodes)
        if nodes == sizes[0]:
            print(f"{'nodes':>8}" + "".join(f"{name:>10}" for name in times) + f"{'MB':>8}   milliseconds")
        print(f"{nodes:>8}" + "".join(f"{seconds * 1e3:>10.1f}" for seconds in times.values()) + f"{taken / 1e6:>8.0f}")
        failed |= nodes <= LIMIT_NODES and (times["together"] > LIMIT_SECONDS or taken > LIMIT_BYTES)
    if failed:
        print(f"{LIMIT_NODES} nodes may take {LIMIT_SECONDS} s and {LIMIT_BYTES / 1e6:.0f} MB.", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(int(sys.argv[2])))
    else:
        sys.exit(main([int(size) for size in sys.argv[1:]] or [400, 4000, 12800]))
