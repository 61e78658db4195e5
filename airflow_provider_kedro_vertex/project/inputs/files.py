"""The files of an input on this disk, each with its place in Cloud Storage."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from airflow_provider_kedro_vertex.project.inputs.datasets import Input


@dataclass(frozen=True)
class LocalFile:
    """A file, by its path from the project's root, and the object that it becomes."""

    path: PurePosixPath
    url: str


@dataclass(frozen=True)
class Found:
    """What there is of an input.

    :param files: sorted by path; empty if the input is not here.
    :param remarks: what is there and is left out, and why.
    """

    files: tuple[LocalFile, ...]
    remarks: tuple[str, ...] = ()


def find_files(project: Path, given: Input) -> Found:
    """Find the files of an input as its dataset would read them.

    A folder is taken as it is, hidden files too, since the dataset reads them as well; of a folder of partitions those
    that are partitions, and of versions the latest. Links to files are followed, and the dataset's own path where it is
    a link; inside a folder links to other folders are not, as in Kedro.
    """
    base = PurePosixPath(os.path.normpath(given.path))
    if given.versioned:
        latest = _latest(project, base)
        bases = [] if latest is None else [latest]
    else:
        bases = [base] if os.path.lexists(project / base) else _matches(project, base)
    files: list[LocalFile] = []
    remarks: list[str] = []
    for each in bases:
        for path in _walk(project, each, remarks):
            if _counts(path, base, given):
                files.append(LocalFile(path, _url(given, base, path)))
    return Found(tuple(sorted(files, key=lambda file: file.path)), tuple(remarks))


def _latest(project: Path, base: PurePosixPath) -> PurePosixPath | None:
    """The version that Kedro loads: the last by name that has what the dataset reads."""
    try:
        versions = sorted(os.listdir(project / base), reverse=True)
    except OSError:
        return None
    return next((base / version for version in versions if (project / base / version / base.name).exists()), None)


def _matches(project: Path, base: PurePosixPath) -> list[PurePosixPath]:
    """What a path with ``*`` in it stands for; some datasets read many files so."""
    if not re.search(r"[*?\[]", str(base)):
        return []
    return sorted(PurePosixPath(path.relative_to(project).as_posix()) for path in project.glob(str(base)))


def _walk(project: Path, base: PurePosixPath, remarks: list[str]) -> Iterator[PurePosixPath]:
    whole = project / base
    if not whole.is_dir():
        yield from _file(project, base, remarks)
        return
    for folder, folders, names in os.walk(whole, onerror=lambda error: remarks.append(_unreadable(error))):
        here = base / PurePosixPath(Path(folder).relative_to(whole).as_posix())
        for name in sorted(folders):
            if (Path(folder) / name).is_symlink():
                remarks.append(f"{here / name} is a link to a folder, which is not followed.")
        for name in sorted(names):
            yield from _file(project, here / name, remarks)


def _file(project: Path, path: PurePosixPath, remarks: list[str]) -> Iterator[PurePosixPath]:
    whole = project / path
    try:
        str(path).encode()
    except UnicodeEncodeError:
        remarks.append(f"{str(path)!r} has a name that is no UTF-8, as Cloud Storage asks for.")
        return
    if "\n" in str(path) or "\r" in str(path):
        remarks.append(f"{str(path)!r} has a line break in its name, which Cloud Storage does not take.")
    elif whole.is_symlink() and not whole.exists():
        remarks.append(f"{path} is a link that leads nowhere.")
    elif whole.is_file():
        yield path
    else:
        remarks.append(f"{path} is no file that could be read.")


def _unreadable(error: OSError) -> str:
    return f"{error.filename} cannot be read: {error.strerror or error}."


def _counts(path: PurePosixPath, base: PurePosixPath, given: Input) -> bool:
    if not path.name.endswith(given.suffix):
        return False
    checkpoint = given.checkpoint and PurePosixPath(os.path.normpath(given.checkpoint))
    return not checkpoint or path not in (checkpoint, base / checkpoint)


def _url(given: Input, base: PurePosixPath, path: PurePosixPath) -> str:
    if path.is_relative_to(base):
        inside = path.relative_to(base).as_posix()
        return given.url if inside == "." else f"{given.url}/{inside}"
    root = given.url.removesuffix(str(base))  # of a pattern
    return f"{root}{path.as_posix()}"
