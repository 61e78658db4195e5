"""`python -m tools.release VERSION`: cut a version out of the changelog, and set it in the package.

It writes ``CHANGELOG.md`` and ``version.py``, and prints what is left to do by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import date
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CHANGELOG = REPOSITORY / "CHANGELOG.md"
VERSION = REPOSITORY / "airflow_provider_kedro_vertex" / "version.py"
UNRELEASED = "## Unreleased\n"
_NEXT = """\
Next:
  git commit -am "Release {version}" && git tag {version}
  .venv/bin/python -m build && .venv/bin/python -m twine check --strict dist/*
  .venv/bin/python -m twine upload dist/*
"""


class ReleaseError(Exception):
    """The release cannot be cut; nothing was written."""


def parts(version: str) -> tuple[int, ...]:
    """Read ``MAJOR.MINOR.PATCH``.

    :raises ReleaseError: it is written otherwise.
    """
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise ReleaseError(f"A version is MAJOR.MINOR.PATCH, such as 0.2.0, not {version!r}.")
    return tuple(int(part) for part in version.split("."))


def cut(changelog: str, version: str, day: date) -> str:
    """Give what is unreleased a version and a day, under an empty section for what comes next.

    :raises ReleaseError: there is no section of unreleased changes, it is empty, or the version has a section.
    """
    before, heading, rest = changelog.partition(UNRELEASED)
    if not heading:
        raise ReleaseError(f"The changelog has no section {UNRELEASED.strip()!r}.")
    if f"## {version} " in changelog:
        raise ReleaseError(f"The changelog already has a section for {version}.")
    if not rest.partition("\n## ")[0].strip():
        raise ReleaseError("The changelog has no unreleased changes.")
    return f"{before}{UNRELEASED}\n## {version} ({day})\n{rest}"


def with_version(source: str, version: str) -> str:
    """Set ``__version__`` in the source of ``version.py``.

    :raises ReleaseError: the version is older than the one that is there, or there is none.
    """
    found = re.search(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    if found is None:
        raise ReleaseError('version.py has no line __version__ = "..".')
    if parts(version) < parts(found[1]):
        raise ReleaseError(f"{version} is older than {found[1]}, which the package has.")
    return f'{source[: found.start()]}__version__ = "{version}"{source[found.end() :]}'


def main() -> None:
    """Cut the release that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__.splitlines()[0])
    parser.add_argument("version", help="MAJOR.MINOR.PATCH")
    version: str = parser.parse_args().version
    try:
        source = with_version(VERSION.read_text(), version)
        changelog = cut(CHANGELOG.read_text(), version, date.today())
    except ReleaseError as error:
        sys.exit(str(error))
    VERSION.write_text(source)
    CHANGELOG.write_text(changelog)
    sys.stdout.write(_NEXT.format(version=version))


if __name__ == "__main__":
    main()
