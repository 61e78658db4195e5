"""The catalog of a container's session below ``run_config.data_root``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from airflow_provider_kedro_vertex.configuration.data_root import below_data_root, resolved
from airflow_provider_kedro_vertex.core.errors import ConfigError


class DataRoot:
    """Lets datasets with a relative path lie below ``data_root``, instead of on the container's disk.

    What a config loader was given under a key is what it answers from then on: Kedro's own way to set configuration.

    :param root: the place, with ``${airflow:..}``.
    :param local_datasets: names and patterns of the datasets that stay where they are.
    :param names: the datasets of the run's pipelines.
    :raises ConfigError: this run has no value for a ``${airflow:..}`` of the place.
    """

    def __init__(self, root: str, local_datasets: Collection[str], names: Iterable[str]) -> None:
        self._root = resolved(root)
        self._local_datasets = local_datasets
        self._names = frozenset(names)
        self._mistaken = Path(self._root.partition("//")[0])
        self._was_there = self._mistaken.exists()

    # Last, since hooks of the project may register resolvers here.
    @hook_impl(trylast=True)
    def after_context_created(self, context: Any) -> None:
        """Change the session's catalog, before any dataset is made of it.

        :raises ConfigError: the project's own config loader does not take it.
        """
        loader = context.config_loader
        catalog = below_data_root(loader["catalog"], self._root, self._local_datasets, self._names)
        loader["catalog"] = catalog
        if loader["catalog"] != catalog:
            raise ConfigError(
                f"The project's config loader {type(loader).__name__} gives another catalog than it was given, so that "
                "run_config.data_root has no effect.",
                "Let its __getitem__ return what was set: if key in self, super().__getitem__(key).",
            )

    @hook_impl(tryfirst=True)
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Refuse a dataset whose class took the URL for a path of the container's own disk.

        :raises ConfigError: there is a folder ``gs:`` now.
        """
        if not self._was_there and self._mistaken.exists():
            raise ConfigError(
                f"Dataset {dataset_name!r} was saved on the container's own disk, in a folder {self._mistaken}/: its "
                "class takes no URL.",
                "Use a class that opens files by fsspec, or name the dataset in run_config.local_datasets.",
            )
