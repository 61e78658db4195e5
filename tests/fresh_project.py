"""A project as ``kedro new`` makes it, with a pipeline of two nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PIPELINE = """
import getpass
import logging
import os
from pathlib import Path

from kedro.pipeline import Pipeline, node

log = logging.getLogger(__name__)


def make_sales(days: int) -> list[float]:
    log.info("User %s with id %s in %s", getpass.getuser(), os.getuid(), Path.cwd())
    Path("data").mkdir(exist_ok=True)
    Path("data/scratch").write_text("a node may write where it works")
    return [100 + 2 * day for day in range(days)]


def add_up(sales: list[float]) -> float:
    log.info("The sum is %s", sum(sales))
    return sum(sales)


def create_pipeline(**kwargs: object) -> Pipeline:
    return Pipeline(
        [
            node(make_sales, "params:days", "sales", name="make_sales"),
            node(add_up, "sales", "total", name="add_up"),
        ]
    )
"""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment: the commands of its Python come first, and nothing leads Kedro elsewhere."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "KEDRO_", "STORAGE_"))}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**own, "PATH": path, "DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1", "COLUMNS": "200", **variables}


def run(folder: Path, *command: str, env: dict[str, str] | None = None) -> str:
    """Run a command, which must succeed.

    :return: what it wrote to stdout.
    """
    done = subprocess.run(
        command, cwd=folder, env=env or environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def kedro_new(folder: Path, name: str = "shop") -> Path:
    """Make the project in a folder.

    :return: the project's folder.
    """
    run(folder, "kedro", "new", "--name", name, "--tools", "none", "--example", "n", "--telemetry", "no")
    package = folder / name / "src" / name / "pipelines" / "sums"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_PIPELINE)
    (folder / name / "conf/base/parameters.yml").write_text("days: 30\n")
    return folder / name
