"""What Airflow shows of a DAG file that cannot be loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version

CALL = 'kedro_vertex_dags(globals(), manifest="none.json")'


@pytest.mark.airflow
def test_an_import_error_shows_the_dag_files_line_and_what_to_do(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "broken.py").write_text(f"from airflow_provider_kedro_vertex import kedro_vertex_dags\n{CALL}\n")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
    }
    airflow = [sys.executable, "-W", "ignore", "-m", "airflow"]
    local = [] if airflow_version.startswith("2.") else ["--local"]
    subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    command = [*airflow, "dags", "list-import-errors", *local, "--output", "json"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    (shown,) = json.loads(done.stdout.splitlines()[-1])
    lines = shown["error"].strip().splitlines()
    assert f'File "{dags}/broken.py", line 2, in <module>' in lines[1]
    assert lines[2].strip() == CALL
    assert lines[-1] == (
        f"airflow_provider_kedro_vertex.core.errors.ManifestError: There is no manifest at {dags}/none.json. "
        "Make it in the Kedro project with: kedro vertex manifest -o none.json"
    )
    assert len([line for line in lines if line.strip().startswith("File ")]) == 2
