"""Undeclared datasets in shared storage, where the other containers of the run find them."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from kedro.io import AbstractDataset, DatasetError

from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.core.identity import RunContext, temp_folder
from airflow_provider_kedro_vertex.runtime.blocks import LEVEL, DamagedError

#: How much goes over the network at once: fewer requests than with fsspec's 5 MiB, still little memory.
_TRANSFER = 8 << 20


class StorageError(DatasetError):
    """The storage could not be reached, or refused."""


class MissingInputError(KedroVertexError):
    """What another container or the Airflow side should have stored is not there."""


class DamagedDatasetError(DatasetError):
    """What is stored is cut short, damaged, or of a format that this version does not read."""


class NotStorableError(DatasetError):
    """The value cannot be handed to another container: it cannot be pickled, or comes in pieces."""


def compression(text: str) -> int | None:
    """Read how stored datasets are compressed: zstd's level from -7 (fastest) to 22, ``none``, or "" for the default.

    :raises ConfigError: it is none of these.
    """
    if text == "none":
        return None
    try:
        level = int(text or LEVEL)
    except ValueError:
        level = sys.maxsize
    if not -7 <= level <= 22:
        raise ConfigError(f"KEDRO_VERTEX_COMPRESSION must be a level of zstd, -7 to 22, or 'none', not {text!r}.")
    return level


def read_bytes(url: str, maximum: int) -> bytes:
    """Read the first bytes of a file.

    :raises FileNotFoundError: there is no such file.
    :raises StorageError: the storage could not be reached.
    """
    with _reaching(url, FileNotFoundError):
        filesystem, path = _located(url)
        data: bytes = filesystem.cat_file(path, 0, maximum)
    return data


def stored_url(context: RunContext, dataset: str) -> str:
    """Where a run keeps an undeclared dataset: the same for every container and every try of the run."""
    return f"{temp_folder(context.root, context.run_key)}/{quote(dataset, safe='')}.bin"


class StoredDataset(AbstractDataset[Any, Any]):
    """A value of any type that can be pickled, stored whole under an fsspec URL.

    It stands in the catalog for a dataset that the project does not declare. A reader finds the old value or the
    new one, never a part of one, whatever happens to the writer. It has no versions, and nothing but this class reads
    its files (:mod:`.blocks` has the format).

    :param name: the dataset's name, for the messages.
    :param url: any fsspec URL or a local path.
    :param level: zstd's compression level; None stores without compression.
    """

    def __init__(self, name: str, url: str, level: int | None = LEVEL) -> None:
        self._name = name
        self._url = url
        self._level = level

    def load(self) -> Any:
        """Load the value.

        :raises FileNotFoundError: nothing is stored; Kedro turns it into a DatasetError.
        :raises DamagedDatasetError: what is stored is not whole.
        :raises StorageError: the storage could not be reached.
        :raises DatasetError: the value cannot be rebuilt here, for example because a package is missing.
        """
        # Only here, and in save: many containers store nothing, or not before their node has run.
        from airflow_provider_kedro_vertex.runtime.loading import load

        with _reaching(self._url, FileNotFoundError):
            filesystem, path = _located(self._url)
            file = filesystem.open(path, "rb", block_size=_TRANSFER)
        with file:
            try:
                return load(_Reached(file, self._url))
            except DamagedError as error:
                raise DamagedDatasetError(
                    f"Dataset {self._name!r} at {self._url} is damaged: {error}. Run the node that makes it again."
                ) from None
            except StorageError:
                raise
            except Exception as error:
                raise DatasetError(
                    f"Dataset {self._name!r} at {self._url} cannot be rebuilt in this container "
                    f"({_described(error)}). The container that stored it may have other packages."
                ) from error

    def save(self, data: Any) -> None:
        """Store a value in place of an earlier one.

        :raises NotStorableError: the value cannot be pickled.
        :raises StorageError: the storage could not be reached.
        """
        from airflow_provider_kedro_vertex.runtime.dumping import dump

        with _reaching(self._url, DatasetError), _whole_file(self._url) as file:
            try:
                dump(data, _Reached(file, self._url), self._level)
            except StorageError:
                raise
            except Exception as error:
                raise NotStorableError(
                    f"Dataset {self._name!r} cannot be handed to another container: its value, a "
                    f"{type(data).__qualname__}, cannot be pickled ({_described(error)}). Declare {self._name!r} in "
                    "the catalog with a type that can save it, or let the node return something that can be pickled, "
                    "such as a list instead of a generator."
                ) from error

    def _exists(self) -> bool:
        filesystem, path = _located(self._url)
        return bool(filesystem.exists(path))

    def _describe(self) -> dict[str, Any]:
        return {"url": self._url}


def _located(url: str) -> tuple[Any, str]:
    filesystem, path = url_to_fs(url)
    # The project's datasets share the filesystem, and with it what it listed before another container wrote.
    filesystem.invalidate_cache(path)
    return filesystem, path


def _whole_file(url: str) -> AbstractContextManager[Any]:
    """Open for writing a file that appears under its name whole at the end, or not at all."""
    filesystem, path = _located(url)
    return _local_file(Path(path)) if isinstance(filesystem, LocalFileSystem) else _object(filesystem, path)


@contextmanager
def _local_file(path: Path) -> Iterator[Any]:
    """Write under a temporary name beside the file, then rename.

    fsspec's own ``autocommit=False`` writes to the system's temporary folder, which may be on another disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _object(filesystem: Any, path: str) -> Iterator[Any]:
    """Complete the upload only when everything is written.

    An object appears when its upload is completed, so a temporary name is not needed. A move would cost a copy, and on
    Google Cloud Storage the space of the deleted copy for the days of the bucket's soft delete (7 by default).
    """
    file = filesystem.open(path, "wb", _TRANSFER, autocommit=False)
    try:
        yield file
        file.close()
        file.commit()
    except BaseException:
        with suppress(Exception):  # the first error says more, and what was sent is never seen anyway
            file.discard()
        with suppress(Exception):  # else its finalizer would close it, later and loudly
            file.close()
        raise


class _Reached:
    """A file whose own errors become a StorageError, so that they are told from those of pickling."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url

    def read(self, size: int) -> bytes:
        with _reaching(self._url):
            data: bytes = self._file.read(size)
        return data

    def write(self, data: bytes) -> None:
        with _reaching(self._url):
            self._file.write(data)


@contextmanager
def _reaching(url: str, *passed: type[Exception]) -> Iterator[None]:
    try:
        yield
    except passed:
        raise
    except Exception as error:
        raise StorageError(f"The storage at {url} failed: {_described(error)}.") from error


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
