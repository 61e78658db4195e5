"""The metadata store ``default`` of a project and region: Vertex AI API v1, MetadataService.

Every call may be repeated: the ids of what is made here are the caller's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.runtime.errors import ServiceError
from airflow_provider_kedro_vertex.runtime.google.auth import TRIES, GoogleAuthError, session

#: Scheme and host of another Vertex AI, such as a private endpoint or an emulator.
ENDPOINT_VARIABLE = "KEDRO_VERTEX_API_ENDPOINT"
#: The version of all of Vertex ML Metadata's own schemas, ``system.Dataset`` and the like.
SCHEMA_VERSION = "0.0.1"

_TIMEOUT = 60.0
#: Seconds to wait for a project's first metadata store, and between two looks.
_STORE_WAIT, _STORE_POLL = 300.0, 1.0


class RefusedError(KedroVertexError):
    """Vertex AI refuses a call, and would refuse it again."""


class ChangedError(KedroVertexError):
    """Another one has changed what was to be changed since it was read."""


class MetadataStore:
    """The calls. Each raises :class:`.ServiceError` if there is no answer, and :class:`RefusedError`.

    :param http: signs the requests.
    :param endpoint: scheme and host.
    :param location: ``projects/PROJECT/locations/REGION``.
    :param timeout: seconds for one answer.
    """

    def __init__(self, http: requests.Session, endpoint: str, location: str, timeout: float = _TIMEOUT) -> None:
        self._http = http
        self._endpoint = endpoint
        self._stores = f"{endpoint}/v1/{location}/metadataStores"
        self.name = f"{location}/metadataStores/default"
        self._timeout = timeout

    def create(self, collection: str, field: str, node_id: str, node: Mapping[str, Any]) -> bool:
        """Make an artifact or a context, and the store if the project has none yet.

        :param collection: ``artifacts`` or ``contexts``.
        :param field: the query's field with the id, ``artifactId`` or ``contextId``.
        :return: whether it was made; False if one of this id is there.
        """
        make = partial(self._call, "POST", f"{self._stores}/default/{collection}", {field: node_id}, node)
        answer = make()
        if answer.status_code == 404:
            self._create_store()
            answer = make()
        if answer.status_code == 409:
            return False
        _checked(answer)
        return True

    def find(self, collection: str, node_id: str) -> dict[str, Any] | None:
        """Read an artifact or a context; None if there is none."""
        answer = self._call("GET", self._url(collection, node_id))
        return None if answer.status_code == 404 else _checked(answer)

    def update(self, collection: str, node_id: str, node: Mapping[str, Any]) -> None:
        """Bring it up to date.

        :param node: all of it; with the ``etag`` that was read, if nobody else's change is to be lost.
        :raises ChangedError: it has another ``etag`` by now.
        """
        answer = self._call("PATCH", self._url(collection, node_id), body=node)
        if "etag" in node and (answer.status_code == 409 or (answer.status_code == 400 and "etag" in answer.text)):
            raise ChangedError(_told(answer))
        _checked(answer)

    def add_children(self, context_id: str, children: Sequence[str]) -> None:
        """Put contexts into another one; those that are in it stay.

        :param children: their ids.
        """
        names = [f"{self.name}/contexts/{child}" for child in children]
        url = f"{self._url('contexts', context_id)}:addContextChildren"
        _checked(self._call("POST", url, body={"childContexts": names}))

    def _url(self, collection: str, node_id: str) -> str:
        return f"{self._stores}/default/{collection}/{node_id}"

    def _call(
        self, method: str, url: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> requests.Response:
        return self._http.request(method, url, params=query, json=body, timeout=self._timeout)

    def _create_store(self) -> None:
        """Make the store, as Google's own client does when a project has none yet, and wait until it is there."""
        answer = self._call("POST", self._stores, {"metadataStoreId": "default"}, {})
        ready: Callable[[], bool]
        if answer.status_code == 409:  # another container was faster, and may be waiting for it still
            ready = self._is_there
        else:
            ready = partial(self._is_done, f"{self._endpoint}/v1/{_checked(answer)['name']}")
        deadline = time.monotonic() + _STORE_WAIT
        while not ready():
            if time.monotonic() > deadline:
                raise ServiceError(f"The metadata store {self.name} was not ready after {_STORE_WAIT:.0f} s.")
            time.sleep(_STORE_POLL)

    def _is_there(self) -> bool:
        answer = self._call("GET", f"{self._stores}/default")
        if answer.status_code == 404:
            return False
        _checked(answer)
        return True

    def _is_done(self, operation_url: str) -> bool:
        operation = _checked(self._call("GET", operation_url))
        if "error" in operation:
            raise RefusedError(f"The metadata store cannot be made: {operation['error'].get('message')}")
        return bool(operation.get("done"))


@contextmanager
def open_store(project_id: str, region: str, timeout: float = _TIMEOUT, tries: int = TRIES) -> Iterator[MetadataStore]:
    """Reach the store of a project and region with the container's own credentials.

    :param timeout: seconds for one answer.
    :param tries: how often a call without an answer is made again.
    :raises ConfigError: the container has no credentials.
    :raises ServiceError: Vertex AI does not answer.
    """
    endpoint = (os.environ.get(ENDPOINT_VARIABLE) or f"https://{region}-aiplatform.googleapis.com").rstrip("/")
    try:
        with session(endpoint, tries) as http:
            yield MetadataStore(http, endpoint, f"projects/{project_id}/locations/{region}", timeout)
    except (requests.RequestException, GoogleAuthError) as error:
        raise ServiceError(f"{type(error).__name__}: {error}") from error


def _checked(answer: requests.Response) -> dict[str, Any]:
    told = _told(answer)
    if answer.status_code >= 500 or answer.status_code == 429:
        raise ServiceError(told)
    if answer.status_code in (401, 403):
        raise RefusedError(told, "The job's service account needs the role roles/aiplatform.user.")
    if answer.status_code != 200:
        raise RefusedError(told)
    value: dict[str, Any] = answer.json()
    return value


def _told(answer: requests.Response) -> str:
    return f"{answer.request.method} {answer.url} answered {answer.status_code}: {answer.text[:500]}"
