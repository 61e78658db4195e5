"""The package as pip, Airflow and Kedro see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points, requires
from importlib.resources import files

import jsonschema
import pytest

import airflow_provider_kedro_vertex as package

DISTRIBUTION = "airflow-provider-kedro-vertex"


def test_the_bare_package_needs_nothing() -> None:
    assert [need for need in requires(DISTRIBUTION) or () if "extra ==" not in need] == []


def test_airflow_takes_the_provider_info() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(package.get_provider_info(), schema)


def test_airflow_lists_the_provider() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "airflow", "providers", "get", DISTRIBUTION, "--output", "json"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )

    assert f'"{package.__version__}"' in done.stdout


@pytest.mark.parametrize(
    ("group", "name"), [("apache_airflow_provider", "provider_info"), ("kedro.project_commands", "vertex")]
)
def test_entry_points_lead_somewhere(group: str, name: str) -> None:
    (found,) = (point for point in entry_points(group=group) if point.value.startswith(package.__name__))

    assert found.name == name
    assert callable(found.load())


@pytest.mark.parametrize("path", package.get_provider_info()["extra-links"])
def test_links_are_where_the_provider_info_says(path: str) -> None:
    module, _, name = path.rpartition(".")

    assert getattr(import_module(module), name)().name in ("MLflow", "Node logs", "Vertex AI job")


def test_public_names_are_there_and_others_are_not() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=r"^module 'airflow_provider_kedro_vertex' has no attribute 'kedro_dag'$"):
        package.kedro_dag  # noqa: B018


def test_importing_the_package_imports_none_of_its_rooms() -> None:
    code = "import sys, airflow_provider_kedro_vertex; print(*(m for m in sys.modules if m.startswith('airflow')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert sorted(done.stdout.split()) == ["airflow_provider_kedro_vertex", "airflow_provider_kedro_vertex.version"]
