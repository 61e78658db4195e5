"""What kedro-vertexai 1.0.0 takes to compile the projects that this package compiles, in the same run.

It has an environment of its own, ``.venv-kedro-vertexai``. Both specs must have the same tasks with the same
dependencies. Ends with exit code 1 when compiling from the manifest is not at least 50 times faster.

Run it with ``make bench``, or ``python tests/benchmarks/bench_kedro_vertexai.py [NODES ...]``. All times are seconds of
processor time:

- ``compile``: from the loaded project, or the manifest's text, to the spec's text;
- ``process``: a whole process that does it, imports and all (ours reads the manifest; ``inspect`` is the process that
  wrote it from the project).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from generated_project import write_project

from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
THEIRS = ROOT / ".venv-kedro-vertexai" / "bin" / "python"
FASTER = 50

# What the commands of a CI job would do, without the checks.
FROM_MANIFEST = """
import json, pathlib, sys
from airflow_provider_kedro_vertex.core.project import manifest
from airflow_provider_kedro_vertex.core.jobs import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import plan
read = manifest.read(pathlib.Path(sys.argv[1]))
pathlib.Path(sys.argv[2]).write_text(json.dumps(pipeline_spec.pipeline_spec(plan.build_plan(read))))
"""


def main(sizes: list[int]) -> int:
    """Print a row for each tool and size.

    :return: the exit code.
    """
    if not THEIRS.exists():
        raise SystemExit("There is no .venv-kedro-vertexai. Run: make .venv-kedro-vertexai/.ready")
    print(f"{'nodes':>8}  {'tool':<24}{'compile':>10}{'process':>10}{'inspect':>10}   seconds of processor time")
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        for nodes in sizes:
            project = Path(folder, str(nodes))
            write_project(project, nodes)
            other, other_process, other_spec = measure_kedro_vertexai(THEIRS, project)
            own, own_process, inspecting, own_spec = measure_this(project)
            if graph(own_spec) != graph(other_spec):
                raise SystemExit(f"The specs of {nodes} nodes do not have the same graph, so nothing can be compared.")
            print(f"{nodes:>8}  {'kedro-vertexai 1.0.0':<24}{other:>10.4f}{other_process:>10.2f}{'':>10}")
            print(f"{nodes:>8}  {'this package':<24}{own:>10.4f}{own_process:>10.2f}{inspecting:>10.2f}")
            print(
                f"{nodes:>8}  {'times faster':<24}{other / own:>10.0f}{other_process / own_process:>10.0f}", flush=True
            )
            slow |= other < FASTER * own or other_process < own_process
    if slow:
        print(f"Compiling from the manifest must be {FASTER} times faster.", file=sys.stderr)
    return int(slow)


def measure_kedro_vertexai(python: Path, project: Path) -> tuple[float, float, dict[str, Any]]:
    """Compile with kedro-vertexai: seconds to compile, seconds of the process, the spec."""
    spec = project / "kedro-vertexai.yaml"
    output, process = run([str(python), str(HERE / "compile_with_kedro_vertexai.py"), str(project), str(spec)], project)
    return float(output.split()[-1]), process, yaml.load(spec.read_text(encoding="utf-8"), yaml.CSafeLoader)


def measure_this(project: Path) -> tuple[float, float, float, dict[str, Any]]:
    """Compile with this package: seconds to compile, of the process, of inspecting the project, and the spec."""
    file, spec = project / "own.manifest.json", project / "own.json"
    command = [sys.executable, "-m", "airflow_provider_kedro_vertex.project", "manifest", "--project", str(project)]
    _, inspecting = run([*command, "--output", str(file)], project)
    _, process = run([sys.executable, "-c", FROM_MANIFEST, str(file), str(spec)], project)
    text = file.read_text(encoding="utf-8")

    def work() -> str:
        import json

        return json.dumps(pipeline_spec(build_plan(manifests.loads(text, file))))

    best = min(timeit.repeat(work, timer=time.process_time, number=1, repeat=5))
    return best, process, inspecting, yaml.load(work(), yaml.CSafeLoader)


def run(command: list[str], folder: Path) -> tuple[str, float]:
    """Run a command: what it printed, and the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stderr[-4000:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def graph(spec: dict[str, Any]) -> dict[str, list[str]]:
    """Each task with the tasks that it waits for."""
    tasks = spec["root"]["dag"]["tasks"]
    return {name: sorted(task.get("dependentTasks", [])) for name, task in tasks.items()}


if __name__ == "__main__":
    sys.exit(main([int(size) for size in sys.argv[1:]] or [9, 400]))
