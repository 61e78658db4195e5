"""Storage of values that no catalog declares: a file format for any value that can be pickled, and a Kedro dataset.

A library of its own: it knows nothing of runs, node groups or Vertex AI, and nothing outside of this package uses its
modules. ``docs/store-format.md`` describes the format.

::

    with open("table.bin", "wb") as file:
        store.dump(table, file)
    with open("table.bin", "rb") as file:
        table = store.load(file)

    StoredDataset("table", "gs://bucket/table.bin").save(table)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.runtime.store.dataset import (
    CorruptDatasetError,
    NotStorableError,
    StoredDataset,
    compression_level,
)
from airflow_provider_kedro_vertex.runtime.store.file_format import DEFAULT_LEVEL, CorruptFileError
from airflow_provider_kedro_vertex.runtime.store.lazy_values import LazyValueError

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.runtime.store.reader import Readable
    from airflow_provider_kedro_vertex.runtime.store.writer import Writable

__all__ = [
    "DEFAULT_LEVEL",
    "CorruptDatasetError",
    "CorruptFileError",
    "LazyValueError",
    "NotStorableError",
    "StoredDataset",
    "compression_level",
    "dump",
    "load",
]


def dump(value: Any, file: Writable, level: int | None = DEFAULT_LEVEL) -> None:
    """Write a value to a binary file, from where it stands.

    :param level: zstd's compression level, -7 (fastest) to 22; None writes the bytes as they are.
    :raises LazyValueError: the value, or one inside of it, would be written without its data.
    :raises Exception: whatever pickling the value raises, or the file; it then ends in the middle.
    """
    # Here, and not above, as in `load`: many containers store nothing, or not before their node has run.
    from airflow_provider_kedro_vertex.runtime.store.writer import write_value

    write_value(value, file, level)


def load(file: Readable) -> Any:
    """Read a value that :func:`dump` wrote. It runs code that the file names, as every unpickling does.

    :raises CorruptFileError: the bytes are cut short, damaged or of another format. None of the damaged ones was
        unpickled.
    :raises Exception: whatever unpickling raises, for example because a class cannot be imported here; or the file.
    """
    from airflow_provider_kedro_vertex.runtime.store.reader import read_value

    return read_value(file)
