"""How long a container takes from the start of its process to the function of its node.

Nodes of the flights project, in the packages of its image (``.venv-image``): this package's command beside plain
``kedro run --nodes``, and kedro-vertexai 1.0.0's two commands in an environment of their own. The commands take turns,
since this machine may be busy. Run it with ``make bench``, or
``python tests/benchmarks/bench_runtime_start.py [ROUNDS]``.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = {name: ROOT / name / "bin" / "python" for name in (".venv-image", ".venv-kedro-vertexai")}
NODES = (("features", "features.select_flights"), ("training", "model.split_days"))

# The process ends where the node's function would begin.
CLOCK = """
import os, time
from kedro.framework.hooks import hook_impl

class Clock:
    @hook_impl(trylast=True)
    def before_node_run(self):
        with open(os.environ["CLOCK"], "w") as file:
            file.write(f"{time.monotonic()} {time.process_time()}")
        os._exit(0)

HOOKS = (Clock(),)
"""
CONTEXT = {
    "run_key": "flights-bench-0123456789",
    "dag_id": "flights",
    "run_id": "bench",
    "logical_date": None,
    "data_interval_start": None,
    "data_interval_end": None,
    "save_version": "2013-06-01T00.00.00.000Z-0123456789",
    "job_id": "flights-bench-1",
}
VERTEXAI = """
project_id: demo-project
region: europe-west1
run_config:
  image: flights
  root: bucket/root
  experiment_name: flights
"""


def commands(folder: Path, pipeline: str, node: str) -> dict[str, list[list[str]]]:
    """What each way runs in the project's folder, one command after the other."""
    image, theirs = (str(python) for python in PYTHONS.values())
    context = json.dumps({**CONTEXT, "root": str(folder / "root")})
    selected = ["--pipeline", pipeline, "--nodes", node]
    runner = "kedro_vertexai.vertex_ai.runner.VertexAIPipelinesRunner"
    ours = ("airflow_provider_kedro_vertex.runtime", "run", "--env", "laptop", "--pipeline", pipeline, "--node", node)
    return {
        "this package": [[image, "-m", *ours, "--params", "{}", "--context", context]],
        "kedro run": [[image, "-m", "kedro", "run", "--env", "laptop", *selected]],
        # As its generator (1.0.0) writes them into one line for bash.
        "kedro-vertexai": [
            [theirs, "-m", "kedro", "vertexai", "-e", "laptop", "initialize-job", "--params={}"],
            [theirs, "-m", "kedro", "run", "-e", "laptop", *selected, "--runner", runner, "--config", "config.yaml"],
        ],
    }


def container_variables() -> dict[str, str]:
    """The variables that every container of this package gets from its job's body."""
    from airflow_provider_kedro_vertex.core.jobs.job_body import environment
    from airflow_provider_kedro_vertex.core.settings.run_config import NodeSettings

    return {variable["name"]: variable["value"] for variable in environment(NodeSettings())}


def seconds(parts: list[list[str]], folder: Path, variables: Mapping[str, str]) -> tuple[float, float]:
    """The time from the first command's start to the node's function; and the processor's of the last command."""
    clock = folder / "clock"
    environment = {
        **os.environ,
        **variables,
        "CLOCK": str(clock),
        "DO_NOT_TRACK": "1",
        "KEDRO_CONFIG_JOB_NAME": "bench",
        "KEDRO_VERTEXAI_RUNNER_CONFIG": '{"storage_root": "bucket/root"}',
        "PYTHONWARNINGS": "ignore",
    }
    clock.unlink(missing_ok=True)
    started = time.monotonic()
    for part in parts:
        done = subprocess.run(part, cwd=folder / "flights", env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(part)} failed:\n{done.stdout}{done.stderr}")
    reached, processor = (float(text) for text in clock.read_text().split())
    return reached - started, processor


def main(rounds: int) -> None:
    """Print a table."""
    for name, python in PYTHONS.items():
        if not python.exists():
            sys.exit(f"There is no {name}. Run: make {name}/.ready")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = folder / "flights"
        shutil.copytree(ROOT / "dags_examples" / "flights", project, ignore=shutil.ignore_patterns("__pycache__"))
        (project / "conf" / "laptop" / "vertexai.yml").write_text(VERTEXAI)
        image = str(PYTHONS[".venv-image"])
        made = [image, "-m", "kedro", "run", "--env", "laptop", "--pipeline", "features"]
        subprocess.run(made, cwd=project, check=True, capture_output=True, env={**os.environ, "DO_NOT_TRACK": "1"})
        with (project / "src" / "flights" / "settings.py").open("a") as settings:
            settings.write(CLOCK)
        print(f"Seconds from the process's start to the node's function, median of {rounds} (processor's in brackets)")
        for pipeline, node in NODES:
            ways = commands(folder, pipeline, node)
            variables: dict[str, dict[str, str]] = {way: {} for way in ways} | {"this package": container_variables()}
            times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for way, parts in ways.items():
                seconds(parts, folder, variables[way])  # reads everything from the disk once, and compiles
            for _ in range(rounds):
                for way, parts in ways.items():
                    times[way].append(seconds(parts, folder, variables[way]))
            print(f"\n{node}")
            plain = times["kedro run"]
            for way, taken in times.items():
                wall, processor = (statistics.median(values) for values in zip(*taken, strict=True))
                ratio = statistics.median(one[0] / other[0] for one, other in zip(taken, plain, strict=True))
                print(f"  {way:15} {wall:7.2f} ({processor:.2f})  {ratio:5.2f} times kedro run")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
