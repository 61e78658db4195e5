"""The tests on every version that people run: builds each environment of constraints/matrix and runs its checks.

A constraints file's name says which Python it is for, and by its first word which side of the package: Airflow's, or
that of the Kedro project and of the node's container. The results are a table, which docs/compatibility.md holds too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints" / "matrix"
ENVIRONMENTS = ROOT / ".venv-matrix"
PAGE = ROOT / "docs" / "compatibility.md"

PASSED, FAILED, NOT_BUILT, NOT_RUN = "passed", "FAILED", "not built", "not run"
#: Title of a check to what became of it; one that was left out is missing.
Results = Mapping[str, str]


@dataclass(frozen=True)
class Side:
    """One side of the package: what a row of its table tells.

    :param title: stands over the table.
    :param packages: columns of versions: title to distribution.
    :param checks: columns of results: title to arguments of pytest.
    """

    title: str
    packages: Mapping[str, str]
    checks: Mapping[str, Sequence[str]]


#: An import of Airflow, of the names that DAG files import, or of Airflow's side of the package.
_NEEDS_AIRFLOW = re.compile(
    r"^from airflow(\.[.\w]+)? import|^from airflow_provider_kedro_vertex"
    r"(\.(compat|hooks|lineage|links|operators|sensors|task|triggers)[.\w]*)? import(?! __version__)",
    re.MULTILINE,
)
_MORE_WITH_AIRFLOW = (
    "project/test_composer",
    "project/test_dag_file",
    "project/test_doctor",
    "project/test_workflows",
    "test_schedules",
)
_UNIT_TESTS = {str(file.relative_to(ROOT)): file.read_text() for file in (ROOT / "tests" / "unit").rglob("test_*.py")}
_WITH_AIRFLOW = sorted(
    {file for file, text in _UNIT_TESTS.items() if _NEEDS_AIRFLOW.search(text)}
    # They run a DAG file, or find Google's APIs in a package that Airflow's Google provider brings.
    | {f"tests/unit/{name}.py" for name in _MORE_WITH_AIRFLOW}
)


def _without_airflow(folder: str) -> list[str]:
    """The arguments of pytest for what in a folder of tests needs no Airflow."""
    return [folder, *(f"--ignore={file}" for file in _WITH_AIRFLOW if file.startswith(f"{folder}/"))]


SIDES = {
    "airflow": Side(
        "Airflow",
        {
            "Airflow": "apache-airflow",
            "Google provider": "apache-airflow-providers-google",
            "common-compat": "apache-airflow-providers-common-compat",
        },
        {
            "Public names": ["tests/unit/test_package.py"],
            "Examples": ["tests/airflow/test_examples.py"],
            "Unit tests": _WITH_AIRFLOW,
            # By a scheduler: the tasks of Airflow 3.2's own `dags test` may start before the API that it serves them.
            "A DAG run": ["tests/airflow/test_mapped_runs.py"],
        },
    ),
    "kedro": Side(
        "Beside the Kedro project, and in the node's image",
        {"Kedro": "kedro", "kfp": "kfp", "gcsfs": "gcsfs"},
        {
            "Core": _without_airflow("tests/unit/core"),
            "Kedro side": _without_airflow("tests/unit/project"),
            "Runtime": _without_airflow("tests/unit/runtime"),
        },
    ),
}


@dataclass(frozen=True)
class Environment:
    """One set of versions.

    :param constraints: a file that pins all of them.
    """

    constraints: Path

    @property
    def name(self) -> str:
        """The file's name, as ``airflow-2.10.5-python-3.11``."""
        return self.constraints.stem

    @property
    def side(self) -> Side:
        """The side that it is checked for."""
        return SIDES[self.name.partition("-")[0]]

    @property
    def python_version(self) -> str:
        """Such as 3.11."""
        return self.name.rpartition("-")[2]

    @property
    def python(self) -> Path:
        """Its interpreter, once it is built."""
        return ENVIRONMENTS / self.name / "bin" / "python"

    @cached_property
    def versions(self) -> list[str]:
        """The cells of its row that come before the results."""
        pins = dict(line.split("==") for line in self.constraints.read_text().splitlines() if "==" in line)
        found = [pins[package].partition(";")[0].strip() for package in self.side.packages.values()]
        return [*found, self.python_version]


def environments() -> list[Environment]:
    """All of them, in the order of the tables: the oldest versions first."""
    return [Environment(file) for file in sorted(CONSTRAINTS.glob("*.txt"), key=_order)]


def _order(file: Path) -> tuple[object, ...]:
    side, version, _, python = file.stem.split("-")
    numbers = [int(number) for number in version.split(".")] if version[0].isdigit() else []
    return side, numbers, [int(number) for number in python.split(".")]


def build(environment: Environment) -> None:
    """Install what the constraints file pins, and this package as it stands.

    :raises CalledProcessError: there is no such Python, or a package cannot be installed.
    """
    if not environment.python.exists():
        folder = ENVIRONMENTS / environment.name
        _uv("venv", "--clear", "--python", _interpreter(environment.python_version), str(folder))
    requirements = ("--requirement", str(environment.constraints), "--editable", str(ROOT))
    _uv("pip", "install", "--python", str(environment.python), *requirements)


def _interpreter(version: str) -> str:
    """Where pyenv has this Python. Else its version: uv looks on the PATH for it, and fetches it if it may."""
    # On the PATH pyenv has a stand-in for each version, which runs only where that version was chosen.
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(root.glob(f"versions/{version}.*/bin/python"))
    return str(found[-1]) if found else version


def _uv(*arguments: str) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    subprocess.run([uv, *arguments, "--quiet"], check=True, capture_output=True, text=True)


def check(environment: Environment, left_out: Collection[str]) -> Results:
    """Build an environment and run its checks, but for those left out."""
    asked = {title: tests for title, tests in environment.side.checks.items() if title not in left_out}
    try:
        build(environment)
    except subprocess.CalledProcessError as error:
        _tell(f"{environment.name} cannot be built:\n{error.stderr}")
        return dict.fromkeys(asked, NOT_BUILT)
    return {title: _passes(environment, title, tests) for title, tests in asked.items()}


def _passes(environment: Environment, title: str, arguments: Sequence[str]) -> str:
    started = time.monotonic()
    done = subprocess.run(
        [environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=_variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    result = FAILED if done.returncode else PASSED
    output = done.stdout if done.returncode else done.stdout.splitlines()[-1]
    _tell(f"{environment.name}: {title}: {result} after {time.monotonic() - started:.0f} s. {output}")
    return result


def _variables() -> dict[str, str]:
    """Those of this process, but for the one that forbids bytecode."""
    # Each test of a command and each task of a DAG run is a process, and each would compile all that it imports. Here
    # the first one does: a tenth of the 30 000 files that `uv pip install --compile-bytecode` would compile.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _tell(message: str) -> None:
    print(message, flush=True)


def told() -> dict[Environment, Results]:
    """Read the results of the page; a new environment has none yet."""
    lines = (line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| "))
    rows = {tuple(cells[:4]): cells[4:] for cells in lines}
    found: dict[Environment, Results] = {}
    for each in environments():
        checks = each.side.checks
        found[each] = dict(zip(checks, rows.get(tuple(each.versions), [NOT_RUN] * len(checks)), strict=True))
    return found


def tables(results: Mapping[Environment, Results]) -> str:
    """Write results as one Markdown table for each side that has any."""
    written = []
    for side in SIDES.values():
        rows = {environment: cells for environment, cells in results.items() if environment.side is side}
        if rows:
            written.append("\n".join([f"## {side.title}", "", *_table(side, rows)]))
    return "\n\n".join(written)


def _table(side: Side, results: Mapping[Environment, Results]) -> Iterator[str]:
    header = [*side.packages, "Python", *side.checks]
    yield _line(header)
    yield _line(["---"] * len(header))
    for environment, cells in results.items():
        yield _line([*environment.versions, *(cells.get(title, NOT_RUN) for title in side.checks)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Check environments; 0 only if all of their checks passed and the page says the same."""
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="environments, as constraints/matrix names them; by default all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="environments to check at once")
    parser.add_argument("--without", action="append", default=[], metavar="TITLE", help="a check to leave out")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/compatibility.md")
    given = parser.parse_args()
    known = {environment.name: environment for environment in environments()}
    titles = {title for side in SIDES.values() for title in side.checks}
    if unknown := (set(given.names) - known.keys()) | (set(given.without) - titles):
        parser.error(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join([*known, *sorted(titles)])}")
    asked = [known[name] for name in given.names or known]
    with ThreadPoolExecutor(given.jobs) as pool:
        results = dict(zip(asked, pool.map(lambda each: check(each, given.without), asked), strict=True))
    before = told()
    after = {each: {**cells, **results.get(each, {})} for each, cells in before.items()}
    _tell(f"\n{tables(results)}\n")
    if given.write:
        text = PAGE.read_text().partition("\n## ")[0]
        PAGE.write_text(f"{text}\n{tables(after)}\n")
    elif differing := [each.name for each in asked if before[each] != after[each]]:
        _tell(f"{PAGE.relative_to(ROOT)} says otherwise of {', '.join(differing)}: make compatibility writes it.")
        return 1
    return int(any(cell != PASSED for cells in results.values() for cell in cells.values()))


if __name__ == "__main__":
    sys.exit(main())
