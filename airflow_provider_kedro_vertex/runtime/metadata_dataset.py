"""A catalog entry that tells Vertex ML Metadata what it has saved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DatasetError
from kedro.io.core import Version

from airflow_provider_kedro_vertex.core.project.locations import parse_location
from airflow_provider_kedro_vertex.runtime.errors import ServiceError

#: Properties of each artifact, from the variables that the runtime sets.
_OF_THE_RUN = {"run_id": "KEDRO_CONFIG_RUN_ID", "job_name": "KEDRO_CONFIG_JOB_NAME"}


class KedroVertexAIMetadataDataset(AbstractDataset[Any, Any]):
    """Saves and loads with another dataset, and registers what it saves as an artifact in Vertex ML Metadata.

    The artifact is in the metadata store ``default`` of the project and region in ``GCP_PROJECT_ID`` and
    ``GCP_REGION``, which the runtime sets to the job's. One run makes one artifact for each place that it saves to: a
    retry updates it. Its properties tell the run's key and the job (``run_id``, ``job_name``), where they are known.
    The keys are kedro-vertexai's::

        companies:
          type: kedro_vertexai.vertex_ai.datasets.KedroVertexAIMetadataDataset
          base_dataset: pandas.CSVDataset
          display_name: companies
          schema: system.Dataset
          base_dataset_args:
            filepath: gs://bucket/companies.csv
          metadata:
            source: crm

    :param base_dataset: the type of the other dataset, as a catalog entry names it.
    :param display_name: the artifact's name in the console, at most 128 characters.
    :param base_dataset_args: the other keys of its catalog entry; ``versioned`` may be among them.
    :param metadata: further properties of the artifact; any JSON values.
    :param schema: the title of the artifact's schema in Vertex ML Metadata, such as ``system.Model``.
    :param version: given by Kedro if ``versioned`` stands beside ``type``.
    """

    def __init__(
        self,
        base_dataset: str,
        display_name: str,
        base_dataset_args: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        schema: str = "system.Dataset",
        version: Version | None = None,
    ) -> None:
        config = {**(base_dataset_args or {}), "type": base_dataset}
        if version is not None:
            config["versioned"] = True
        load, save = (version.load, version.save) if version else (None, None)
        self._dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config(display_name, config, load, save)
        self._display_name = display_name
        self._base_dataset = base_dataset
        self._schema = schema
        self.metadata = dict(metadata or {})

    def load(self) -> Any:
        """Load with the other dataset."""
        return self._dataset.load()

    def save(self, data: Any) -> None:
        """Save with the other dataset, then register the artifact.

        :raises DatasetError: no project or region is set (then nothing is saved), or Vertex AI refuses the artifact or
            does not answer.
        """
        project_id, region = (_variable(name) for name in ("GCP_PROJECT_ID", "GCP_REGION"))
        self._dataset.save(data)
        _register(project_id, region, self._artifact_id(), self._artifact())

    def _artifact(self) -> dict[str, Any]:
        return {
            "displayName": self._display_name,
            "uri": _uri(self._dataset),
            "metadata": {**_known_of_the_run(), **self.metadata},
            "state": "LIVE",
            "schemaTitle": self._schema,
        }

    def _artifact_id(self) -> str:
        """The same in each try of a run: 4 to 128 characters of ``[a-z0-9-]`` (CreateArtifactRequest.artifact_id)."""
        digest = hashlib.sha256(f"{self._display_name}\0{_uri(self._dataset)}".encode()).hexdigest()[:16]
        return "-".join(filter(None, ("kedro", os.environ.get("KEDRO_CONFIG_RUN_ID"), digest)))

    def _exists(self) -> bool:
        return self._dataset.exists()

    def _release(self) -> None:
        self._dataset.release()

    def _describe(self) -> dict[str, Any]:
        return {
            "base_dataset": self._base_dataset,
            "display_name": self._display_name,
            "artifact_uri": _uri(self._dataset),
        }


def _known_of_the_run() -> dict[str, str]:
    return {name: value for name, variable in _OF_THE_RUN.items() if (value := os.environ.get(variable))}


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if value:
        return value
    raise DatasetError(
        f"{name} is not set, so the artifact cannot be registered in Vertex ML Metadata. A run on Vertex AI sets it; "
        "elsewhere set it yourself, or give the dataset another type in that environment's catalog."
    )


def _uri(dataset: Any) -> str:
    """Give the URI where a dataset saves, as it may be shown; "" for one that keeps its data in no file."""
    filepath = getattr(dataset, "_filepath", None)
    if filepath is None:
        return ""
    version = dataset.resolve_save_version() if isinstance(dataset, AbstractVersionedDataset) else None
    path = str(dataset._get_versioned_path(version) if version else filepath)
    protocol = getattr(dataset, "_protocol", "file")
    uri = path if "://" in path else f"{'gs' if protocol == 'gcs' else protocol}://{path}"
    return uri if protocol == "file" else parse_location(uri).shown or ""


def _register(project_id: str, region: str, artifact_id: str, artifact: Mapping[str, Any]) -> None:
    """Create the artifact, or bring it up to date.

    :raises ConfigError: the container has no credentials.
    :raises DatasetError: Vertex AI refuses.
    :raises ServiceError: Vertex AI does not answer.
    """
    # It takes a tenth of a second, and only a run that saves such a dataset needs it.
    from airflow_provider_kedro_vertex.runtime.google.metadata_store import SCHEMA_VERSION, RefusedError, open_store

    artifact = {**artifact, "schemaVersion": SCHEMA_VERSION}
    try:
        with open_store(project_id, region) as store:
            if not store.create("artifacts", "artifactId", artifact_id, artifact):
                store.update("artifacts", artifact_id, artifact)
    except RefusedError as error:
        raise DatasetError(f"The artifact {artifact_id} cannot be registered: {error}") from error
    except ServiceError as error:
        raise ServiceError(f"The artifact {artifact_id} cannot be registered: {error}") from error
