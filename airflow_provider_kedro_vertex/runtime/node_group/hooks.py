"""The runtime's own hooks beside the project's: they make one node group of Kedro's run a part of a larger one."""

from __future__ import annotations

import inspect
import logging
from contextlib import suppress
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.runtime.errors import MissingInputError
from airflow_provider_kedro_vertex.runtime.node_group import versions
from airflow_provider_kedro_vertex.runtime.node_group.boundary import Group, base_name, stored_url
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.store import NotStorableError, StoredDataset

_LOG = logging.getLogger(__name__)


class GroupHooks:
    """Gives the catalog what crosses the group's border, and keeps track of where the run is.

    - An undeclared dataset that crosses the border becomes a :class:`StoredDataset`.
    - A versioned dataset that the pipeline makes is loaded and saved in the run's one version, also when an earlier try
      saved that version. One that another job makes, which shares its data, is loaded in that version if it is there.

    :param level: zstd's compression level for stored datasets; None stores without compression.
    """

    def __init__(self, group: Group, context: RunContext, progress: Progress, level: int | None) -> None:
        self._group = group
        self._context = context
        self._progress = progress
        self._level = level
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._earlier: dict[str, versions.EarlierTry] = {}
        self._saved: set[str] = set()

    # Last, so that datasets which the project's own hooks add count as declared.
    @hook_impl(trylast=True)
    def after_catalog_created(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Put the stored datasets into the catalog, and pin the versions of the others.

        :raises ConfigError: a dataset is loaded under another name than it was made with, and is kept nowhere.
        """
        for name, made in self._group.transcoded.items():
            for each in (made, name):
                if is_undeclared(catalog, each):
                    raise ConfigError(
                        f"Dataset {base_name(name)!r} is made as {made!r} and loaded as {name!r}, but {each!r} is not "
                        "in the catalog, so nothing is there to be loaded under the other name.",
                        f"Declare {made!r} and {name!r} in the catalog with one filepath.",
                    )
        for name in sorted(self._group.inputs.keys() | self._group.outputs):
            if is_undeclared(catalog, name):
                _replace(catalog, name, self._stored_dataset(name))
        for name in sorted(self._group.shared_inputs):
            dataset = catalog.get(name)
            if dataset is not None:
                versions.prefer(dataset, self._context.save_version)
        for name in sorted(self._group.produced):
            dataset = catalog.get(name)
            if dataset is not None:
                versions.pin(dataset, self._context.save_version)

    def _stored_dataset(self, name: str) -> StoredDataset:
        maker = self._group.inputs.get(name)
        made_by = f"node {maker!r}" if maker else "the node that makes it"
        return StoredDataset(name, stored_url(self._context, name), self._level, made_by)

    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Refuse a run whose inputs nobody declares.

        :raises ConfigError: an input is no parameter, not in the catalog, and no node of the pipeline makes it.
        """
        self._catalog = catalog
        for name in sorted(pipeline.inputs()):
            if name in self._group.free_inputs and (name not in catalog or is_undeclared(catalog, name)):
                raise ConfigError(
                    f"Node {self._group.free_inputs[name]!r}, which makes {name!r}, is not part of this run, and "
                    f"{name!r} is not in the catalog, so nothing keeps it from one run to the next.",
                    f"Run that node too, or declare {name!r} in the catalog.",
                )
            if name not in catalog:
                raise ConfigError(
                    f"The catalog has no {name!r}, an input of the nodes {', '.join(self._group.nodes)}, and no node "
                    f"of the pipeline makes it.{did_you_mean(name, catalog.keys())}",
                    f"Declare {name!r} in the catalog of the configuration environment that this run uses.",
                )

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Note where the run is."""
        self._progress.at(node.name, dataset_name)

    @hook_impl(tryfirst=True)
    def before_node_run(self, node: Node) -> None:
        """Note where the run is."""
        self._progress.at(node.name)

    @hook_impl(tryfirst=True)
    def on_node_error(self) -> None:
        """Note that it was the node's own function that failed."""
        self._progress.node_failed()

    @hook_impl(tryfirst=True)
    def after_node_run(self, node: Node, outputs: dict[str, Any]) -> None:
        """Refuse to store what a node makes piece by piece: Kedro saves each piece, in place of the one before.

        :raises NotStorableError: an output that is stored comes from a generator.
        """
        for name, value in outputs.items():
            pieces = inspect.isgeneratorfunction(node.func) or inspect.isgenerator(value)
            if pieces and self._catalog is not None and isinstance(self._catalog[name], StoredDataset):
                raise NotStorableError(
                    f"Dataset {name!r} cannot be handed to another container: node {node.name!r} makes it piece by "
                    f"piece (with a generator), and only the last piece would be kept. Declare {name!r} in the catalog "
                    "with a type that appends, or let the node return a list."
                )

    # Last, so that nothing is put aside for a save which a hook of the project refuses.
    @hook_impl(trylast=True)
    def before_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Make room for a version that an earlier try saved."""
        self._progress.at(node.name, dataset_name)
        if dataset_name not in self._saved and self._catalog is not None:  # a generator node saves many times
            earlier = versions.put_aside(self._catalog[dataset_name])
            if earlier:
                self._earlier[dataset_name] = earlier

    @hook_impl(tryfirst=True)
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Forget what an earlier try saved."""
        self._progress.at(node.name)
        self._saved.add(dataset_name)
        if dataset_name in self._earlier:
            self._earlier.pop(dataset_name).discard()

    def recover(self, error: Exception) -> None:
        """Put back what a failed save was to replace, and say so if an input is missing.

        :raises MissingInputError: the dataset whose loading failed comes from another group and is not there.
        """
        for name, earlier in self._earlier.items():
            try:
                earlier.restore()
            except Exception:  # the next try will find it; the error that is being handled says more
                _LOG.warning("Dataset %r stays at %s for now.", name, earlier.aside, exc_info=True)
        place = self._progress.place
        missing = place.dataset
        if self._catalog is None or missing is None or missing not in self._group.inputs:
            return
        with suppress(DatasetError):  # if it cannot be told whether it exists, the first error says more
            if not self._catalog.exists(missing):
                maker = self._group.inputs[missing]
                who = f"node {maker!r}" if maker else "a task with the same data_scope"
                raise MissingInputError(
                    f"Dataset {missing!r}, an input of node {place.node!r}, is missing in run "
                    f"{self._context.run_key}: {who} should have saved it to {self._catalog[missing]}.",
                    f"Look whether somebody, or a lifecycle rule of the bucket, deleted it; then run {who} again.",
                ) from error


def _replace(catalog: CatalogProtocol[Any, Any], name: str, dataset: StoredDataset) -> None:
    """Put a dataset in the place of another, whose validator (Kedro 1.6 and later) it keeps.

    Kedro drops the validator with the dataset and has no public way to give it back, hence the private name.
    """
    validators = getattr(catalog, "_validator_specs", {})
    kept = {name: validators[name]} if name in validators else {}
    catalog[name] = dataset
    validators.update(kept)


def is_undeclared(catalog: CatalogProtocol[Any, Any], name: str) -> bool:
    """Tell whether a dataset lives in memory only: not in the catalog, or there as a MemoryDataset or the like."""
    if name not in catalog:
        return True
    # Kedro's mark of datasets that keep nothing; a CachedDataset has it too, but also saves to the dataset behind it.
    return bool(getattr(versions.behind_wrappers(catalog[name]), "_EPHEMERAL", False))
