"""Files in any storage that fsspec reaches: written whole or not at all, with errors that name the place."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from kedro.io import DatasetError

#: How much goes over the network at once: fewer requests than with fsspec's 5 MiB, still little memory.
_TRANSFER_SIZE = 8 << 20


class StorageError(DatasetError):
    """The storage could not be reached, or refused."""


def read_bytes(url: str, maximum: int) -> bytes:
    """Read the first bytes of a file.

    :raises FileNotFoundError: there is no such file.
    :raises StorageError: the storage could not be reached.
    """
    with storage_errors(url, FileNotFoundError):
        filesystem, path = _locate(url)
        data: bytes = filesystem.cat_file(path, 0, maximum)
    return data


def exists(url: str) -> bool:
    """Tell whether there is such a file.

    :raises Exception: whatever the filesystem raises if it cannot tell.
    """
    filesystem, path = _locate(url)
    return bool(filesystem.exists(path))


@contextmanager
def open_for_reading(url: str) -> Iterator[StorageFile]:
    """Open a file.

    :raises FileNotFoundError: there is no such file.
    :raises StorageError: the storage could not be reached, now or while the file is read.
    """
    with storage_errors(url, FileNotFoundError):
        filesystem, path = _locate(url)
        file = filesystem.open(path, "rb", block_size=_TRANSFER_SIZE)
    with file:
        yield StorageFile(file, url)


@contextmanager
def open_for_writing(url: str) -> Iterator[StorageFile]:
    """Open a file that appears under its name whole when the block ends, or not at all if the block raises.

    :raises StorageError: the storage could not be reached, at the beginning, while the file is written or at the end.
    """
    with storage_errors(url):
        filesystem, path = _locate(url)
        file: _Unfinished = (
            _LocalFile(Path(path)) if isinstance(filesystem, LocalFileSystem) else _Upload(filesystem, path)
        )
    try:
        yield StorageFile(file, url)
        with storage_errors(url):
            file.commit()
    except BaseException:
        file.discard()
        raise


class StorageFile:
    """An open file whose own errors become a StorageError, so that they are told from those of whoever uses it."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url

    def read(self, size: int) -> bytes:
        """Read the next bytes; fewer than asked for only at the end."""
        with storage_errors(self._url):
            data: bytes = self._file.read(size)
        return data

    def write(self, data: bytes) -> None:
        """Write all of the bytes."""
        with storage_errors(self._url):
            self._file.write(data)


@contextmanager
def storage_errors(url: str, *passed: type[Exception]) -> Iterator[None]:
    """Turn every exception into a StorageError that names the place, but for those that are to pass."""
    try:
        yield
    except passed:
        raise
    except Exception as error:
        raise StorageError(f"The storage at {url} failed: {type(error).__name__}: {error}.") from error


def _locate(url: str) -> tuple[Any, str]:
    filesystem, path = url_to_fs(url)
    # The project's datasets share the filesystem, and with it what it listed before another container wrote.
    filesystem.invalidate_cache(path)
    return filesystem, path


class _Unfinished(Protocol):
    """A file that nobody sees before it is committed."""

    def write(self, data: bytes) -> Any:
        """Take all of the bytes."""

    def commit(self) -> None:
        """Let the file appear."""

    def discard(self) -> None:
        """Leave nothing behind."""


class _LocalFile:
    """Written under a temporary name beside the file, then renamed.

    fsspec's own ``autocommit=False`` writes to the system's temporary folder, which may be on another disk.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        self._file = self._part.open("wb")
        self.write = self._file.write

    def commit(self) -> None:
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        with suppress(OSError):  # a full disk fails once more when the rest is flushed
            self._file.close()
        self._part.unlink(missing_ok=True)


class _Upload:
    """Completed only when everything is written.

    An object appears when its upload is completed, so a temporary name is not needed. A move would cost a copy, and on
    Google Cloud Storage the space of the deleted copy for the days of the bucket's soft delete (7 by default).
    """

    def __init__(self, filesystem: Any, path: str) -> None:
        self._file = filesystem.open(path, "wb", _TRANSFER_SIZE, autocommit=False)
        self.write = self._file.write

    def commit(self) -> None:
        self._file.close()
        self._file.commit()

    def discard(self) -> None:
        with suppress(Exception):  # the first error says more, and what was sent is never seen anyway
            self._file.discard()
        with suppress(Exception):  # else its finalizer would close it, later and loudly
            self._file.close()
