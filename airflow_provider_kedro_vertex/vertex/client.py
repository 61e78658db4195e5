"""Vertex AI's PipelineService over REST (API v1), with the credentials of whoever calls.

Job bodies are JSON by nature, so no generated client is needed: a call costs a few milliseconds of import where
``google.cloud.aiplatform`` costs seconds. Source of paths and verbs: the REST reference of Vertex AI,
``projects.locations.pipelineJobs``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession

from airflow_provider_kedro_vertex.core.errors import (
    AlreadyExistsError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    UnavailableError,
    VertexApiError,
)

#: Seconds for one answer: connecting, and then between two bytes.
TIMEOUT = (10.0, 60.0)
#: Seconds after which a call that keeps failing is given up.
DEADLINE = 60.0
#: Seconds before the first and between later tries; the time between grows twofold and is drawn at random below it.
BACKOFF, MAX_BACKOFF = 1.0, 16.0

_CLASSES: Mapping[int, type[VertexApiError]] = {
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: AlreadyExistsError,
    429: QuotaExceededError,
    500: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


class VertexClient:
    """PipelineJobs of one project and region.

    Calls block. What is transient (no answer, 429, 5xx) is tried again with a growing, random pause until
    ``deadline`` seconds have passed; creating is safe to repeat, since a job has the id that the caller chose.

    :param project_id: Google Cloud project.
    :param region: location such as ``europe-west1``.
    :param credentials: google-auth credentials.
    :param api_endpoint: scheme and host of another Vertex AI (a private endpoint, an emulator); by default the
        region's own host in the universe of the credentials.
    :param deadline: seconds; see above.
    :raises BadRequestError, PermissionDeniedError, NotFoundError, AlreadyExistsError, QuotaExceededError,
        UnavailableError: see :mod:`airflow_provider_kedro_vertex.core.errors`.
    """

    def __init__(
        self,
        project_id: str,
        region: str,
        credentials: Credentials,
        api_endpoint: str | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self.project_id = project_id
        self.region = region
        self.parent = f"projects/{project_id}/locations/{region}"
        self.endpoint = (api_endpoint or _endpoint(region, credentials)).rstrip("/")
        self._deadline = deadline
        self._session = AuthorizedSession(credentials)

    def create_pipeline_job(self, job_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a PipelineJob with the id that the caller chose; return it.

        :raises AlreadyExistsError: a job of this id exists, perhaps made by this very call when its answer got lost.
        """
        return self._call("POST", f"{self.parent}/pipelineJobs", query={"pipelineJobId": job_id}, body=body)

    def get_pipeline_job(self, name: str) -> dict[str, Any]:
        """Read a PipelineJob with its task details.

        :param name: resource name, ``projects/../locations/../pipelineJobs/..``.
        """
        return self._call("GET", name)

    def list_pipeline_jobs(
        self, filter: str, read_mask: str | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Read all PipelineJobs that match, page by page, the newest first. They come without task details.

        :param filter: Vertex AI's filter language, such as ``labels.kedro-pipeline=training``.
        :param read_mask: the fields to read, comma separated; None reads all that a list has.
        """
        query = {"filter": filter, "pageSize": str(page_size), "orderBy": "create_time desc"}
        if read_mask is not None:
            query["readMask"] = read_mask
        while True:
            page = self._call("GET", f"{self.parent}/pipelineJobs", query=query)
            yield from page.get("pipelineJobs", [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def cancel_pipeline_job(self, name: str) -> None:
        """Ask that a PipelineJob be cancelled; it ends some time later. A job that has ended stays as it is."""
        try:
            self._call("POST", f"{name}:cancel", body={})
        except BadRequestError:
            # FAILED_PRECONDITION: it ended in the meantime, which is what was wanted.
            if "endTime" not in self.get_pipeline_job(name):
                raise

    def delete_pipeline_job(self, name: str) -> None:
        """Delete a PipelineJob that has ended."""
        self._call("DELETE", name)

    def _call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        started, pause = time.monotonic(), BACKOFF
        while True:
            try:
                return self._try(method, path, query, body)
            except (QuotaExceededError, UnavailableError):
                wait = random.uniform(pause / 2, pause)  # noqa: S311 - spreads load, guards nothing
                if time.monotonic() + wait - started > self._deadline:
                    raise
                time.sleep(wait)
                pause = min(pause * 2, MAX_BACKOFF)

    def _try(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        url = f"{self.endpoint}/v1/{path}"
        try:
            answer = self._session.request(method, url, params=query, json=body, timeout=TIMEOUT)
        except (requests.ConnectionError, requests.Timeout, TransportError) as error:
            raise UnavailableError(
                f"Vertex AI does not answer at {self.endpoint} ({_reason(error)}). "
                "Check the network, and api_endpoint in the connection's extra."
            ) from None
        except GoogleAuthError as error:
            raise PermissionDeniedError(f"Google credentials do not work for {self.endpoint}: {error}") from None
        if answer.ok:
            return _object(answer)
        raise _error(method, path, answer)


def _endpoint(region: str, credentials: Credentials) -> str:
    host = "aiplatform" if region == "global" else f"{region}-aiplatform"
    return f"https://{host}.{getattr(credentials, 'universe_domain', 'googleapis.com')}"


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnavailableError(
            f"{answer.url} gave no Vertex AI answer (status {answer.status_code}, {answer.text[:80]!r}). "
            "Check api_endpoint in the connection's extra.",
            answer.status_code,
        )
    return value


def _error(method: str, path: str, answer: requests.Response) -> VertexApiError:
    try:
        message = answer.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = answer.text.strip()[:500] or answer.reason
    kind = _CLASSES.get(answer.status_code, BadRequestError)
    return kind(f"Vertex AI refused {method} {path} with status {answer.status_code}: {message}", answer.status_code)


def _reason(error: Exception) -> str:
    """The last cause of a chain of wrapped network errors, in a few words."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or cause.__cause__ or cause.__context__) is not None:
        if not isinstance(inner, BaseException):
            return str(inner)
        cause = inner
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
