"""The example project, importable as it is in a run of its own, and a fresh copy of it as a container would have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3] / "dags_examples" / "flights"
sys.path.insert(0, str(PROJECT / "src"))

KedroRun = Callable[..., Path]


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def kedro_run(tmp_path_factory: pytest.TempPathFactory) -> KedroRun:
    """Run ``kedro run`` in a new copy of the project, and return the copy's folder."""

    def run(*arguments: str, environ: dict[str, str] | None = None) -> Path:
        folder = tmp_path_factory.mktemp("container") / "flights"
        shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("data", "__pycache__"))
        completed = subprocess.run(
            [sys.executable, "-m", "kedro", "run", *arguments],
            cwd=folder,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return folder

    return run
