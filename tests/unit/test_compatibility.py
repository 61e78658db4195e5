"""The versions that tools/matrix.py tries, what pins them, and the page that tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.version import Version

from tools.matrix import CONSTRAINTS, FAILED, NOT_RUN, PAGE, PASSED, SIDES, tables, told

ROOT = Path(__file__).parents[2]


def pins(file: Path) -> dict[str, Version]:
    lines = (line.partition(";")[0].strip() for line in file.read_text().splitlines())
    return {name: Version(version) for name, version in (line.split("==") for line in lines)}


def floors(*extras: str) -> Iterator[tuple[str, Version]]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for needed in (Requirement(line) for extra in extras for line in declared[extra]):
        (floor,) = needed.specifier
        assert floor.operator == ">="
        yield needed.name.lower(), Version(floor.version)


def test_the_page_has_a_row_for_each_pair_of_versions() -> None:
    results = told()

    assert PAGE.read_text().endswith(f"\n\n{tables(results)}\n")
    assert {cell for cells in results.values() for cell in cells.values()} <= {PASSED, FAILED, NOT_RUN}


def test_unit_tests_that_need_an_airflow_are_run_on_every_version_of_it_and_not_beside_the_project() -> None:
    with_airflow, beside = SIDES["airflow"].checks["Unit tests"], SIDES["kedro"].checks

    needing = {"tests/unit/test_dag.py", "tests/unit/test_schedules.py", "tests/unit/core/test_assets.py"}
    assert needing < {*with_airflow}
    assert "tests/unit/core/test_plan.py" not in with_airflow
    assert beside["Core"] == ["tests/unit/core", "--ignore=tests/unit/core/test_assets.py"]
    assert "--ignore=tests/unit/runtime/test_data_scopes.py" in beside["Runtime"]


@pytest.mark.parametrize("file", sorted(CONSTRAINTS.glob("*.in")), ids=lambda file: file.stem)
def test_each_file_of_pins_has_what_was_asked_of_it(file: Path) -> None:
    asked = [Requirement(line) for line in file.read_text().splitlines() if not line.startswith("#")]
    pinned = pins(file.with_suffix(".txt"))

    assert [str(needed) for needed in asked if pinned[needed.name] not in needed.specifier] == []


@pytest.mark.parametrize(
    ("name", "extras", "newer"),
    [
        ("airflow-2.10.5-python-3.11", ("airflow",), set()),
        # Google's own client, which the emulator is made with, needs a newer one.
        ("kedro-floors-python-3.10", ("kedro", "kfp", "runtime", "emulator", "example"), {"google-auth"}),
    ],
)
def test_the_oldest_releases_that_are_allowed_are_tried(name: str, extras: tuple[str, ...], newer: set[str]) -> None:
    pinned = pins(CONSTRAINTS / f"{name}.txt")

    assert {name for name, floor in floors(*extras) if pinned[name] != floor} == newer
