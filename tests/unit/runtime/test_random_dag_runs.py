"""Whatever one DAG run has side by side, each of its pipelines' instances makes what `kedro run` alone makes.

A DAG run is a random lot of operators, operators that share a pipeline's slices, task groups of each mode, mapped
operators and mapped task groups. They run random pipelines whose nodes and datasets have the same names, in real
containers' commands and processes. ``RANDOM_DAG_RUNS`` sets how many DAG runs there are, and ``RANDOM_SEED`` repeats
them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task_group

from airflow_provider_kedro_vertex import kedro_vertex_task_group
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from tests.unit.runtime.dag_tasks import Vertex, running_vertex
from tests.unit.runtime.forked_python import forked_python

DAG_RUNS = int(os.environ.get("RANDOM_DAG_RUNS", "3"))
SEED = os.environ.get("RANDOM_SEED", "")
MIXED = Path(__file__).parent / "mixed"
IN_MEMORY = ("a", "b", "c")
MODES: tuple[dict[str, str], ...] = ({}, {"watch": "nodes"}, {"mode": "custom_job"})

#: `kedro run` again and again, in one process: most of each would be Kedro's imports.
KEDRO_RUNS = """
import json, sys
from pathlib import Path
from kedro.framework.cli.cli import KedroCLI
cli = KedroCLI(project_path=Path.cwd())
for arguments in json.load(sys.stdin):
    try:
        cli.main(arguments)
    except SystemExit as end:
        if end.code:
            raise
"""

Described = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Submit:
    """A job to be submitted: a task, or an instance of a mapped one."""

    task: Any
    map_index: int = -1


@dataclass
class Lot:
    """What a DAG has, and what it makes.

    :param instances: each instance's name, which is its parameter, and its pipeline.
    :param jobs: of each part of the DAG, its jobs in an order in which they can be submitted, each with those that can
        go on at the same time.
    """

    instances: dict[str, str]
    jobs: list[list[list[Submit]]]


def random_pipelines(chance: random.Random, count: int) -> Described:
    """Pipelines of two to four nodes, whose inputs are any of the datasets before them."""
    found = {}
    for number in range(count):
        names = [*chance.sample([*IN_MEMORY, "versioned"], chance.randint(1, 3)), "result"]
        found[f"pipeline_{number}"] = [
            {
                "name": f"node_{place}",
                "inputs": sorted(chance.sample(names[:place], chance.randint(1, place))) if place else [],
                "output": output,
            }
            for place, output in enumerate(names)
        ]
    return {"__default__": found["pipeline_0"], **found}


def manifest_of(described: Described) -> Manifest:
    def node(each: dict[str, Any]) -> Node:
        return Node(each["name"], ("params:instance", *each["inputs"]), (each["output"],))

    config = {"project_id": "demo-project", "region": "europe-west1", "image": "mixed:1", "root": "bucket/runs"}
    # All containers run on one machine, so a local path is a shared place here.
    declared = {
        "result": Dataset("result", "json.JSONDataset", "/gcs/bucket/results", "remote"),
        "versioned": Dataset("versioned", "json.JSONDataset", "/gcs/bucket/results", "remote", versioned=True),
    }
    return Manifest(
        project=manifests.Project("Mixed", "mixed", "1.0.0"),
        env=None,
        config=RunConfig.from_dict(config),
        parameters={"instance": Parameter("string", "nobody")},
        datasets={**{name: Dataset(name, "MemoryDataset") for name in IN_MEMORY}, **declared},
        pipelines={name: Pipeline(name, tuple(map(node, nodes))) for name, nodes in described.items()},
    )


class RandomDag:
    """Makes the parts of a DAG."""

    def __init__(self, chance: random.Random, dag_id: str, manifest: str, described: Described) -> None:
        self.chance = chance
        self.dag_id = dag_id
        self.described = described
        self.given: dict[str, Any] = {"manifest": manifest}
        self.lot = Lot({}, [])

    def make(self) -> Lot:
        parts: list[Callable[[str], None]] = [self.operator, self.slices, self.group, self.mapped, self.mapped_group]
        with DAG(self.dag_id, schedule=None, params={"instance": "nobody"}):
            for number in range(self.chance.randint(2, 3)):
                self.chance.choice(parts)(f"part_{number}")
        return self.lot

    def operator(self, name: str) -> None:
        pipeline = self._pipeline()
        own = {"instance": self._instance(name, pipeline)}
        given = {"params": own} if self.chance.random() < 0.5 else {"runtime_params": own}
        self._add([[KedroVertexPipelineOperator(task_id=name, pipeline=pipeline, **given, **self._settings())]])

    def slices(self, name: str) -> None:
        """Two operators, of which the second goes on where the first has stopped."""
        pipeline = self._pipeline()
        names = [node["name"] for node in self.described[pipeline]]
        cut = self.chance.randint(1, len(names) - 1)
        own = {"runtime_params": {"instance": self._instance(name, pipeline)}, "data_scope": name}
        tasks = [
            KedroVertexPipelineOperator(
                task_id=f"{name}_{number}",
                pipeline=pipeline,
                selection={"node_names": part},
                **own,
                **self._settings(),
            )
            for number, part in enumerate((names[:cut], names[cut:]))
        ]
        self._add([[task] for task in tasks])

    def group(self, name: str) -> None:
        pipeline = self._pipeline()
        group = kedro_vertex_task_group(
            name,
            pipeline=pipeline,
            params={"instance": self._instance(name, pipeline)},
            **self.chance.choice(MODES),
            **self._settings(),
        )
        self._add(self._waves(group))

    def mapped(self, name: str) -> None:
        pipeline = self._pipeline()
        params = [{"instance": self._instance(f"{name}_{index}", pipeline)} for index in range(2)]
        made: Any = KedroVertexPipelineOperator.partial(task_id=name, pipeline=pipeline, **self._settings())
        task = made.expand(runtime_params=params)
        self.lot.jobs.append([[Submit(task.unmap({"runtime_params": own}), at) for at, own in enumerate(params)]])

    def mapped_group(self, name: str) -> None:
        pipeline, settings, mode = self._pipeline(), self._settings(), self.chance.choice(MODES)
        instances = [self._instance(f"{name}_{index}", pipeline) for index in range(2)]
        waves: list[list[Any]] = []

        @task_group(group_id=name)
        def each(instance: Any) -> None:
            own = {"runtime_params": {"instance": instance}}
            waves.extend(self._waves(kedro_vertex_task_group("inner", pipeline=pipeline, **own, **mode, **settings)))

        each.expand(instance=instances)
        for index in range(len(instances)):
            self._add(waves, index)

    def _pipeline(self) -> str:
        return self.chance.choice([name for name in self.described if name != "__default__"])

    def _settings(self) -> dict[str, Any]:
        grouping = self.chance.choice([None, None, "memory", "pipeline"])
        return {**self.given, **({"run_config": {"grouping": grouping}} if grouping else {})}

    def _instance(self, name: str, pipeline: str) -> str:
        instance = f"{self.dag_id}_{name}"
        self.lot.instances[instance] = pipeline
        return instance

    def _add(self, waves: list[list[Any]], map_index: int = -1) -> None:
        self.lot.jobs.append([[Submit(task, map_index) for task in wave] for wave in waves])

    def _waves(self, group: Any) -> list[list[Any]]:
        """The tasks of a group that make jobs, each after those that it waits for."""
        tasks = [task for task in group.iter_tasks() if isinstance(task, VertexJobOperator)]
        waves: list[list[Any]] = []
        while tasks:
            left = {task.task_id for task in tasks}
            waves.append([task for task in tasks if not task.upstream_task_ids & left])
            tasks = [task for task in tasks if task.upstream_task_ids & left]
        return waves


@pytest.fixture
def chance() -> random.Random:
    seed = SEED or str(random.SystemRandom().randrange(10**6))
    print(f"RANDOM_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def described(chance: random.Random) -> Described:
    return random_pipelines(chance, max(4, DAG_RUNS // 5))


@pytest.fixture
def project(tmp_path: Path, described: Described) -> Path:
    made = shutil.copytree(MIXED, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    (made / "pipelines.json").write_text(json.dumps(described))
    catalog = made / "conf" / "base" / "catalog.yml"  # each container has a copy of the project
    catalog.write_text(catalog.read_text().replace("results/", f"{made}/results/"))
    return made


@pytest.fixture
def vertex(project: Path) -> Iterator[Vertex]:
    with (
        TemporaryDirectory() as folder,
        forked_python(Path(folder)) as python,
        running_vertex("mixed:1", project, python) as running,
    ):
        yield running


def run_side_by_side(vertex: Vertex, chance: random.Random, lots: list[Lot]) -> None:
    """Submit the jobs of several DAG runs, all parts at the same time, and wait for the end of all."""
    parts = [list(waves) for lot in lots for waves in lot.jobs]
    while any(parts):
        due = [submit for waves in parts if waves for submit in waves.pop(0)]
        chance.shuffle(due)
        vertex.succeed(*[vertex.submit(each.task, map_index=each.map_index) for each in due])


def kedro_alone(project: Path, instances: dict[str, str]) -> None:
    runs = [["run", "--pipelines", name, "--params", f"instance={each}"] for each, name in instances.items()]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", KEDRO_RUNS],
        cwd=project,
        env=quiet,
        input=json.dumps(runs),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]


def results(project: Path, instances: dict[str, str]) -> dict[str, Any]:
    return {each: json.loads((project / "results" / f"{each}.json").read_text()) for each in instances}


def test_each_instance_makes_what_kedro_run_makes(
    vertex: Vertex, project: Path, described: Described, chance: random.Random, tmp_path: Path
) -> None:
    manifest = tmp_path / "mixed.manifest.json"
    manifests.write(manifest_of(described), manifest)
    instances: dict[str, str] = {}
    for first in range(0, DAG_RUNS, 5):
        numbers = range(first, min(first + 5, DAG_RUNS))
        lots = [RandomDag(chance, f"dag_{number}", str(manifest), described).make() for number in numbers]
        run_side_by_side(vertex, chance, lots)
        for lot in lots:
            instances |= lot.instances
    made = results(project, instances)

    shutil.rmtree(project / "results")
    kedro_alone(project, instances)
    expected = results(project, instances)
    assert made == expected
    assert len(instances) >= 2 * DAG_RUNS
