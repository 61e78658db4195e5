"""Where a manifest comes from: a file, an object in a storage, or a Kedro project, inspected in its own environment.

Standard library alone, since this runs at every parse of a DAG file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_kedro_vertex.core.errors import ConfigError, ManifestError, ProjectError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.version import __version__

#: Seconds for which the copy of an object is used without a look at the storage: by a parse of a DAG file, by a task.
PARSE_AGE, TASK_AGE = 300.0, 60.0

#: Seconds that inspecting a project may take. Airflow's own limit for a DAG file is shorter by default.
INSPECT_TIMEOUT = 120

#: What makes up a manifest lives in files of these kinds, outside of these folders.
_SUFFIXES = frozenset({".py", ".yml", ".yaml", ".json", ".toml", ".cfg", ".ini", ".properties", ".env"})
_IGNORED = frozenset({"__pycache__", "build", "data", "dist", "docs", "logs", "node_modules", "notebooks", "tests"})


@dataclass(frozen=True)
class ManifestSource:
    """Either a manifest file or a Kedro project's folder; relative paths start at the DAG file's folder.

    :param manifest: path of a file that ``kedro vertex manifest`` wrote, or its URL in a storage that Airflow's
        ``ObjectStoragePath`` knows: ``gs://bucket/name``, ``s3://conn_id@bucket/name``.
    :param project: a Kedro project's folder, inspected when its files have changed.
    :param python: the Python of the project's own environment, which has ``airflow-provider-kedro-vertex[kedro]``;
        this process's Python by default. Goes with ``project``.
    :param kedro_env: the Kedro environment to inspect. Goes with ``project``; a manifest file has one already.
    :raises ConfigError: both or neither are given, or an argument goes with the other one.
    """

    manifest: str | None = None
    project: str | None = None
    python: str | None = None
    kedro_env: str | None = None

    def __post_init__(self) -> None:
        if (self.manifest is None) == (self.project is None):
            raise ConfigError("Give either manifest= (a file) or project= (a Kedro project's folder).")
        if self.manifest is not None and (self.python or self.kedro_env):
            raise ConfigError(
                "python= and kedro_env= go with project=; a manifest's environment is chosen when it is written, "
                "with: kedro vertex manifest --env ENV"
            )

    def read(self, folder: Path, max_age: float = PARSE_AGE) -> Manifest:
        """Read the manifest, inspecting the project first when its files changed since the last time.

        :param folder: where relative paths start.
        :param max_age: of an object: seconds for which its copy is used without a look at the storage.
        :raises ManifestError: the file is missing or damaged.
        :raises UnavailableError: the storage does not answer, and there is no copy of the object.
        :raises ProjectError: the project cannot be inspected; the message has what its Python said.
        """
        if self.manifest is not None and "://" in self.manifest:
            from airflow_provider_kedro_vertex.task import manifest_object

            return manifest_object.read(self.manifest, _cache_folder, max_age)
        if self.manifest is not None:
            return _read(folder / os.path.expanduser(self.manifest))
        return self._inspected((folder / os.path.expanduser(self.project or "")).resolve())

    def _inspected(self, project: Path) -> Manifest:
        if not (project / "pyproject.toml").is_file():
            raise ProjectError(f"{project} is no Kedro project: it has no pyproject.toml.")
        kind = self._cache_key(project)
        cached = _cache_folder() / f"{kind}-{_digest_of_files(project)}.json"
        if cached.is_file():
            try:
                return manifests.read(cached)
            except ManifestError:
                pass  # damaged from outside: the inspection below replaces it
        self._inspect(project, cached)
        for outdated in cached.parent.glob(f"{kind}-*.json"):
            if outdated != cached:
                outdated.unlink(missing_ok=True)
        return manifests.read(cached)

    def _cache_key(self, project: Path) -> str:
        """A digest over all but the project's files that the manifest depends on."""
        # A manifest hands these variables on to the containers, and vertexai.yml may be made of them.
        forwarded = sorted(item for item in os.environ.items() if item[0].startswith("KEDRO_CONFIG_"))
        parts = (__version__, str(project), self._python, self.kedro_env, forwarded)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    @property
    def _python(self) -> str:
        return os.path.expanduser(self.python) if self.python else sys.executable

    def _inspect(self, project: Path, target: Path) -> None:
        command = [self._python, "-m", "airflow_provider_kedro_vertex.project", "manifest"]
        command += ["--project", str(project), "-o", str(target)]
        if self.kedro_env:
            command += ["--env", self.kedro_env]
        with tempfile.TemporaryFile() as output:
            try:
                # Output goes to a file: a pipe would be held open by whatever a project starts when imported.
                subprocess.run(
                    command,
                    cwd=project,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=INSPECT_TIMEOUT,
                    check=True,
                )
            except FileNotFoundError:
                raise ProjectError(f"Cannot inspect {project}: there is no Python at {self._python}.") from None
            except subprocess.TimeoutExpired:
                raise ProjectError(
                    f"Inspecting {project} took more than {INSPECT_TIMEOUT} s.",
                    "Write a manifest in CI instead: kedro vertex manifest -o FILE",
                ) from None
            except (OSError, subprocess.CalledProcessError) as error:
                output.seek(0)
                said = output.read().decode(errors="replace").strip().splitlines()
                raise ProjectError(f"Cannot inspect {project}: {said[-1] if said else error}") from None


def _read(path: Path) -> Manifest:
    """Read a manifest, also one inside of a packaged DAG: Airflow names a file there ``/dags/shop.zip/shop.py``."""
    archive = next((parent for parent in path.parents if parent.suffix == ".zip" and parent.is_file()), None)
    if archive is None:
        return manifests.read(path)
    try:
        with zipfile.ZipFile(archive) as packed:
            return manifests.loads(packed.read(path.relative_to(archive).as_posix()).decode(), source=path)
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ManifestError(
            f"The packaged DAG {archive} has no manifest {path.relative_to(archive)} ({error}).",
            "Put it into the zip, beside the DAG file.",
        ) from error


def _cache_folder() -> Path:
    home = os.environ.get("AIRFLOW_HOME") or os.path.expanduser("~/airflow")
    folder = Path(home) / "kedro_vertex_manifests"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _digest_of_files(project: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(project):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(project)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(project: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in _IGNORED and not name.startswith("."))
        for name in sorted(names):
            # Credentials never reach a manifest, so they need not be read here either.
            if os.path.splitext(name)[1] in _SUFFIXES and not name.startswith("credentials"):
                yield Path(folder) / name
