"""What a submit costs a task's process: beside a task that does nothing, and beside Google's own operator.

Run by ``make bench``; prints a table. Each task is executed in a fresh process up to the point where it defers, against
an emulator; the process has imported what Airflow's task runner has. CPU seconds and peak memory, medians of several
runs taken in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.storage import storage_emulator

RUNS = 5
EXAMPLE = Path(__file__).parents[2] / "dags_examples" / "flights" / "flights.manifest.json"

HEAD = """
import json, os, resource, sys, time
from datetime import datetime, timezone
from types import SimpleNamespace
url, number = sys.argv[1:]
started = time.process_time()
try:
    import airflow.sdk.execution_time.task_runner
except ImportError:  # Airflow 2
    import airflow.models.taskinstance
# Before a task starts, its listeners are told, which loads the plugins.
try:
    from airflow.sdk.listener import get_listener_manager
except ImportError:
    from airflow.listeners.listener import get_listener_manager
get_listener_manager()
from airflow.providers.common.compat.sdk import DAG, TaskDeferred
dag = DAG("bench", schedule=None, start_date=datetime(2013, 6, 1))
dag.fileloc = __file__
"""
TASKS = {
    "EmptyOperator": """
try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:  # Airflow 2 has its own
    from airflow.operators.empty import EmptyOperator
task = EmptyOperator(task_id="submit", dag=dag)
""",
    "KedroVertexPipelineOperator": f"""
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
task = KedroVertexPipelineOperator(
    task_id="submit", dag=dag, manifest={str(EXAMPLE)!r}, deferrable=True, gcp_conn_id="local",
    run_config={{"image": "lives"}},
)
""",
    "RunPipelineJobOperator": """
from airflow.providers.google.cloud.operators.vertex_ai.pipeline_job import RunPipelineJobOperator
from google.cloud import aiplatform
aiplatform.init(api_endpoint=url, api_transport="rest")
task = RunPipelineJobOperator(
    task_id="submit", dag=dag, project_id="demo-project", region="europe-west1", display_name="bench",
    template_path=os.path.join(os.environ["AIRFLOW_HOME"], "template.json"), deferrable=True, gcp_conn_id="local",
    pipeline_root="gs://bucket/root", job_id=f"google-{number}",
)
""",
}
TAIL = """
moment = datetime(2013, 6, 1, tzinfo=timezone.utc)
ti = SimpleNamespace(
    dag_id="bench", run_id=f"run-{number}", task_id="submit", map_index=-1, try_number=1, max_tries=0, task=task,
    xcom_push=lambda key, value: None,
)
run = SimpleNamespace(conf={}, start_date=moment, run_after=moment, dag_id="bench", run_id=ti.run_id)
context = {"ti": ti, "task_instance": ti, "dag_run": run, "params": {}, "logical_date": moment, "task": task}
deferred = False
try:
    execute = getattr(type(task).execute, "__wrapped__", type(task).execute)
    execute(task, context)
except TaskDeferred:
    deferred = True
assert deferred or type(task).__name__ == "EmptyOperator"
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.process_time() - started, peak, len(sys.modules)]))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        argv = [
            sys.executable,
            "-m",
            "airflow_provider_kedro_vertex.emulator",
            "--port",
            "0",
            "--data",
            str(home / "v"),
        ]
        with subprocess.Popen([*argv, "--image", "lives=noop:3600"], stdout=subprocess.DEVNULL) as emulator:
            try:
                address = home / "v" / "url"
                while not address.exists() or not address.read_text():
                    time.sleep(0.1)
                # Google's operator looks whether its bucket is there.
                with storage_emulator("bucket") as storage:
                    _print(_measure(home, address.read_text().strip(), storage))
            finally:
                emulator.terminate()


def _measure(home: Path, url: str, storage: str) -> dict[str, list[float]]:
    extra = {"project": "demo-project", "is_anonymous": True, "api_endpoint": url}
    connection = json.dumps({"conn_type": "google_cloud_platform", "extra": extra})
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW_CONN_LOCAL": connection}
    environment["STORAGE_EMULATOR_HOST"] = storage
    environment["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    _write_template(home / "template.json")
    results: dict[str, list[list[float]]] = {name: [] for name in TASKS}
    for name, text in TASKS.items():
        (home / f"{name}.py").write_text(HEAD + text + TAIL)
    for number in range(RUNS + 1):
        for name in TASKS:
            command = [sys.executable, "-W", "ignore", str(home / f"{name}.py"), url, str(number)]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    # The first run of each fills the disk's cache and is not counted.
    return {
        name: [statistics.median(column) for column in zip(*runs[1:], strict=True)] for name, runs in results.items()
    }


def _write_template(path: Path) -> None:
    """The example's spec, as Google's operator reads it from a file."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.unit.jobs import body

    spec = body("", {})["pipelineSpec"]
    spec["deploymentSpec"]["executors"]["exec-only"]["container"] = {"image": "lives"}
    path.write_text(json.dumps(spec))


def _print(medians: dict[str, list[float]]) -> None:
    bare = medians["EmptyOperator"]
    print(f"One submit in a fresh task process, median of {RUNS} runs")
    print(f"{'operator':<30}{'CPU s':>8}{'+ s':>8}{'MB':>8}{'+ MB':>8}{'modules':>9}")
    for name, (seconds, megabytes, modules) in medians.items():
        print(
            f"{name:<30}{seconds:>8.2f}{seconds - bare[0]:>8.2f}{megabytes:>8.0f}{megabytes - bare[1]:>8.0f}"
            f"{modules:>9.0f}"
        )


if __name__ == "__main__":
    main()
