"""The catalog of a container's session below ``run_config.data_root``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from airflow_provider_kedro_vertex.configuration.data_root import NESTED_KEYS, PATH_KEYS, below_data_root, resolved
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.errors import MissingInputError


class DataRoot:
    """Lets datasets with a relative path lie below ``data_root``, instead of on the container's disk.

    What a config loader was given under a key is what it answers from then on: Kedro's own way to set configuration.

    :param root: the place, with ``${airflow:..}``.
    :param local_datasets: names and patterns of the datasets that stay where they are.
    :param names: the datasets of the run's pipelines.
    :param inputs: those of them that no node of the pipelines makes.
    :raises ConfigError: this run has no value for a ``${airflow:..}`` of the place.
    """

    def __init__(
        self, root: str, local_datasets: Collection[str], names: Collection[str], inputs: Collection[str]
    ) -> None:
        self._root = resolved(root)
        self._local_datasets = local_datasets
        self._names = names
        self._inputs = inputs
        self._catalog: Any = None
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

    @hook_impl(trylast=True)
    def before_pipeline_run(self, catalog: Any) -> None:
        """Keep the catalog, to tell of a failure what is not there."""
        self._catalog = catalog

    def explain(self, name: str | None) -> None:
        """Say of a dataset whose loading failed that it was never brought to the place.

        :raises MissingInputError: it lies below the place, no node of the run makes it, and it is not there.
        """
        if name is None or name not in self._inputs or self._catalog is None:
            return
        url = None
        with suppress(Exception):  # if it cannot be told whether it exists, the first error says more
            if not self._catalog.exists(name):
                url = self._place_of(name)
        if url is not None:
            raise MissingInputError(
                f"Dataset {name!r}, which no node of this run makes, is not at {url}.",
                "An input of the project is uploaded by kedro vertex push-data, or stays in the image if "
                "run_config.local_datasets names it; for another, run the pipeline that makes it.",
            )

    def _place_of(self, name: str) -> str | None:
        entry: Any = self._catalog.config_resolver.resolve_pattern(name)
        while isinstance(entry, Mapping):
            for key in PATH_KEYS:
                if str(entry.get(key)).startswith(f"{self._root}/"):
                    return str(entry[key])
            entry = next((entry[key] for key in NESTED_KEYS if isinstance(entry.get(key), Mapping)), None)
        return None

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
