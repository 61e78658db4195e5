"""Joins a container to the one experiment run of its run key; imported only where an experiment is asked for.

In the form in which Google's SDK keeps and reads experiments (google-cloud-aiplatform 2.7, ``metadata/``), in the
metadata store ``default``:

- the experiment is a context of the schema ``system.Experiment``;
- its run is a context of the schema ``system.ExperimentRun`` in it, with the id ``<experiment>-<run>`` and the display
  name ``<run>``; its metadata has ``_params``, ``_metrics`` and ``_state``, and here ``kedro_vertex``, the tags of
  :mod:`.run_status`, of which the state is a function;
- a PipelineJob is a context of the schema ``system.PipelineRun``, which Vertex AI makes with the job's id. It is put
  into the run, and with it the executions of the nodes and their artifacts.

Containers write side by side: each reads the run, changes its own part, and writes it back only if nobody else has
changed it meanwhile (``etag``); otherwise it does so again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.runtime import run_status as states
from airflow_provider_kedro_vertex.runtime.errors import ServiceError
from airflow_provider_kedro_vertex.runtime.experiment import values
from airflow_provider_kedro_vertex.runtime.experiment.experiment import Experiment
from airflow_provider_kedro_vertex.runtime.google.metadata_store import (
    SCHEMA_VERSION,
    ChangedError,
    MetadataStore,
    RefusedError,
    open_store,
)
from airflow_provider_kedro_vertex.runtime.node_group.versions import behind_wrappers
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.run_status import Part

_LOG = logging.getLogger(__name__)

#: A container must not wait long for what is not its work: seconds for an answer, and how often a call is made again.
_TIMEOUT, _TRIES = 15.0, 2
#: How often a change is tried that others come before, and the longest pause between two tries in seconds.
_CHANGES, _PAUSE = 30, 1.0

#: The states of an experiment's run (``Execution.State`` of the API), by those of MLflow.
_STATES = {
    states.RUNNING: "RUNNING",
    states.FINISHED: "COMPLETE",
    states.FAILED: "FAILED",
    states.KILLED: "CANCELLED",
}
_PARAMS, _METRICS, _STATE, _TAGS = "_params", "_metrics", "_state", "kedro_vertex"


class ExperimentRun:
    """A Kedro hook that notes metrics, and what tells the experiment of the container's begin and end.

    Nothing here raises: what the nodes make counts more than what an experiment shows of it.

    :param params: Kedro's runtime parameters, nested.
    """

    def __init__(
        self,
        experiment: Experiment,
        part: Part,
        context: RunContext,
        progress: Progress,
        params: Mapping[str, Any],
    ) -> None:
        self._experiment = experiment
        self._part = part
        self._context = context
        self._progress = progress
        self._params = values.parameters(params)
        self._metrics: dict[str, values.Value] = {}
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._run_id = f"{experiment.id}-{context.run_key}"
        self._refused = False

    @hook_impl(trylast=True)
    def before_pipeline_run(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Keep the catalog, which knows what the datasets are."""
        self._catalog = catalog

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note the numbers of a metrics dataset."""
        try:
            dataset = self._catalog.get(dataset_name) if self._catalog is not None else None
            if values.are_metrics(dataset_name, dataset and behind_wrappers(dataset)):
                self._metrics |= values.metrics(dataset_name, data)
        except Exception:  # the data is saved: nothing that a library says of it may fail the node
            _LOG.debug("The numbers of dataset %r are not read.", dataset_name, exc_info=True)

    def began(self) -> None:
        """Make what is not there yet, and tell the parameters."""
        removed = dict.fromkeys(self._part.all_tags - set(self._part.tags))
        if self._write({**removed, **self._part.begun(self._context.job_id)}):
            page = (
                f"https://console.cloud.google.com/vertex-ai/experiments/locations/{self._context.region}/experiments/"
                f"{self._experiment.id}/runs?project={self._context.project_id}"
            )
            print(f"This is run {self._context.run_key} of the Vertex AI experiment {self._experiment.id}: {page}")

    def ended(self, error: BaseException | None) -> None:
        """Tell the metrics, and how the nodes have ended.

        :param error: what ended them; None if they are done.
        """
        self._write(self._part.ended(error, self._progress.place.node))

    def _write(self, tags: Mapping[str, str | None]) -> bool:
        context = self._context
        if self._refused:
            return False
        try:
            if context.project_id is None or context.region is None:
                raise RefusedError("the run names no project and region.")
            with open_store(context.project_id, context.region, _TIMEOUT, _TRIES) as store:
                self._change(store, tags)
        except Exception as error:
            # Out of reach now may be another thing at the end. A refusal, or no credentials, is said once.
            self._refused = not isinstance(error, ServiceError | ChangedError)
            told = str(error) if isinstance(error, KedroVertexError) else f"{type(error).__name__}: {error}"
            _LOG.warning(
                "Run %s of the Vertex AI experiment %s does not show what this container did: %s The nodes are not "
                "affected.",
                *(context.run_key, self._experiment.id, told),
            )
            return False
        return True

    def _change(self, store: MetadataStore, tags: Mapping[str, str | None]) -> None:
        self._join(store)
        for left in reversed(range(_CHANGES)):
            found = store.find("contexts", self._run_id)
            if found is None:
                raise RefusedError(f"somebody deleted the context {self._run_id}.")
            try:
                store.update("contexts", self._run_id, {**found, "metadata": self._changed(found, tags)})
            except ChangedError:
                if not left:
                    raise
                time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - so that those who collide part
            else:
                return

    def _changed(self, found: Mapping[str, Any], tags: Mapping[str, str | None]) -> dict[str, Any]:
        """The run's metadata with this container's part. A tag that is to go is emptied: a server may merge."""
        before = found.get("metadata") or {}
        marks = {**before.get(_TAGS, {}), **{name: value or "" for name, value in tags.items()}}
        return {
            **before,
            _PARAMS: {**before.get(_PARAMS, {}), **self._params},
            _METRICS: {**before.get(_METRICS, {}), **self._metrics},
            _STATE: _STATES[states.status(marks, self._part.last_tags)],
            _TAGS: {name: value for name, value in marks.items() if value or name in before.get(_TAGS, {})},
        }

    def _join(self, store: MetadataStore) -> None:
        """Make the experiment and its run, and put the PipelineJob into the run, unless they are there."""
        run = store.find("contexts", self._run_id)
        if run is None or f"contexts/{self._experiment.id}" not in _parents(run):
            self._create(store)
        job = store.find("contexts", self._context.job_id)  # a CustomJob has none
        if job is not None and f"contexts/{self._run_id}" not in _parents(job):
            store.add_children(self._run_id, [self._context.job_id])

    def _create(self, store: MetadataStore) -> None:
        experiment, context = self._experiment, self._context
        _create_context(
            store,
            experiment.id,
            "system.Experiment",
            experiment.id,
            experiment.description,
            # What the console filters by.
            {"experiment_deleted": False},
        )
        found = store.find("contexts", experiment.id) or {}
        if found.get("schemaTitle") != "system.Experiment":
            raise RefusedError(
                f"the context {experiment.id} is no experiment, but {found.get('schemaTitle')!r}.",
                "Set run_config.experiment_name to another name.",
            )
        scope = f", {context.data_scope}" if context.data_scope else ""
        _create_context(
            store,
            self._run_id,
            "system.ExperimentRun",
            context.run_key,
            f"Airflow DAG {context.dag_id}, run {context.run_id}{scope}",
            {_PARAMS: {}, _METRICS: {}, _STATE: "RUNNING"},
        )
        store.add_children(experiment.id, [self._run_id])


def _create_context(
    store: MetadataStore, node_id: str, schema: str, name: str, description: str | None, metadata: Mapping[str, Any]
) -> None:
    body = {
        "displayName": name,
        "schemaTitle": schema,
        "schemaVersion": SCHEMA_VERSION,
        "description": description or "",
        "metadata": metadata,
    }
    store.create("contexts", "contextId", node_id, body)


def _parents(context: Mapping[str, Any]) -> set[str]:
    """The contexts that it is in, without the store's name: the API may tell a project by its number."""
    return {"/".join(name.rsplit("/", 2)[-2:]) for name in context.get("parentContexts", [])}
