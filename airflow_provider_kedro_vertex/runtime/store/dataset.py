"""A Kedro dataset of any value that can be pickled, in a file of :mod:`.file_format`."""

from __future__ import annotations

import sys
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime import storage
from airflow_provider_kedro_vertex.runtime.storage import StorageError
from airflow_provider_kedro_vertex.runtime.store.file_format import DEFAULT_LEVEL, CorruptFileError
from airflow_provider_kedro_vertex.runtime.store.lazy_values import LazyValueError


class CorruptDatasetError(DatasetError):
    """The file is cut short, damaged, or of a format that this version does not read."""


class NotStorableError(DatasetError):
    """The value cannot be handed to another container: it cannot be pickled, or comes in pieces."""


def compression_level(text: str) -> int | None:
    """Read ``KEDRO_VERTEX_COMPRESSION``: zstd's level from -7 (fastest) to 22, ``none``, or "" for the default.

    :return: the level; None stores without compression.
    :raises ConfigError: it is none of these.
    """
    if text == "none":
        return None
    try:
        level = int(text or DEFAULT_LEVEL)
    except ValueError:
        level = sys.maxsize
    if not -7 <= level <= 22:
        raise ConfigError(f"KEDRO_VERTEX_COMPRESSION must be a level of zstd, -7 to 22, or 'none', not {text!r}.")
    return level


class StoredDataset(AbstractDataset[Any, Any]):
    """A value of any type that can be pickled, stored whole under an fsspec URL.

    A reader finds the old value or the new one, never a part of one, whatever happens to the writer. It has no
    versions, and nothing but this package reads its files.

    :param name: the dataset's name, for the messages.
    :param url: any fsspec URL or a local path.
    :param level: zstd's compression level; None stores without compression.
    :param made_by: who makes the value, for the messages.
    """

    def __init__(
        self, name: str, url: str, level: int | None = DEFAULT_LEVEL, made_by: str = "the node that makes it"
    ) -> None:
        self._name = name
        self._url = url
        self._level = level
        self._made_by = made_by

    def load(self) -> Any:
        """Load the value.

        :raises FileNotFoundError: nothing is stored; Kedro turns it into a DatasetError.
        :raises CorruptDatasetError: what is stored is not whole.
        :raises StorageError: the storage could not be reached.
        :raises DatasetError: the value cannot be rebuilt here, for example because a package is missing.
        """
        # Only here, and in save: many containers store nothing, or not before their node has run.
        from airflow_provider_kedro_vertex.runtime.store.reader import read_value

        with storage.open_for_reading(self._url) as file:
            try:
                return read_value(file)
            except CorruptFileError as error:
                raise CorruptDatasetError(
                    f"Dataset {self._name!r} cannot be loaded: the file {self._url} is damaged ({error}). Nothing of "
                    f"it was used. Run {self._made_by} again, and it is stored anew."
                ) from error
            except StorageError:
                raise
            except Exception as error:
                raise DatasetError(
                    f"Dataset {self._name!r} at {self._url} cannot be rebuilt in this container "
                    f"({type(error).__name__}: {error}). The container that stored it may have had other packages: "
                    "give the nodes that make and load it the same image."
                ) from error

    def save(self, data: Any) -> None:
        """Store a value in place of an earlier one.

        :raises NotStorableError: the value cannot be pickled, or would be without its data.
        :raises StorageError: the storage could not be reached.
        """
        from airflow_provider_kedro_vertex.runtime.store.writer import write_value

        with storage.open_for_writing(self._url) as file:
            try:
                write_value(data, file, self._level)
            except StorageError:
                raise
            except LazyValueError as error:
                raise NotStorableError(
                    f"Dataset {self._name!r} cannot be handed to another container: it is, or holds, {error}. Declare "
                    f"{self._name!r} in the catalog with a type that writes the rows (a catch-all pattern does so for "
                    "every such dataset: docs/data.md), or let the node return the rows themselves."
                ) from error
            except Exception as error:
                raise NotStorableError(
                    f"Dataset {self._name!r} cannot be handed to another container: its value, a "
                    f"{type(data).__qualname__}, cannot be pickled ({type(error).__name__}: {error}). Declare "
                    f"{self._name!r} in the catalog with a type that can save it, or let the node return something "
                    "that can be pickled, such as a list instead of a generator."
                ) from error

    def _exists(self) -> bool:
        return storage.exists(self._url)

    def _describe(self) -> dict[str, Any]:
        return {"url": self._url}
