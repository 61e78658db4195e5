"""A catalog entry that tells Vertex ML Metadata what it has saved."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DatasetError
from kedro.io.core import Version

from airflow_provider_kedro_vertex.core.project.locations import parse_location
from airflow_provider_kedro_vertex.runtime.errors import ServiceError

if TYPE_CHECKING:
    import requests

#: Scheme and host of another Vertex AI, such as a private endpoint or an emulator.
ENDPOINT_VARIABLE = "KEDRO_VERTEX_API_ENDPOINT"

#: The version of all of Vertex ML Metadata's own schemas, ``system.Dataset`` and the like.
_SCHEMA_VERSION = "0.0.1"
#: Properties of each artifact, from the variables that the runtime sets.
_OF_THE_RUN = {"run_id": "KEDRO_CONFIG_RUN_ID", "job_name": "KEDRO_CONFIG_JOB_NAME"}
_TIMEOUT = 60.0
#: Seconds to wait for a project's first metadata store, and between two looks.
_STORE_WAIT, _STORE_POLL = 300.0, 1.0


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
        endpoint = os.environ.get(ENDPOINT_VARIABLE) or f"https://{region}-aiplatform.googleapis.com"
        _register(
            endpoint.rstrip("/"), f"projects/{project_id}/locations/{region}", self._artifact_id(), self._artifact()
        )

    def _artifact(self) -> dict[str, Any]:
        return {
            "displayName": self._display_name,
            "uri": _uri(self._dataset),
            "metadata": {**_known_of_the_run(), **self.metadata},
            "state": "LIVE",
            "schemaTitle": self._schema,
            "schemaVersion": _SCHEMA_VERSION,
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


def _register(endpoint: str, location: str, artifact_id: str, artifact: Mapping[str, Any]) -> None:
    """Create the artifact, or bring it up to date (Vertex AI API v1, MetadataService).

    Every call may be repeated: the artifact's id is ours.

    :raises ConfigError: the container has no credentials.
    :raises DatasetError: Vertex AI refuses.
    :raises ServiceError: Vertex AI does not answer.
    """
    # It takes a tenth of a second, and only a run that saves such a dataset needs it.
    import requests

    from airflow_provider_kedro_vertex.runtime.google.auth import GoogleAuthError, session

    store = f"{endpoint}/v1/{location}/metadataStores"
    artifacts = f"{store}/default/artifacts"
    try:
        with session(endpoint) as http:
            create = partial(http.post, artifacts, params={"artifactId": artifact_id}, json=artifact, timeout=_TIMEOUT)
            answer = create()
            if answer.status_code == 404:
                _create_store(http, endpoint, store)
                answer = create()
            if answer.status_code == 409:
                answer = http.patch(f"{artifacts}/{artifact_id}", json=artifact, timeout=_TIMEOUT)
            _checked(answer)
    except (requests.RequestException, GoogleAuthError) as error:
        raise ServiceError(
            f"The artifact at {artifacts} cannot be registered: {type(error).__name__}: {error}"
        ) from error


def _create_store(http: requests.Session, endpoint: str, store: str) -> None:
    """Make the metadata store, as Google's own client does when a project has none yet, and wait until it is there."""
    answer = http.post(store, params={"metadataStoreId": "default"}, json={}, timeout=_TIMEOUT)
    if answer.status_code == 409:  # another container was faster, and may be waiting for it still
        ready = partial(_is_there, http, f"{store}/default")
    else:
        ready = partial(_is_done, http, f"{endpoint}/v1/{_checked(answer)['name']}")
    deadline = time.monotonic() + _STORE_WAIT
    while not ready():
        if time.monotonic() > deadline:
            raise ServiceError(f"The metadata store {store}/default was not ready after {_STORE_WAIT:.0f} s.")
        time.sleep(_STORE_POLL)


def _is_there(http: requests.Session, url: str) -> bool:
    answer = http.get(url, timeout=_TIMEOUT)
    if answer.status_code == 404:
        return False
    _checked(answer)
    return True


def _is_done(http: requests.Session, operation_url: str) -> bool:
    operation = _checked(http.get(operation_url, timeout=_TIMEOUT))
    if "error" in operation:
        raise DatasetError(f"The metadata store cannot be made: {operation['error'].get('message')}")
    return bool(operation.get("done"))


def _checked(answer: requests.Response) -> dict[str, Any]:
    told = f"{answer.request.method} {answer.url} answered {answer.status_code}: {answer.text[:500]}"
    if answer.status_code >= 500 or answer.status_code == 429:
        raise ServiceError(told)
    if answer.status_code in (401, 403):
        told += " The job's service account needs the role roles/aiplatform.user."
    if answer.status_code != 200:
        raise DatasetError(told)
    value: dict[str, Any] = answer.json()
    return value
