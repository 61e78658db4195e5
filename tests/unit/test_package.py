"""The package as pip, Airflow and Kedro see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points, requires
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

import airflow_provider_kedro_vertex as package
from airflow_provider_kedro_vertex.version import DOCUMENTATION

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


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        ("operators", "BaseOperator"),
        ("sensors", "BaseSensorOperator"),
        ("triggers", "BaseTrigger"),
        ("hooks", "GoogleBaseHook"),
    ],
)
def test_modules_of_the_provider_info_hold_what_it_says(kind: str, base: str) -> None:
    info = package.get_provider_info()
    (integration,) = info["integrations"]
    (entry,) = info[kind]
    assert entry["integration-name"] == integration["integration-name"]
    for module in map(import_module, entry["python-modules"]):
        public = [getattr(module, name) for name in dir(module) if name.startswith("KedroVertex")]
        assert any(base in [parent.__name__ for parent in one.__mro__] for one in public), module


def test_the_registry_names_what_is_there() -> None:
    registry = yaml.safe_load((Path(__file__).parents[2] / ".airflow-registry.yaml").read_text())

    assert registry["package-name"] == DISTRIBUTION
    assert registry["docs-url"] == DOCUMENTATION
    for kind in ("operators", "sensors", "triggers", "hooks", "other"):
        for entry in registry[kind]:
            module, _, name = entry["module"].rpartition(".")
            assert callable(getattr(import_module(module), name)), entry


@pytest.mark.parametrize("path", package.get_provider_info()["extra-links"])
def test_links_are_where_the_provider_info_says(path: str) -> None:
    module, _, name = path.rpartition(".")

    assert getattr(import_module(module), name)().name in ("MLflow", "Node logs", "Vertex AI job", "Web shell")


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
