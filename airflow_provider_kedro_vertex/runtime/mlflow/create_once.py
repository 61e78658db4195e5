"""Containers that start at the same time agree on one thing: the first to write it down wins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_kedro_vertex.runtime.storage import StorageError


def agree(
    url: str, propose: Callable[[], Mapping[str, Any]], withdraw: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Read what was agreed on, or else propose it and be the first to write it, or take what another wrote first.

    MLflow gives a run its id and has no way to ask for one run only. Cloud Storage creates an object only if there is
    none (gcsfs's mode ``create``), and a local disk a name only if it is free, which decides between the proposals.

    :param url: where the agreement is kept, as a small JSON object; an fsspec URL or a local path.
    :param propose: called when there is no agreement yet.
    :param withdraw: called with the proposal if another won.
    :raises StorageError: the storage could not be reached.
    """
    try:
        filesystem, path = url_to_fs(url)
        agreed = _read(filesystem, path)
    except Exception as error:
        raise _unreachable(url, error) from error
    if agreed is not None:
        return agreed
    proposal = dict(propose())
    try:
        if _create(filesystem, path, json.dumps(proposal, sort_keys=True).encode()):
            return proposal
        agreed = _read(filesystem, path)
    except Exception as error:
        raise _unreachable(url, error) from error
    if agreed is None:
        raise StorageError(f"{url} was there a moment ago and has gone: someone deleted it while the run was starting.")
    if agreed != proposal:
        withdraw(proposal)
    return agreed


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


def _unreachable(url: str, error: Exception) -> StorageError:
    return StorageError(f"The storage at {url} failed: {type(error).__name__}: {error}.")
