"""Storage of values that no catalog declares: a file format, and a Kedro dataset of it."""

from airflow_provider_kedro_vertex.runtime.store.dataset import (
    DamagedDatasetError,
    NotStorableError,
    StoredDataset,
    compression,
    stored_url,
)

__all__ = ["DamagedDatasetError", "NotStorableError", "StoredDataset", "compression", "stored_url"]
