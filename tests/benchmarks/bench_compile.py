"""What compiling costs: read a manifest, plan a pipeline, write its spec, write the spec as JSON.

Run it with ``python tests/benchmarks/bench_compile.py [NODES ...]``; it prints milliseconds of
processor time, the best of several.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections.abc import Callable

from airflow_provider_kedro_vertex.core import manifest as manifests
from airflow_provider_kedro_vertex.core.config import RunConfig
from airflow_provider_kedro_vertex.core.manifest import Dataset, Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan import build_plan

REPEATS = 5


def generated(nodes: int) -> Manifest:
    """A project of many nodes: each takes three earlier outputs and a parameter, and has two tags."""
    config = RunConfig.from_dict(
        {
            "image": "registry.test/generated:1",
            "root": "bucket/prefix",
            "resources": {"__default__": {"cpu": 1, "memory": "2Gi"}, "tag_3": {"cpu": 4}, "area_5.node_5": {"cpu": 8}},
        }
    )
    pipeline = tuple(
        Node(
            name=f"area_{index % 20}.node_{index}",
            inputs=(*(f"area.data_{index - back}" for back in (1, 2, 7) if index >= back), f"params:area.p_{index}"),
            outputs=(f"area.data_{index}",),
            tags=(f"tag_{index % 7}", "weekly"),
            namespace=f"area_{index % 20}",
        )
        for index in range(nodes)
    )
    return Manifest(
        project=Project("Generated", "generated", "1.0.0"),
        env=None,
        config=config,
        parameters={"area": {f"p_{index}": index for index in range(nodes)}},
        datasets={
            name: Dataset(name, "pandas.ParquetDataset", f"gs://bucket/{name}", "remote")
            for node in pipeline
            for name in node.outputs
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


def _best(work: Callable[[], object]) -> float:
    # Processor time: what else runs on the machine does not count. timeit keeps the garbage collector out of it.
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=REPEATS))


def main(sizes: list[int]) -> None:
    """Print one row for each size."""
    print(f"{'nodes':>8}{'read':>10}{'plan':>10}{'spec':>10}{'all':>10}{'(json)':>10}   milliseconds")
    for nodes in sizes:
        print(f"{nodes:>8}" + "".join(f"{seconds * 1e3:>10.1f}" for seconds in compile_times(nodes).values()))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [400, 4000])
