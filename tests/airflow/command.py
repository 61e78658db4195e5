"""One of Airflow's own commands, run to its end."""

from __future__ import annotations

import subprocess
import sys


def airflow_command(environment: dict[str, str], *arguments: str, check: bool = True) -> str:
    """Return what it printed; with ``check`` it must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "airflow", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0 or not check, done.stdout
    return done.stdout
