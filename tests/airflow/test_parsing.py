"""What a DAG file costs the process that parses it, beside as many bare DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

BARE = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:  # Airflow 2 has its own
    from airflow.operators.empty import EmptyOperator
for number in range({count}):
    with DAG(f"bare_{{number}}", schedule="@daily", start_date=datetime(2013, 6, 1), catchup=False) as dag:
        EmptyOperator(task_id="submit") >> EmptyOperator(task_id="wait")
    globals()[dag.dag_id] = dag
"""

FACTORY = """
from datetime import datetime
from airflow_provider_kedro_vertex import kedro_vertex_dags
kedro_vertex_dags(globals(), manifest={manifest!r}, schedule="@daily", start_date=datetime(2013, 6, 1), catchup=False)
"""

#: Runs bare DAGs, which imports what every DAG file needs, then both files again, and tells what they cost on top:
#: the processor's seconds beside those of the import.
MEASURE = """
import json, resource, runpy, sys, time

def cost(file):
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runpy.run_path(file)
    return time.process_time() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

imports = cost(sys.argv[1])
modules = set(sys.modules)
bare = cost(sys.argv[1])
factory = cost(sys.argv[2])
print(json.dumps({"seconds": factory[0] - bare[0], "imports": imports[0], "megabytes": factory[1] - bare[1],
                  "modules": sorted(set(sys.modules) - modules)}))
"""

NEVER = ("kedro", "kfp", "pandas", "numpy", "grpc", "google.cloud.aiplatform", "google.cloud.aiplatform_v1")

EXAMPLE = Path(__file__).parents[2] / "dags_examples" / "flights" / "flights.manifest.json"


def measure(bare: Path, factory: Path) -> dict[str, Any]:
    # As in an installed package, whose modules are compiled: where bytecode may not be written, compiling costs most.
    compiling = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(bare), str(factory)],
        env={**compiling, "PYTHONHASHSEED": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_a_dag_file_costs_little_more_than_bare_dags(tmp_path: Path) -> None:
    bare, factory = tmp_path / "bare.py", tmp_path / "factory.py"
    bare.write_text(BARE.format(count=len(manifests.read(EXAMPLE).pipelines)))
    factory.write_text(FACTORY.format(manifest=str(EXAMPLE)))

    # Each in a fresh process. Machines are noisy, and noise only ever adds: the least comes nearest to the true cost.
    runs = [measure(bare, factory) for _ in range(5)]
    seconds, imports = (min(run[name] for run in runs) for name in ("seconds", "imports"))
    megabytes = min(run["megabytes"] for run in runs)
    new = set(runs[0]["modules"])

    # Beside what Airflow's own import takes, about a second, since machines differ.
    assert seconds <= 0.05 * imports
    assert megabytes <= 10
    assert not [module for module in new if module.startswith(tuple(f"{name}." for name in NEVER)) or module in NEVER]
    assert {module for module in new if module.startswith("airflow_provider_kedro_vertex.")} <= {
        f"airflow_provider_kedro_vertex.{name}"
        for name in (
            "compat",
            "core",
            "core.settings",
            "core.settings.data_root",
            "core.settings.container",
            "core.settings.nodes",
            "core.settings.readers",
            "core.settings.run_config",
            "core.errors",
            "core.files",
            "core.jobs",
            "core.jobs.parameters",
            "core.project",
            "core.project.kedro_run",
            "core.project.manifest",
            "core.project.assets",
            "core.project.parameters",
            "core.project.trigger_form",
            "core.settings",
            "core.settings.quantities",
            "core.settings.run_config",
            "core.settings.sections",
            "core.settings.selectors",
            "core.text",
            "factory",
            "factory.dag",
            "factory.form",
            "factory.node_tasks",
            "factory.pipeline",
            "lineage",
            "lineage.assets",
            "lineage.openlineage",
            "links",
            "links.task_links",
            "operators",
            "operators.base",
            "operators.pipeline_job",
            "sensors",
            "sensors.job",
            "task",
            "task.deferral",
            "task.manifest_source",
            "version",
        )
    }


#: Parses and serializes a DAG of as many node tasks as bare tasks, in one process. They take turns, so that what slows
#: the machine down slows all of them down, and the least time of each counts. The garbage of others is nobody's time.
#: The form is the DAG's, which has one however many tasks it has: MANY_ASSETS measures it.
MANY = """
import gc, json, sys, time
from datetime import datetime
from pathlib import Path
from airflow.providers.common.compat.sdk import DAG
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 2
    from airflow.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization
from airflow_provider_kedro_vertex import kedro_vertex_dag

count, given = int(sys.argv[2]), {"schedule": None, "start_date": datetime(2013, 6, 1)}

def bare():
    with DAG("bare", **given) as dag:
        tasks = [EmptyOperator(task_id=f"node_{number}") for number in range(count)]
        for before, after in zip(tasks, tasks[1:]):
            before >> after
    return dag

def nodes(**mode):
    return lambda: kedro_vertex_dag("nodes", manifest=sys.argv[1], **given, **mode, form=False)

made = {"bare": bare, "custom_job": nodes(mode="custom_job"), "watched": nodes(watch="nodes")}
least = dict.fromkeys(made, float("inf"))
gc.disable()
for _ in range(12):
    for name, make in made.items():
        gc.collect()
        started = time.process_time()
        dag = make()
        least[name] = min(least[name], time.process_time() - started)
        del dag
size = {name: len(json.dumps(DagSerialization.to_dict(make()))) for name, make in made.items()}
print(json.dumps({name: [least[name] / least["bare"], size[name] / size["bare"]] for name in made}))
"""


def many_nodes(count: int) -> Manifest:
    """A chain of nodes, twenty in each namespace."""
    nodes = tuple(
        Node(
            name=f"part_{number // 20}.node_{number}",
            inputs=(f"data_{number - 1}", f"params:p{number}") if number else ("raw",),
            outputs=(f"data_{number}",),
            namespace=f"part_{number // 20}",
        )
        for number in range(count)
    )
    settings = {"project_id": "p", "region": "europe-west1", "image": "a/b:1", "root": "bucket/runs"}
    return Manifest(
        project=Project("Many Nodes", "many", "1.7.0"),
        env=None,
        config=RunConfig.from_dict(settings),
        parameters={},
        datasets={f"data_{number}": Dataset(f"data_{number}", "MemoryDataset") for number in range(count)},
        pipelines={"__default__": Pipeline("__default__", nodes)},
    )


def test_400_node_tasks_cost_little_more_than_400_bare_tasks(tmp_path: Path) -> None:
    manifests.write(many_nodes(400), tmp_path / "many.manifest.json")
    (tmp_path / "measure.py").write_text(MANY)
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(tmp_path / "measure.py"),
        str(tmp_path / "many.manifest.json"),
        "400",
    ]
    runs: list[dict[str, list[float]]] = []
    while len(runs) < 3 and not (runs and max(seconds for seconds, _ in runs[-1].values()) <= 1.75):
        # Noise only ever adds, and it may last as long as one process.
        done = subprocess.run(
            command, env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, check=True, capture_output=True, text=True
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    for mode in ("custom_job", "watched"):
        # 1.3 to 1.4 on Airflow 3 and 1.4 to 1.5 on Airflow 2, whose sensors cost more (see bench_nodes.py).
        assert min(run[mode][0] for run in runs) <= 1.75, runs
        assert runs[0][mode][1] <= 2, runs


#: As MANY, with an asset for each node and a form of 40 parameters, and serialized too.
MANY_ASSETS = """
import gc, json, sys, time
from datetime import datetime
from airflow_provider_kedro_vertex import kedro_vertex_dag
from airflow_provider_kedro_vertex.compat import DAG, Asset, Param
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # Airflow 2
    from airflow.operators.empty import EmptyOperator
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

count, given = int(sys.argv[2]), {"schedule": None, "start_date": datetime(2013, 6, 1)}

def bare():
    params = {f"model.p{number:02}": Param(number, type="integer", section="model") for number in range(40)}
    with DAG("bare", **given) as dag:
        tasks = []
        for number in range(count):
            inlets = [Asset(f"gs://data/rows/{number - 1}")] if number else []
            outlets = [Asset(f"gs://data/rows/{number}")]
            tasks.append(EmptyOperator(task_id=f"node_{number}", outlets=outlets, inlets=inlets))
        for before, after in zip(tasks, tasks[1:]):
            before >> after
    # Given to the DAG at once, each task would check and copy them, which takes fifty times as long as all else.
    dag.params = type(dag.params)(params)
    return dag

def nodes(**mode):
    return lambda: kedro_vertex_dag("nodes", manifest=sys.argv[1], **given, **mode)

made = {"bare": bare, "custom_job": nodes(mode="custom_job"), "watched": nodes(watch="nodes"), "one_job": nodes()}
for mode, make in made.items():
    dag = make()
    assert len(dag.params) - ("force_full_run" in dag.params) == 40, mode
    assert sum(len(task.outlets) for task in dag.tasks) == count, mode
least = dict.fromkeys(made, float("inf"))
gc.disable()
for _ in range(5):
    for name, make in made.items():
        gc.collect()
        started = time.process_time()
        DagSerialization.to_dict(make())
        least[name] = min(least[name], time.process_time() - started)
print(json.dumps({name: least[name] / least["bare"] for name in made}))
"""


def many_assets(count: int) -> Manifest:
    """As :func:`many_nodes`, each with a dataset of its own in shared storage, and with 40 parameters."""
    value = many_nodes(count)
    parameters = {f"model.p{number:02}": Parameter("integer", number) for number in range(40)}
    datasets = {
        f"data_{number}": Dataset(f"data_{number}", "pandas.ParquetDataset", f"gs://data/rows/{number}", "remote")
        for number in range(count)
    }
    first, *others = value.pipelines["__default__"].nodes
    nodes = (replace(first, inputs=(*first.inputs, "params:model")), *others)
    pipelines = {"__default__": Pipeline("__default__", nodes)}
    return replace(value, parameters=parameters, datasets=datasets, pipelines=pipelines)


def test_400_datasets_and_a_form_of_40_fields_cost_little_more_than_bare_tasks_with_as_many(tmp_path: Path) -> None:
    manifests.write(many_assets(400), tmp_path / "many.manifest.json")
    (tmp_path / "measure.py").write_text(MANY_ASSETS)
    command = [
        sys.executable,
        "-W",
        "ignore",
        str(tmp_path / "measure.py"),
        str(tmp_path / "many.manifest.json"),
        "400",
    ]
    runs: list[dict[str, float]] = []
    while len(runs) < 3 and not (runs and max(runs[-1].values()) <= 1.6):
        done = subprocess.run(
            command, env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, check=True, capture_output=True, text=True
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    for mode in ("custom_job", "watched", "one_job"):
        assert min(run[mode] for run in runs) <= 1.6, runs
