"""What one DAG file costs a fresh process: bare DAGs, this package's factory, and Google's own operator.

Run by ``make bench``; prints a table. CPU seconds and peak memory, the median of several runs taken in turn.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.project.parameters import describe_parameters

RUNS = 5
EXAMPLE = Path(__file__).parents[2] / "dags_examples" / "flights" / "flights.manifest.json"
PIPELINES = 4

HEAD = "from datetime import datetime\nfrom airflow.providers.common.compat.sdk import DAG\n"
FILES = {
    "EmptyOperator": HEAD
    + f"""
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:  # Airflow 2 has its own
    from airflow.operators.empty import EmptyOperator
for number in range({PIPELINES}):
    with DAG(f"bare_{{number}}", schedule="@daily", start_date=datetime(2013, 6, 1)) as dag:
        EmptyOperator(task_id="submit") >> EmptyOperator(task_id="wait")
    globals()[dag.dag_id] = dag
""",
    "kedro_vertex_dags": HEAD
    + f"""
from airflow_provider_kedro_vertex import kedro_vertex_dags
kedro_vertex_dags(globals(), manifest={str(EXAMPLE)!r}, schedule="@daily", start_date=datetime(2013, 6, 1))
""",
    "200,000 numbers": HEAD
    + """
from airflow_provider_kedro_vertex import kedro_vertex_dags
kedro_vertex_dags(globals(), manifest="numbers.json", schedule="@daily", start_date=datetime(2013, 6, 1))
""",
    "RunPipelineJobOperator": HEAD
    + f"""
from airflow.providers.google.cloud.operators.vertex_ai.pipeline_job import RunPipelineJobOperator
for number in range({PIPELINES}):
    with DAG(f"google_{{number}}", schedule="@daily", start_date=datetime(2013, 6, 1)) as dag:
        RunPipelineJobOperator(task_id="run", project_id="p", region="r", display_name="d", template_path="t.json")
    globals()[dag.dag_id] = dag
""",
}

MEASURE = """
import json, resource, runpy, sys, time
started = time.process_time()
runpy.run_path(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.process_time() - started, peak, len(sys.modules)]))
"""


def with_numbers(path: Path, target: Path) -> None:
    """Write a manifest as it is of a project that has 200,000 numbers more in its parameters."""
    manifest = manifests.read(path)
    data = {"weights": {str(number): number / 1000 for number in range(100_000)}, "rows": [*range(100_000)]}
    described = describe_parameters(data, [("base", data)])
    manifests.write(dataclasses.replace(manifest, parameters={**manifest.parameters, **described}), target)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "AIRFLOW_HOME": folder}
        results: dict[str, list[list[float]]] = {name: [] for name in FILES}
        for name, text in FILES.items():
            (Path(folder) / f"{name}.py").write_text(text)
        with_numbers(EXAMPLE, Path(folder) / "numbers.json")
        for _ in range(RUNS + 1):
            for name in FILES:
                command = [sys.executable, "-W", "ignore", "-c", MEASURE, f"{folder}/{name}.py"]
                done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                results[name].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {  # the first run of each fills the disk's cache and is not counted
        name: [statistics.median(column) for column in zip(*runs[1:], strict=True)] for name, runs in results.items()
    }
    bare = medians["EmptyOperator"]
    print(f"One DAG file with {PIPELINES} DAGs in a fresh process, median of {RUNS} runs")
    print(f"{'DAG file':<24}{'CPU s':>8}{'+ s':>8}{'MB':>8}{'+ MB':>8}{'modules':>9}")
    for name, (seconds, megabytes, modules) in medians.items():
        print(
            f"{name:<24}{seconds:>8.2f}{seconds - bare[0]:>8.2f}{megabytes:>8.0f}{megabytes - bare[1]:>8.0f}"
            f"{modules:>9.0f}"
        )


if __name__ == "__main__":
    main()
