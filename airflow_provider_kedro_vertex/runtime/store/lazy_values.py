"""Refusal of values that are pickled without their data: lazy ones, and those that a database of this process holds.

Pickled they are a kilobyte that says where the data are, which is a place that no other container has. Loading one
there fails later, in a node that did nothing wrong. A lazy value whose data every container reaches (an object store, a
server, a path below Vertex AI's mounts, or rows that travel inside of it) is stored as any other.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: Below these Vertex AI mounts buckets (Cloud Storage FUSE) and file servers, the same in every container.
_MOUNTS = ("/gcs/", "/mnt/nfs/", "/mnt/lustre/")
#: ibis' backends that run in the process, whose database may be a file or the process's memory.
_IN_PROCESS_BACKENDS = ("chdb", "datafusion", "duckdb", "polars", "sqlite")
#: polars' plans name the files that they read.
_POLARS_SOURCES = re.compile(r"SCAN \[([^\]]+)\]")


class LazyValueError(Exception):
    """A value would be stored without its data; the message says what it is."""


def refusals() -> dict[type, Callable[[Any], Any]]:
    """Give reducers for a pickler's ``dispatch_table`` that refuse lazy values without data that others reach.

    Only packages that are imported are looked at: without one of them there is no value of it.
    """
    kinds: list[tuple[Iterable[type], Callable[[Any], str | None]]] = [
        (_types("polars", "LazyFrame"), _reason_polars),
        (_types("pyarrow.dataset", "FileSystemDataset"), _reason_pyarrow),
        (_with_subclasses(_types("ibis.expr.types.core", "Expr")), _reason_ibis),
        (_with_subclasses(_types("pyspark.sql", "DataFrame")), _reason_spark),
    ]
    return {kind: _refuse_if(reason) for types, reason in kinds for kind in types}


def _types(module: str, name: str) -> list[type]:
    found = getattr(sys.modules.get(module), name, None)
    return [found] if isinstance(found, type) else []


def _with_subclasses(types: Iterable[type]) -> Iterator[type]:
    for kind in types:
        yield kind
        yield from _with_subclasses(kind.__subclasses__())


def _refuse_if(reason_of: Callable[[Any], str | None]) -> Callable[[Any], Any]:
    def reduce(value: Any) -> Any:
        reason = reason_of(value)
        if reason is not None:
            raise LazyValueError(reason)
        return value.__reduce_ex__(5)

    return reduce


def _reason_polars(frame: Any) -> str | None:
    if b"://" in frame.__getstate__():  # it reads an object store, which its plan would be asked about
        return None
    sources = _POLARS_SOURCES.findall(frame.explain(optimized=False))
    paths = [path.strip() for source in sources for path in source.split(",")]
    return _reason_local("a polars LazyFrame", paths)


def _reason_pyarrow(dataset: Any) -> str | None:
    return _reason_local("a pyarrow dataset", dataset.files) if dataset.filesystem.type_name == "local" else None


def _reason_local(what: str, paths: Iterable[str]) -> str | None:
    local = [path for path in paths if not path.startswith(_MOUNTS)]
    return f"{what} that reads {local[0]}, a file of this container" if local else None


def _reason_ibis(expression: Any) -> str | None:
    # Names without a public equal, the same in ibis 9 to 12: the public `get_backend` makes a backend where there is
    # none, and how a backend was connected is nowhere else.
    backends, _ = expression._find_backends()
    for backend in backends:
        if backend.name == "pyspark":
            return "an ibis expression of this container's Spark session"
        if backend.name not in _IN_PROCESS_BACKENDS:
            continue
        arguments, named = backend._con_args, backend._con_kwargs
        database = str(arguments[0] if arguments else named.get("database") or ":memory:")
        if not database.startswith(("md:", *_MOUNTS)) and "://" not in database:
            place = "this container's memory" if database == ":memory:" else f"{database}, a file of this container"
            return f"an ibis expression of a {backend.name} database in {place}"
    return None


def _reason_spark(_: Any) -> str:
    return "a DataFrame of this container's Spark session"
