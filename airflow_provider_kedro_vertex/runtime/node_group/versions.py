"""One version of each versioned dataset for each run, also when a node is tried again.

Kedro saves a version once and loads the latest. A run on Vertex AI is many processes, beside other runs: each must load
what its own run saved, and a second try must be able to save what the first one did.

Kedro has no public way to do either on a catalog that exists (``DataCatalog.get(name, version=...)`` gives a copy, and
putting that back would drop the dataset's validators), so this module touches these private names, the same in
Kedro 1.0 to 1.7: ``AbstractVersionedDataset._version`` and ``._get_versioned_path``,
``CachedDataset._dataset``, and ``_fs``, the attribute in which kedro-datasets keep their fsspec filesystem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset, Version

from airflow_provider_kedro_vertex.runtime.metadata_dataset import KedroVertexAIMetadataDataset


def behind_wrappers(dataset: AbstractDataset[Any, Any]) -> AbstractDataset[Any, Any]:
    """The dataset that a ``CachedDataset`` fills, or whose saves are registered, or the dataset itself."""
    while isinstance(dataset, (CachedDataset, KedroVertexAIMetadataDataset)):
        dataset = dataset._dataset
    return dataset


def pin(dataset: AbstractDataset[Any, Any], version: str) -> None:
    """Load and save this version from now on; a dataset without versions stays as it is."""
    dataset = behind_wrappers(dataset)
    if isinstance(dataset, AbstractVersionedDataset) and dataset._version:
        dataset._version = Version(load=version, save=version)


def prefer(dataset: AbstractDataset[Any, Any], version: str) -> None:
    """Load this version if it is there, and otherwise what would be loaded anyway."""
    dataset = behind_wrappers(dataset)
    if not isinstance(dataset, AbstractVersionedDataset) or not dataset._version:
        return
    before = dataset._version
    dataset._version = Version(load=version, save=before.save)
    if not dataset.exists():
        dataset._version = before


@dataclass(frozen=True)
class EarlierTry:
    """A version that an earlier try of this run saved, put aside while this try saves the same one."""

    filesystem: Any
    path: str
    aside: str

    def discard(self) -> None:
        """Forget it: the new one is saved."""
        _remove(self.filesystem, self.aside)

    def restore(self) -> None:
        """Put it back: the new one could not be saved."""
        if self.filesystem.exists(self.path):
            _remove(self.filesystem, self.path)
        _move(self.filesystem, self.aside, self.path)


def put_aside(dataset: AbstractDataset[Any, Any]) -> EarlierTry | None:
    """Make room for a save where Kedro refuses to overwrite a version.

    :return: what was there; None if there is nothing, if the dataset has no versions, or if it keeps its data elsewhere
        than in an fsspec filesystem: then saving it a second time is up to the dataset.
    """
    dataset = behind_wrappers(dataset)
    filesystem = getattr(dataset, "_fs", None)
    if not isinstance(dataset, AbstractVersionedDataset) or filesystem is None:
        return None
    version = dataset.resolve_save_version()
    if version is None:
        return None
    filesystem.invalidate_cache()  # it may have listed the folder before an earlier try wrote
    path = dataset._get_versioned_path(version)
    earlier = EarlierTry(filesystem, str(path), str(path.with_name(f"replaced-{path.name}")))
    if not filesystem.exists(str(path.parent)):
        return None
    if filesystem.exists(earlier.aside):
        # A try was killed while it saved: what it put aside was whole before, what it was saving may not be.
        if filesystem.exists(earlier.path):
            _remove(filesystem, earlier.path)
    elif filesystem.exists(earlier.path):
        _move(filesystem, earlier.path, earlier.aside)
    else:
        return None
    return earlier


def _move(filesystem: Any, source: str, target: str) -> None:
    # Not `mv`: gcsfs moves with a call that storage emulators lack, after half a minute of trying.
    filesystem.copy(source, target, recursive=filesystem.isdir(source))
    _remove(filesystem, source)


def _remove(filesystem: Any, path: str) -> None:
    # Not recursive for a file: gcsfs of 2024 then removes all whose names begin alike.
    filesystem.rm(path, recursive=filesystem.isdir(path))
    filesystem.invalidate_cache()
