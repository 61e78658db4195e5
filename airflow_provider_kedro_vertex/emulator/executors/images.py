"""The stand-ins for container images: the image itself, a folder with a project and a Python, or nothing that runs.

Building an image copies a project into it; here a task gets a fresh copy of the folder as it is when the task starts,
so an edit is in the next task without a build. The folder's own ``.git``, virtual environments and caches are left
out.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = frozenset(
    {
        ".git", ".hg", ".venv", "venv", ".tox", ".nox", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache",
        ".ipynb_checkpoints", "node_modules",
    }
)  # fmt: skip
"""Names that are not copied, at any depth. The emulator's own data folder is left out too, wherever it lies."""
NOOP = "noop:"
"""The prefix of a :class:`Noop`'s seconds where a folder could stand."""

CONTAINER = "container"
"""The word for a :class:`ContainerImage` where a folder could stand."""

_NOOP = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?::(succeeded|failed|([0-9]{1,3})))?")
_OUTCOMES = {"succeeded": 0, "failed": 1}


class ImageError(ValueError):
    """An image that cannot be used; the text says why and what to write instead."""


@dataclass(frozen=True)
class Image:
    """A project folder and the interpreter that ``python`` means in it. Both are absolute paths."""

    folder: Path
    python: Path

    def __str__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True)
class ContainerImage:
    """The image itself, run by docker or podman.

    :param reference: the name by which docker or podman knows it.
    """

    reference: str

    def __str__(self) -> str:
        return f"{CONTAINER}:{self.reference}"


@dataclass(frozen=True)
class Noop:
    """An image whose containers do nothing for some seconds, and then end with an exit status."""

    seconds: float
    exit_status: int = 0

    def __str__(self) -> str:
        return f"{NOOP}{self.seconds:g}:{self.exit_status}"


StandIn = Image | ContainerImage | Noop
"""Whatever stands for an image's name."""


def parse_noop(text: str) -> Noop:
    """Read ``SECONDS[:OUTCOME]``. The outcome is ``succeeded`` (the default), ``failed`` or an exit status.

    :raises ImageError: if it is of another form.
    """
    match = _NOOP.fullmatch(text)
    status = -1 if match is None else _OUTCOMES.get(match[2] or "succeeded", int(match[3] or -1))
    if match is None or not 0 <= status <= 255:
        raise ImageError(
            f'"{text}" is not of the form SECONDS or SECONDS:OUTCOME, with succeeded, failed or an exit status up to '
            "255 as the outcome"
        )
    return Noop(float(match[1]), status)


def read_image(folder: str | os.PathLike[str], python: str | os.PathLike[str] | None = None) -> Image:
    """Check a folder and an interpreter.

    :param python: a Python, as a rule of a virtual environment; by default the one that runs the emulator.
    :raises ImageError: if one of them is not there.
    """
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise ImageError(f"the image's folder {path} does not exist")
    # Not resolved: a virtual environment's Python is a link, and knows its packages by the link's place.
    interpreter = Path(python or sys.executable).expanduser().absolute()
    if not (interpreter.is_file() and os.access(interpreter, os.X_OK)):
        raise ImageError(f"the image's Python {interpreter} is no executable file")
    if not os.access(interpreter.parent / "python", os.X_OK):
        raise ImageError(
            f"beside {interpreter} there is nothing called python, which commands ask for; name the Python of a "
            "virtual environment"
        )
    return Image(path, interpreter)


def parse_flag(text: str) -> tuple[str, StandIn]:
    """Read ``NAME=FOLDER[,PYTHON]``, ``NAME=container[:REFERENCE]`` or ``NAME=noop:SECONDS[:OUTCOME]``.

    A folder that is called ``container`` can be written as ``./container``.

    :raises ImageError: if it is of another form, or names what is not there.
    """
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise ImageError(
            f'"{text}" is not of the form NAME=FOLDER, NAME=FOLDER,PYTHON, NAME={CONTAINER}[:REFERENCE] or '
            f"NAME={NOOP}SECONDS[:OUTCOME]"
        )
    if rest.startswith(NOOP):
        return name, parse_noop(rest.removeprefix(NOOP))
    kind, colon, reference = rest.partition(":")
    if kind == CONTAINER:
        if colon and not reference:
            raise ImageError(f'"{text}" has a colon and no reference after it')
        return name, ContainerImage(reference or name)
    folder, comma, python = rest.partition(",")
    if comma and not python:
        raise ImageError(f'"{text}" has a comma and no Python after it')
    return name, read_image(folder, python or None)


def copy_folder(source: Path, target: Path, data: Path) -> None:
    """Copy a project for one task. Links stay links; sockets and pipes are left out.

    :param data: the emulator's data folder without links in its path. It may lie inside the project, and is not
        copied.
    :raises OSError: if a file cannot be copied.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        return {
            name for name in names if name in LEFT_OUT or Path(folder, name) == data or _is_special(Path(folder, name))
        }

    # Resolved, as the data folder is: by another name it would not be known, and be copied into itself.
    shutil.copytree(source.resolve(), target, symlinks=True, ignore=left_out)


def _is_special(path: Path) -> bool:
    mode = path.lstat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
