"""A release is cut whole or not at all, and what is built is the same whoever builds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import date
from pathlib import Path

import pytest

from tools import release

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## Unreleased

### Added

- A thing.

## 0.1.0 (2026-01-02)

- The first.
"""


def test_what_is_unreleased_gets_the_version_and_the_day() -> None:
    cut = release.cut(CHANGELOG, "0.2.0", date(2026, 3, 4))

    assert cut == CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n## 0.2.0 (2026-03-04)\n")


@pytest.mark.parametrize(
    ("changelog", "version", "message"),
    [
        ("# Changelog\n", "0.2.0", "no section '## Unreleased'"),
        (CHANGELOG, "0.1.0", "already has a section for 0.1.0"),
        (CHANGELOG.replace("### Added\n\n- A thing.\n\n", ""), "0.2.0", "no unreleased changes"),
    ],
)
def test_a_changelog_that_cannot_be_cut_is_refused(changelog: str, version: str, message: str) -> None:
    with pytest.raises(release.ReleaseError, match=message):
        release.cut(changelog, version, date(2026, 3, 4))


def test_the_version_is_set_and_the_rest_of_the_module_stays() -> None:
    source = '"""Doc."""\n\n__version__ = "0.1.0"\n\nOTHER = 1\n'

    assert release.with_version(source, "0.10.0") == source.replace("0.1.0", "0.10.0")
    assert release.with_version(source, "0.1.0") == source


@pytest.mark.parametrize("version", ["0.0.9", "1", "1.2", "v1.2.3", "1.2.3rc1", "01.2.3", "1.2.3\n"])
def test_a_version_that_goes_back_or_is_none_is_refused(version: str) -> None:
    with pytest.raises(release.ReleaseError):
        release.with_version('__version__ = "0.1.0"', version)


def test_this_repository_can_be_released() -> None:
    assert "0.999.0" in release.with_version(release.VERSION.read_text(), "0.999.0")
    assert "## 0.999.0 (2026-03-04)" in release.cut(release.CHANGELOG.read_text(), "0.999.0", date(2026, 3, 4))


def build(source: Path, target: Path, *kinds: str) -> list[Path]:
    argv = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(target), str(source)]
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, "PYTHONWARNINGS": ""})
    return sorted(target.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is made of it."""
    wheel, sdist = sorted(build(ROOT, tmp_path_factory.mktemp("dist")), key=lambda file: file.suffix, reverse=True)
    return sdist, wheel


def test_what_is_built_passes_the_checks_of_the_index(built: tuple[Path, Path]) -> None:
    argv = [sys.executable, "-W", "ignore", "-m", "twine", "check", "--strict", *map(str, built)]
    done = subprocess.run(argv, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sdist_has_what_is_needed_to_work_on_it(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    wanted = ("Makefile", "dags_examples/flights_dags.py", "docs/checks.md", "constraints/airflow-3.txt", "SECURITY.md")
    assert set(wanted) <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", "docs/site"))]


def test_the_wheel_is_the_same_bytes_from_another_folder_at_another_time(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    with tarfile.open(built[0]) as archive:
        archive.extractall(copy, filter="data")
    (folder,) = copy.iterdir()
    for file in folder.rglob("*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))

    (again,) = build(folder, tmp_path / "dist", "--wheel")

    assert again.name == built[1].name
    assert again.read_bytes() == built[1].read_bytes()


def test_the_wheel_works_without_the_checkout(built: tuple[Path, Path], tmp_path: Path) -> None:
    installed = tmp_path / "site"
    with zipfile.ZipFile(built[1]) as archive:
        archive.extractall(installed)
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"airflow_provider_kedro_vertex"}
    env = {**os.environ, "PYTHONPATH": str(installed)}

    def run(*arguments: str, folder: str = ".") -> str:
        argv = [sys.executable, "-W", "ignore", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=tmp_path / folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    rooms = "operators, sensors, triggers, hooks, links, runtime, emulator"
    where = "from airflow_provider_kedro_vertex import kedro_vertex_dags, {0}; print({0}.__file__)"
    for room in rooms.split(", "):
        assert run("-c", where.format(room)).strip().startswith(str(installed)), room
    # Kedro has a project's commands in its folder alone.
    shutil.copytree(ROOT / "dags_examples" / "flights", tmp_path / "flights")
    shown = run("-m", "kedro", "vertex", "explain", "KV007", folder="flights")
    assert "`run_config.image` is not set" in shown


def test_the_readme_leads_nowhere_that_the_index_does_not_have() -> None:
    text = (ROOT / "README.md").read_text()
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:src|href)="([^"]+)"', text)]

    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_the_command_refuses_and_writes_nothing(tmp_path: Path) -> None:
    for part in ("tools", "airflow_provider_kedro_vertex/version.py", "CHANGELOG.md"):
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def run(version: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-B", "-m", "tools.release", version]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)

    refused = run("0.0.1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "older than" in refused.stderr
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before

    done = run("0.999.0")
    assert done.returncode == 0, done.stderr
    assert "git tag 0.999.0" in done.stdout
    assert '__version__ = "0.999.0"' in (tmp_path / "airflow_provider_kedro_vertex" / "version.py").read_text()
    assert "## 0.999.0 (" in (tmp_path / "CHANGELOG.md").read_text()
