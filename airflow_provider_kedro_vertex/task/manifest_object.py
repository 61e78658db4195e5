"""A manifest in object storage, by way of a copy on this machine; see docs/decisions/0024.

Imported where a manifest is in object storage. The network is asked in a thread, so that a parse of a DAG file can give
up: what reads the storage has no time limit of its own.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from airflow_provider_kedro_vertex.compat import AirflowException, object_storage_path
from airflow_provider_kedro_vertex.core.errors import ManifestError, UnavailableError
from airflow_provider_kedro_vertex.core.files import write_whole
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.locations import HIDDEN, parse_location, without_secrets
from airflow_provider_kedro_vertex.core.project.manifest import Manifest

_LOG = logging.getLogger(__name__)

#: Seconds for which the storage is waited for: Airflow gives up a DAG file after 30 by default.
FETCH_SECONDS = 20.0
#: Seconds after an unsuccessful try in which the copy is used without another one.
RETRY_SECONDS = 60.0


def read(url: str, folder: Callable[[], Path], max_age: float) -> Manifest:
    """Read a manifest from object storage, or its copy.

    :param url: of any storage that Airflow's ``ObjectStoragePath`` knows, with or without a connection:
        ``gs://bucket/name``, ``s3://conn_id@bucket/name``.
    :param folder: finds where copies lie.
    :param max_age: seconds for which a copy is used without a look at the storage.
    :raises ManifestError: there is none, it may not be read, or it is no manifest.
    :raises UnavailableError: the storage does not answer, and there is no copy.
    """
    try:
        copy = folder() / f"object-{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"
    except OSError as error:
        _LOG.warning("Each parse reads %s from the storage, since no copy of it can be kept: %s", shown(url), error)
        return manifests.loads(_fetch(url), source=shown(url))
    age, tried = _age(copy), copy.with_suffix(".tried")
    try_age = _age(tried)
    has_failed = try_age is not None and try_age < RETRY_SECONDS
    if age is not None and (age <= max_age or has_failed):
        try:
            kept = manifests.read(copy)
        except ManifestError:
            age = None  # damaged from outside: the storage has it whole
        else:
            if age > max_age:
                _tell_of_age(url, age, "The storage did not answer a moment ago.")
            return kept
    try:
        text = _fetch(url)
    except UnavailableError as error:
        if age is None:
            raise
        _touch(tried)
        _tell_of_age(url, age, str(error))
        return manifests.read(copy)
    manifest = manifests.loads(text, source=shown(url))
    try:
        write_whole(copy, text)
        tried.unlink(missing_ok=True)
    except OSError as error:
        _LOG.warning("No copy of %s can be kept, so that each parse reads it from the storage: %s", shown(url), error)
    return manifest


def shown(url: str) -> str:
    """The address without a connection, or a password that somebody wrote in its place."""
    return parse_location(url).shown or HIDDEN


def _age(file: Path) -> float | None:
    """Seconds since a file was written; None if there is none, or it is of the future."""
    try:
        age = time.time() - file.stat().st_mtime
    except OSError:
        return None
    return age if age >= 0 else None


def _touch(file: Path) -> None:
    try:
        file.touch(mode=0o644)
        os.utime(file)
    except OSError:
        pass  # the next parse tries again


def _tell_of_age(url: str, age: float, why: str) -> None:
    _LOG.warning(
        "%s The copy of %s is used that was read %.0f minutes ago; a change since then is not seen.",
        why,
        shown(url),
        age / 60,
    )


def _fetch(url: str) -> str:
    """Read the object; wait no longer than a parse may."""
    found: list[str | Exception] = []

    def run() -> None:
        try:
            found.append(_load(url))
        except Exception as error:  # raised below
            found.append(error)

    thread = Thread(target=run, name="manifest", daemon=True)
    thread.start()
    thread.join(FETCH_SECONDS)
    if not found:
        raise UnavailableError(f"The manifest {shown(url)} was not read within {FETCH_SECONDS:g} seconds.")
    (result,) = found
    if isinstance(result, Exception):
        raise result
    return result


def _load(url: str) -> str:
    try:
        with object_storage_path(url).open("rb") as file:
            content: bytes = file.read(manifests.MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise ManifestError(
            f"There is no manifest at {shown(url)}.",
            "Make it in the Kedro project with kedro vertex manifest, and copy it there.",
        ) from None
    except (ImportError, AirflowException) as error:  # no package for this storage, or no such connection
        raise ManifestError(f"The manifest {shown(url)} cannot be read: {without_secrets(str(error))}.") from None
    except Exception as error:  # each storage has its own
        raise _explained(url, error) from None
    if len(content) > manifests.MAX_BYTES:
        raise ManifestError(f"{shown(url)} has more than {manifests.MAX_BYTES} bytes, so it is no manifest.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ManifestError(f"{shown(url)} is no manifest: it is no text.") from None


def _explained(url: str, error: Exception) -> ManifestError | UnavailableError:
    said = without_secrets(f"{type(error).__name__}: {error}"[:500])
    # gcsfs has a number, and a word for 403 alone; those of other storages raise PermissionError.
    refused = isinstance(error, PermissionError) or str(getattr(error, "code", "")) in ("401", "403")
    if refused or str(error).startswith("Forbidden"):
        return ManifestError(
            f"The manifest {shown(url)} may not be read: {said}.",
            "Give Airflow's account the right to read it (roles/storage.objectViewer), or name a connection that has "
            "it: gs://CONN_ID@bucket/name.",
        )
    if isinstance(error, ValueError):  # of a storage that nothing installed knows
        return ManifestError(f"The manifest {shown(url)} cannot be read: {said}.")
    return UnavailableError(f"The manifest {shown(url)} cannot be read now: {said}.")
