"""A project that uses kedro-mlflow, its containers, and a real MLflow server."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlflow.servers import PYTHON, Mlflow, mlflow_server
from tests.unit.runtime.containers import Project, context

TRACKED = Path(__file__).parent / "tracked"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


@pytest.fixture
def tracked(tmp_path: Path, server: Mlflow) -> Project:
    """The project in a DAG run that no other test has."""
    shutil.copytree(TRACKED, tmp_path / "tracked", ignore=shutil.ignore_patterns("__pycache__"))
    run = context(str(tmp_path / "root"), f"run-{uuid.uuid4().hex[:8]}")
    return Project(
        tmp_path / "tracked", run, {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_DISABLE_TELEMETRY": "true"}, str(PYTHON)
    )
