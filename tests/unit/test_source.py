"""A Kedro project's folder as the source of a manifest: inspected by its own Python, and only when it changed."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.errors import ProjectError
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.task.manifest_source import ManifestSource

FLIGHTS = Path(__file__).parents[2] / "dags_examples" / "flights"


class Project:
    """A copy of the example project, and a Python that counts how often it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "flights"
        shutil.copytree(FLIGHTS, self.folder)
        self._calls = folder / "calls"
        self._calls.touch()
        self._python = folder / "python"
        self._python.write_text(f'#!/bin/sh\necho "$@" >> {self._calls}\nexec {sys.executable} "$@"\n')
        self._python.chmod(0o755)

    def read(self, env: str | None = None) -> Manifest:
        return ManifestSource(project="flights", python=str(self._python), kedro_env=env).read(self.folder.parent)

    @property
    def inspections(self) -> int:
        return len(self._calls.read_text().splitlines())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    return Project(tmp_path)


def test_a_project_is_inspected_once_and_again_when_it_changed(project: Project) -> None:
    first = project.read()
    assert sorted(first.pipelines) == ["__default__", "features", "reporting", "training"]
    assert project.inspections == 1

    seconds = []
    for _ in range(5):
        started = time.process_time()
        assert project.read() == first
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.05  # the cost of a parse: files are read, nothing is started
    assert project.inspections == 1

    (project.folder / "data").mkdir(exist_ok=True)
    (project.folder / "data" / "table.json").write_text("{}")
    assert project.read() == first
    assert project.inspections == 1  # data is no part of a project's definition

    settings = project.folder / "conf" / "base" / "vertexai.yml"
    settings.write_text(settings.read_text().replace("flights:1.0.0", "flights:1.0.1"))
    assert (project.read().config.image or "").endswith("flights:1.0.1")
    assert project.inspections == 2


def test_the_cache_does_not_grow_with_each_change(project: Project, tmp_path: Path) -> None:
    cache = tmp_path / "airflow" / "kedro_vertex_manifests"
    project.read()
    project.read("laptop")
    before = set(cache.iterdir())
    settings = project.folder / "conf" / "base" / "vertexai.yml"
    settings.write_text(settings.read_text().replace("flights:1.0.0", "flights:1.0.1"))
    project.read()

    after = set(cache.iterdir())
    assert (len(before), len(after), len(before & after)) == (2, 2, 1)  # the other environment's stays


def test_an_environment_is_another_manifest(project: Project) -> None:
    plain, laptop = project.read(), project.read("laptop")

    assert (plain.env, laptop.env) == (None, "laptop")
    assert plain.datasets["predictions"].scope == "remote"
    assert laptop.datasets["predictions"].scope == "local"
    assert project.inspections == 2


def test_the_cache_is_for_its_owner_alone(project: Project, tmp_path: Path) -> None:
    project.read()

    cache = tmp_path / "airflow" / "kedro_vertex_manifests"
    assert cache.stat().st_mode & 0o777 == 0o700
    assert len(list(cache.iterdir())) == 1


def test_a_damaged_cache_is_made_again(project: Project, tmp_path: Path) -> None:
    first = project.read()
    (cached,) = (tmp_path / "airflow" / "kedro_vertex_manifests").iterdir()
    cached.write_text(cached.read_text()[:100])

    assert project.read() == first
    assert project.inspections == 2


def test_what_the_projects_python_says_is_the_error(project: Project, tmp_path: Path) -> None:
    (project.folder / "src" / "flights" / "pipeline_registry.py").write_text("import nowhere_to_be_found\n")

    with pytest.raises(ProjectError) as raised:
        project.read()

    message = str(raised.value)
    assert message.startswith(f"Cannot inspect {project.folder}: ")
    assert "nowhere_to_be_found" in message
    assert "\n" not in message
    assert list((tmp_path / "airflow" / "kedro_vertex_manifests").iterdir()) == []


def test_no_project_and_no_python(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"is no Kedro project: it has no pyproject.toml\.$"):
        ManifestSource(project=".").read(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(ProjectError, match=r"there is no Python at /nowhere/python\.$"):
        ManifestSource(project=".", python="/nowhere/python").read(tmp_path)
