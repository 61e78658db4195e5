"""A small Kedro project for the tests of the container side."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.runtime.containers import Project, context

SHOP = Path(__file__).parent / "shop"


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    return Project(tmp_path / "shop", context(str(tmp_path / "root")))
