"""Each code block of the pages runs, or the page says why no test runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog

from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_dags, kedro_vertex_task_group
from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.project.vertexai_yml import read_run_config
from tests.unit.code_blocks import PAGES, ROOT, Block, blocks

FLIGHTS = ROOT / "dags_examples" / "flights"
QUICKSTART = ROOT / "docs" / "quickstart.md"  # tests/unit/test_quickstart.py runs it as a whole
BLOCKS = [block for page in PAGES if page != QUICKSTART for block in blocks(page) if block.runs]


def of(*languages: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.language in languages]


def test_each_language_has_a_test() -> None:
    assert {block.language for block in BLOCKS} <= {"python", "yaml", "bash", "console", "ini", ""}


@pytest.mark.parametrize("block", of("python"))
def test_python(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is a DAG file, or goes into one."""
    monkeypatch.chdir(tmp_path)
    flights = manifests.read(FLIGHTS / "flights.manifest.json")
    manifests.write(flights, tmp_path / "flights.manifest.json")
    read_in_a_run = {**flights.runtime_params, "country": False}
    manifests.write(replace(flights, runtime_params=read_in_a_run), tmp_path / "shop.json")
    names: dict[str, Any] = {
        "__file__": str(tmp_path / "dag.py"),
        "kedro_vertex_dag": kedro_vertex_dag,
        "kedro_vertex_dags": kedro_vertex_dags,
        "kedro_vertex_task_group": kedro_vertex_task_group,
        "KedroVertexPipelineOperator": KedroVertexPipelineOperator,
    }
    has_a_dag = re.search(r"\b(DAG|kedro_vertex_dags?)\(", block.text)
    with nullcontext() if has_a_dag else DAG("page", schedule=None):
        names |= _decorated()
        exec(compile(block.text, str(block), "exec"), names)


def _decorated() -> dict[str, Any]:
    """What a page's reader has in the DAG file already: Airflow's decorators, and a task that makes a list."""
    try:
        from airflow.sdk import task, task_group
    except ImportError:  # Airflow 2
        from airflow.decorators import task, task_group

    @task
    def countries() -> list[dict[str, str]]:
        return [{"country": "de"}]

    return {"task": task, "task_group": task_group, "countries": countries}


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    content = yaml.safe_load(block.text)
    if "run_config" in content:
        assert read_run_config(content, lambda path: str(block)) != RunConfig()
    elif block.title.endswith("catalog.yml"):
        # What is interpolated, and where it is stored, are the reader's own.
        here = yaml.safe_load(re.sub(r"\$\{[^}]*\}", "x", block.text.replace("gs://", "")))
        catalog = DataCatalog.from_config(here)
        assert all(catalog.get(name) is not None for name in content)
    else:
        assert block.title, "a block that is no setting says which file it is"


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS if block.language in ("bash", "console")}))
def test_commands(page: Path, tmp_path: Path) -> None:
    """The commands of a page, one after another, in a project's folder."""
    project = tmp_path / "flights"
    shutil.copytree(FLIGHTS, project)
    commands = [
        command
        for block in BLOCKS
        if block.page == page and block.language in ("bash", "console")
        for command in block.commands
    ]
    if any(command.startswith("kedro vertex init") for command in commands):
        (project / "conf" / "base" / "vertexai.yml").unlink()
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    script = "\n".join(("set -euo pipefail", *commands))

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=project,
        env={**os.environ, "PATH": path, "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
