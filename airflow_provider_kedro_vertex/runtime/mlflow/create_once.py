"""A small file that containers which start at the same time create only once: the first to write it wins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_kedro_vertex.runtime.storage import StorageError, storage_errors


def read_or_create(
    url: str, create: Callable[[], Mapping[str, Any]], discard: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Read a JSON object, or else make it and be the first to write it, or take what another container wrote first.

    MLflow gives a run its id and has no way to ask for one run only. Cloud Storage creates an object only if there is
    none (gcsfs's mode ``create``), and a local disk a name only if it is free, which decides between the containers.

    :param url: where the object is kept; an fsspec URL or a local path.
    :param create: makes the object; called when there is none yet.
    :param discard: called with what was made if another container was first.
    :raises StorageError: the storage could not be reached.
    """
    with storage_errors(url):
        filesystem, path = url_to_fs(url)
        existing = _read(filesystem, path)
    if existing is not None:
        return existing
    own = dict(create())
    with storage_errors(url):
        if _create(filesystem, path, json.dumps(own, sort_keys=True).encode()):
            return own
        existing = _read(filesystem, path)
    if existing is None:
        raise StorageError(
            f"{url} was there a moment ago and has gone: someone deleted it while the run was starting. Clear the task "
            "and run it again."
        )
    if existing != own:
        discard(own)
    return existing


def _read(filesystem: Any, path: str) -> dict[str, Any] | None:
    filesystem.invalidate_cache()
    try:
        value: dict[str, Any] = json.loads(filesystem.cat_file(path))
    except FileNotFoundError:
        return None
    return value


def _create(filesystem: Any, path: str, content: bytes) -> bool:
    try:
        if isinstance(filesystem, LocalFileSystem):
            _create_local(Path(path), content)
        else:
            filesystem.pipe_file(path, content, mode="create")
    except FileExistsError:
        return False
    return True


def _create_local(path: Path, content: bytes) -> None:
    """Make the file appear with its content: opening it exclusively would show it empty first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(content)
        path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)
