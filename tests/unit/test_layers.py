"""The import rules hold what they say: each is broken once, in a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_kedro_vertex"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check a copy's imports, as `make lint` does."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--config", "pyproject.toml", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_package_keeps_its_layers(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_module_outside_of_all_layers_fails(copy: Path) -> None:
    (copy / PACKAGE / "stray.py").write_text('"""A module that nobody gave a place."""\n')
    done = lint(copy)
    assert (done.returncode, f"{PACKAGE}.stray" in done.stdout) == (1, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("core/text.py", "core.jobs.identity"),
        ("links/task_links.py", "task.errors"),
        ("vertex/poller.py", "compat"),
        ("operators/base.py", "sensors.job"),
        ("runtime/progress.py", "vertex.client"),
        ("configuration/reader.py", "project.conf"),
        ("emulator/server.py", "core.text"),
    ],
)
def test_an_import_against_the_layers_fails(copy: Path, module: str, imported: str) -> None:
    file = copy / PACKAGE / module
    file.write_text(f"{file.read_text()}\nimport {PACKAGE}.{imported}\n")
    done = lint(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
