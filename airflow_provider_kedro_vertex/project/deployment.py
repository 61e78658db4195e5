"""Deploying a project: its manifest and a DAG file that reads it, into Airflow's DAGs folder.

Each file is written whole or not at all, and in such an order that Airflow can read the folder at any moment between.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_provider_kedro_vertex.core.errors import ConfigError, ManifestError
from airflow_provider_kedro_vertex.core.files import write_whole
from airflow_provider_kedro_vertex.core.plan.diff import Diff, diff
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.vertex.client import VertexClient

_NEW = '''"""Runs the pipelines of the Kedro project {project} on Vertex AI."""

from airflow_provider_kedro_vertex import kedro_vertex_dags

# The manifest says what runs, and when: `schedules` in vertexai.yml. `kedro vertex deploy` writes the manifest each
# time, and this file only where there is none.
kedro_vertex_dags(globals(), manifest={manifest}{pipelines})
'''

#: Bytes of a DAG file; what is larger is not looked into.
_LARGEST = 1024 * 1024


class DagsFolder(Protocol):
    """Where Airflow looks for DAG files."""

    def read(self, name: str) -> str | None:
        """Read a file; None if there is none."""

    def write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""

    def python_files(self) -> dict[str, str]:
        """The texts of the Python files right in the folder, to be looked into: what is no UTF-8 is replaced."""


@dataclass(frozen=True)
class LocalFolder:
    """A DAGs folder on this machine."""

    path: Path

    def read(self, name: str) -> str | None:
        """Read a file; None if there is none.

        :raises ConfigError: it cannot be read.
        """
        try:
            return (self.path / name).read_bytes().decode("utf-8")  # with its own line ends
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"Cannot read {self.path / name}: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"Cannot read {self.path / name}: {error}.") from error

    def write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all; the folder is made where it is missing.

        :raises ConfigError: it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / name, text)
        except OSError as error:
            raise ConfigError(f"Cannot write {self.path / name}: {error.strerror or error}.") from error

    def python_files(self) -> dict[str, str]:
        """The texts of the Python files right in the folder, to be looked into: what is no UTF-8 is replaced.

        Folders with such a name, and links that lead nowhere, as some editors make them, are none.

        :raises ConfigError: the folder, or a file of it, cannot be read.
        """
        texts = {}
        file = self.path
        try:
            for file in sorted(self.path.iterdir()) if self.path.exists() else ():
                if file.suffix == ".py" and file.is_file() and file.stat().st_size <= _LARGEST:
                    texts[file.name] = file.read_text("utf-8", "replace")
        except OSError as error:
            raise ConfigError(f"Cannot read {file}: {error.strerror or error}.") from error
        return texts

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Bucket:
    """A DAGs folder in Cloud Storage, where an object is written whole or not at all.

    :param url: ``gs://bucket/dags``.
    """

    client: VertexClient
    url: str

    def read(self, name: str) -> str | None:
        """Read a file; None if there is none.

        :raises ConfigError: it is no text.
        :raises VertexApiError: Cloud Storage refuses it or cannot be reached.
        """
        found = self.client.find_object(f"{self.url}/{name}")
        try:
            return None if found is None else found.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"Cannot read {self.url}/{name}: {error}.") from error

    def write(self, name: str, text: str) -> None:
        """Write a file.

        :raises VertexApiError: Cloud Storage refuses it or cannot be reached.
        """
        self.client.write_object(f"{self.url}/{name}", text.encode())

    def python_files(self) -> dict[str, str]:
        """The texts of the Python files right in the folder, to be looked into: what is no UTF-8 is replaced.

        :raises VertexApiError: Cloud Storage refuses it or cannot be reached.
        """
        place = self.url.removeprefix("gs://").partition("/")[2] + "/"
        names = [
            each["name"].removeprefix(place.lstrip("/"))
            for each in self.client.list_objects(self.url)
            if int(each["size"]) <= _LARGEST
        ]
        found = {
            name: self.client.find_object(f"{self.url}/{name}")
            for name in sorted(names)
            if name.endswith(".py") and "/" not in name
        }
        return {name: content.decode("utf-8", "replace") for name, content in found.items() if content is not None}

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class File:
    """A file to write into the DAGs folder."""

    name: str
    text: str


@dataclass(frozen=True)
class Deployment:
    """What is to be done to a DAGs folder.

    :param diff: against the manifest that is there.
    :param files: those that are others than there, in the order in which they are to be written.
    :param remarks: what a person should know.
    """

    diff: Diff
    files: tuple[File, ...]
    remarks: tuple[str, ...] = ()


def deployment(manifest: Manifest, folder: DagsFolder, own: Path, pipelines: tuple[str, ...] = ()) -> Deployment:
    """Work out what to write.

    The manifest is ``<package>.manifest.json``. The DAG file is ``<package>.py``: the project's own one, where it has
    one; else a new one, where no DAG file of the folder reads the manifest.

    :param own: the project's own DAG file, which need not be there.
    :param pipelines: the registered pipelines of a new DAG file; all of them by default.
    :raises ConfigError: the folder cannot be read, or Airflow could not read it afterwards, or for a moment between.
    """
    package = manifest.project.package_name
    data, code = f"{package}.manifest.json", f"{package}.py"
    there = folder.read(data)
    old, remarks = _manifest(there, f"{folder}/{data}")
    readers = _readers(folder, data)
    text = LocalFolder(own.parent).read(own.name)
    if text is not None:
        _refuse_syntax_error(own, text)
        if data not in text:
            remarks.append(f"{own} does not name {data}, which is written beside it.")
    elif not readers:
        if folder.read(code) is not None:
            raise ConfigError(
                f"{folder}/{code} is there and does not read {data}, so it is left as it is. Nothing was deployed.",
                f"Keep your DAG file in the project, as {own}, or let that one read the manifest.",
            )
        chosen = f", pipelines={list(pipelines)!r}" if pipelines else ""
        text = _NEW.format(project=_in_docstring(manifest.project.name), manifest=f'"{data}"', pipelines=chosen)
    gone = _names(old) - _names(manifest)
    for name, content in {**readers, **({code: text} if text is not None else {})}.items():
        _refuse(named_pipelines(content) & gone, f"{own if name == code and own.exists() else f'{folder}/{name}'}")
    written = dumped if (dumped := manifests.dumps(manifest)) != there else None
    files = [File(data, written)] if written is not None else []
    before = None if text is None else folder.read(code)
    if text is not None and text != before:
        files.append(File(code, text))
        if named_pipelines(before or "") & gone:
            files.reverse()  # the old DAG file cannot read the new manifest
            _refuse_both(named_pipelines(text) & (_names(manifest) - _names(old)), own)
    return Deployment(diff(old, manifest), tuple(files), tuple(remarks))


def named_pipelines(text: str) -> frozenset[str]:
    """Find the registered pipelines that a DAG file names: ``pipeline="..."``, ``pipelines=[..]``, and in dicts.

    Names that the file works out are not seen. A file that is no Python names none.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    values: list[ast.expr] = []
    for item in ast.walk(tree):
        if isinstance(item, ast.keyword) and item.arg in ("pipeline", "pipelines"):
            values.append(item.value)
        elif isinstance(item, ast.Dict):
            keys = (key.value if isinstance(key, ast.Constant) else None for key in item.keys)
            values += [value for key, value in zip(keys, item.values, strict=True) if key == "pipeline"]
    found = (constant for value in values for constant in _constants(value))
    return frozenset(name for text in found for name in text.split(","))


def _constants(value: ast.expr) -> list[str]:
    parts = value.elts if isinstance(value, (ast.List, ast.Tuple, ast.Set)) else [value]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _manifest(text: str | None, where: str) -> tuple[Manifest | None, list[str]]:
    if text is None:
        return None, []
    try:
        return manifests.loads(text, where), []
    except ManifestError as error:
        return None, [f"{error.message} It is replaced, and nothing is compared with it."]


def _readers(folder: DagsFolder, data: str) -> Mapping[str, str]:
    """The DAG files of the folder that name the manifest."""
    return {name: text for name, text in folder.python_files().items() if data in text}


def _names(manifest: Manifest | None) -> frozenset[str]:
    return frozenset(manifest.pipelines) if manifest else frozenset()


def _in_docstring(project: str) -> str:
    return project.replace('"', "'").replace("\\", "")


def _refuse_syntax_error(own: Path, text: str) -> None:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ConfigError(f"{own}{line} is no Python: {error}. Nothing was deployed.") from None


def _refuse(missing: frozenset[str], where: str) -> None:
    for name in sorted(missing):
        raise ConfigError(
            f"{where} names pipeline {name!r}, which the project does not register any more, so that Airflow could not "
            "read it. Nothing was deployed.",
            "Take the pipeline out of that file first.",
        )


def _refuse_both(new: frozenset[str], own: Path) -> None:
    for name in sorted(new):
        raise ConfigError(
            f"{own} names pipeline {name!r}, which is new, and no longer one that is gone: whichever of manifest and "
            "DAG file came first, Airflow could not read them until the other one is there. Nothing was deployed.",
            "Deploy twice: first with neither pipeline in the DAG file, then with the new one.",
        )
