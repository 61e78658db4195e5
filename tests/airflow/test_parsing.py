"""What a DAG file costs the process that parses it, beside as many bare DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.core import manifest as manifests

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

#: Runs bare DAGs, which imports what every DAG file needs, then both files again, and tells what they cost on top.
MEASURE = """
import json, resource, runpy, sys, time

def cost(file):
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runpy.run_path(file)
    return time.process_time() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

runpy.run_path(sys.argv[1])
modules = set(sys.modules)
bare = cost(sys.argv[1])
factory = cost(sys.argv[2])
print(json.dumps({"seconds": factory[0] - bare[0], "megabytes": factory[1] - bare[1],
                  "modules": sorted(set(sys.modules) - modules)}))
"""

NEVER = ("kedro", "kfp", "pandas", "numpy", "grpc", "google.cloud.aiplatform", "google.cloud.aiplatform_v1")

EXAMPLE = Path(__file__).parents[2] / "dags_examples" / "flights" / "flights.manifest.json"


def measure(bare: Path, factory: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, str(bare), str(factory)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
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
    seconds = min(run["seconds"] for run in runs)
    megabytes = min(run["megabytes"] for run in runs)
    new = set(runs[0]["modules"])

    assert seconds <= 0.05
    assert megabytes <= 10
    assert not [module for module in new if module.startswith(tuple(f"{name}." for name in NEVER)) or module in NEVER]
    assert {module for module in new if module.startswith("airflow_provider_kedro_vertex.")} <= {
        f"airflow_provider_kedro_vertex.{name}"
        for name in (
            "core",
            "core.config",
            "core.errors",
            "core.files",
            "core.manifest",
            "core.per_node",
            "core.quantities",
            "core.sections",
            "dag",
            "links",
            "operators",
            "sensors",
            "source",
            "version",
        )
    }
