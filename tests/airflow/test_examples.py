"""The example DAG files, parsed by Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "dags_examples"

PARSE = """
import json, sys
from airflow.listeners.listener import get_listener_manager
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps([bag.import_errors, sorted(bag.dags), get_listener_manager().has_listeners]))
"""

#: What OpenLineage's provider has, which Composer switches on for its data lineage.
LISTENER = """
import sys
from airflow.plugins_manager import AirflowPlugin

class Listens(AirflowPlugin):
    name = "listens"
    listeners = [sys.modules[__name__]]
"""


DAGS = [
    "flights",
    "flights_custom_jobs",
    "flights_features",
    "flights_maintenance",
    "flights_nodes",
    "flights_notices",
    "flights_on_demand",
    "flights_reporting",
    "flights_training",
]


@pytest.mark.parametrize(("plugin", "listens"), [("", False), (LISTENER, True)])
def test_the_examples_parse(tmp_path: Path, plugin: str, listens: bool) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "listens.py").write_text(plugin)
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins)}
    command = [sys.executable, "-W", "ignore", "-c", PARSE, str(EXAMPLES)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [{}, DAGS, listens]
