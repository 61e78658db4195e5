"""The hook that tells in the container's log what was saved; see :mod:`.core.jobs.saved`."""

from __future__ import annotations

import logging
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from airflow_provider_kedro_vertex.core.jobs.saved import NAME_LENGTH, Saved, to_line
from airflow_provider_kedro_vertex.runtime.node_group.hooks import is_undeclared
from airflow_provider_kedro_vertex.runtime.store import StoredDataset

_LOG = logging.getLogger(__name__)


class SavedData:
    """Notes columns, types and rows of what the catalog's datasets save, and writes them as one line at the end."""

    def __init__(self) -> None:
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._saved: dict[str, Saved] = {}

    @hook_impl(trylast=True)
    def before_pipeline_run(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Keep the catalog, which knows what stays in the run."""
        self._catalog = catalog

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note what was saved."""
        catalog = self._catalog
        if catalog is None or is_undeclared(catalog, dataset_name) or isinstance(catalog[dataset_name], StoredDataset):
            return
        try:
            saved = describe(data)
        except Exception:  # the data is saved: nothing that a library says of it may fail the node
            _LOG.debug("Dataset %r is not described.", dataset_name, exc_info=True)
            return
        if dataset_name in self._saved:  # a generator's next piece: whether it was appended is the dataset's business
            self._saved[dataset_name] = Saved(None, saved.columns)
        elif saved != Saved():
            self._saved[dataset_name] = saved

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Write the line."""
        if self._saved:
            print(to_line(self._saved), flush=True)


def describe(data: Any) -> Saved:
    """Tell the columns and rows of data, as far as it knows them itself: nothing is read or computed for it."""
    library, kind = type(data).__module__.partition(".")[0], type(data).__name__
    if library == "pandas" and kind == "DataFrame":
        return Saved(len(data), _columns(data.dtypes.items()))
    if library == "pandas" and kind == "Series":
        return Saved(len(data), _columns([(data.name or "0", data.dtype)]))
    if library == "polars" and kind == "DataFrame":
        return Saved(data.height, _columns(data.schema.items()))
    if library == "pyarrow" and kind == "Table":
        return Saved(data.num_rows, _columns((field.name, field.type) for field in data.schema))
    if library == "pyspark" and kind == "DataFrame":
        return Saved(None, _columns(data.dtypes))
    if isinstance(data, list | tuple):
        return Saved(len(data))
    return Saved()


def _columns(columns: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name)[:NAME_LENGTH], str(kind)[:NAME_LENGTH]) for name, kind in columns)
