"""A migrated database for the tests that run tasks in this process."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make the tables in the database of `AIRFLOW_HOME`, which `tests/conftest.py` set."""
    command = [sys.executable, "-W", "ignore", "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
