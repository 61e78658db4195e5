"""Vertex AI's jobs, their log entries and small objects over REST, with the credentials of whoever calls.

Job bodies are JSON by nature, so no generated client is needed: a call costs a few milliseconds of import where
``google.cloud.aiplatform`` costs seconds. Source of paths and verbs: the REST references of Vertex AI v1
(``projects.locations.pipelineJobs`` and ``.customJobs``), Cloud Logging v2 (``entries.list``) and Cloud Storage's JSON
API v1 (``objects.insert``, ``.list`` and ``.delete``).
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession

from airflow_provider_kedro_vertex.core.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConfigError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    UnavailableError,
    VertexApiError,
)
from airflow_provider_kedro_vertex.core.jobs.api import Job, JobBody, LogEntry

#: Seconds to connect, and then between two bytes of an answer.
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
#: Seconds after which a call that keeps failing is given up.
DEADLINE = 60.0
#: Seconds before the first and between later tries; the time between grows twofold and is drawn at random below it.
BACKOFF, MAX_BACKOFF = 1.0, 16.0
#: Log entries on one page (the largest that Cloud Logging gives), and jobs on one page (the largest of Vertex AI).
LOG_PAGE, JOB_PAGE = 1000, 100

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")

#: The kinds of job, as their resource names have them.
Collection = Literal["pipelineJobs", "customJobs"]

_BY_STATUS: Mapping[int, type[VertexApiError]] = {
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: UnavailableError,
    409: AlreadyExistsError,
    429: QuotaExceededError,
    500: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
#: Google's own code, where it says more than the HTTP status: 409 is ABORTED too, and 403 a used up quota.
_BY_CODE: Mapping[str, type[VertexApiError]] = {
    "ABORTED": UnavailableError,
    "RESOURCE_EXHAUSTED": QuotaExceededError,
}


@dataclass(frozen=True)
class Endpoints:
    """Where the services are: a host or ``scheme://host``, such as a private endpoint or an emulator.

    None is Google's public service, in the universe of the credentials.

    :param vertex: Vertex AI.
    :param logging: Cloud Logging.
    :param storage: Cloud Storage.
    """

    vertex: str | None = None
    logging: str | None = None
    storage: str | None = None

    def refuse_plain_text(self) -> None:
        """Let no credentials travel in plain text to another machine.

        :raises ConfigError: one of the addresses is ``http://`` and not of this machine, or is no address.
        """
        for address in filter(None, (self.vertex, self.logging, self.storage)):
            try:
                in_plain_text = urlsplit(address).scheme == "http" and not is_emulator(address)
            except ValueError as error:
                raise ConfigError(f"{address!r:.200} is no address: {error}.") from None
            if in_plain_text:
                raise ConfigError(
                    f"{address} would be sent your credentials in plain text.",
                    "Give an https:// address; http:// is for an emulator on this machine.",
                )


def is_emulator(address: str) -> bool:
    """Tell whether an address is of this machine, over plain http."""
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname in _THIS_MACHINE


class VertexClient:
    """The jobs of one project and region.

    Calls block. What is transient (no answer, 429, 5xx) is tried again with a growing, random pause, and not before
    ``Retry-After`` says, until ``deadline`` seconds have passed. Creating a PipelineJob is safe to repeat, since it has
    the id that the caller chose; creating a CustomJob is not, so that one is tried once.

    :param project_id: Google Cloud project.
    :param region: location such as ``europe-west1``.
    :param credentials: google-auth credentials; they go nowhere in plain text but to this machine.
    :param endpoints: where the services are.
    :param deadline: seconds; see above.
    :raises ConfigError: credentials would be sent in plain text.
    :raises BadRequestError, PermissionDeniedError, NotFoundError, AlreadyExistsError, QuotaExceededError,
        UnavailableError: see :mod:`airflow_provider_kedro_vertex.core.errors`.
    """

    def __init__(
        self,
        project_id: str,
        region: str,
        credentials: Credentials,
        endpoints: Endpoints | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        given = endpoints or Endpoints()
        anonymous = isinstance(credentials, AnonymousCredentials)
        if not anonymous:
            given.refuse_plain_text()
        universe = getattr(credentials, "universe_domain", "googleapis.com")
        service = "aiplatform" if region == "global" else f"{region}-aiplatform"
        self.project_id = project_id
        self.region = region
        self.parent = f"projects/{project_id}/locations/{region}"
        self.endpoint = _address(given.vertex, f"{service}.{universe}")
        self.deadline = deadline
        self._logging = _address(given.logging, f"logging.{universe}")
        self._storage = _address(given.storage, f"storage.{universe}")
        self._may_read_logs = given.logging is not None or not anonymous
        self._session = AuthorizedSession(credentials)

    def create_pipeline_job(self, job_id: str, body: JobBody) -> Job:
        """Create a PipelineJob with the id that the caller chose; return it.

        A body with a ``runtimeConfig.defaultRuntime`` goes to API v1beta1, the only one that has that field.

        :raises AlreadyExistsError: a job of this id exists, perhaps made by this very call when its answer got lost.
        """
        version = "v1beta1" if "defaultRuntime" in body.get("runtimeConfig", {}) else "v1"
        path, query = f"{self.parent}/pipelineJobs", {"pipelineJobId": job_id}
        job: Job = self._vertex("POST", path, query=query, body=body, version=version)
        return job

    def create_custom_job(self, body: JobBody) -> Job:
        """Create a CustomJob, which gets its id from Vertex AI; return it.

        :raises UnavailableError: whether there is a job now is not known: look for it before another try.
        """
        job: Job = self._vertex("POST", f"{self.parent}/customJobs", body=body, deadline=0.0)
        return job

    def get_job(self, name: str) -> Job:
        """Read a job; a PipelineJob comes with its task details.

        :param name: resource name, ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``.
        """
        job: Job = self._vertex("GET", name)
        return job

    def find_job(self, name: str) -> Job | None:
        """Read a job as :meth:`get_job` does; None if there is none."""
        try:
            return self.get_job(name)
        except NotFoundError:
            return None

    def list_jobs(
        self, collection: Collection, filter: str, read_mask: str | None = None, page_size: int = JOB_PAGE
    ) -> Iterator[Job]:
        """Read all jobs of a kind that match, page by page. PipelineJobs come the newest first, without task details.

        :param filter: Vertex AI's filter language, such as ``labels.kedro-pipeline=training``.
        :param read_mask: the fields to read, comma separated; None reads all that a list has.
        """
        query = {"filter": filter, "pageSize": str(page_size)}
        if collection == "pipelineJobs":  # CustomJobs know no order
            query["orderBy"] = "create_time desc"
        if read_mask is not None:
            query["readMask"] = read_mask
        while True:
            page = self._vertex("GET", f"{self.parent}/{collection}", query=query)
            yield from page.get(collection, [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def cancel_job(self, name: str) -> None:
        """Ask that a job be cancelled; it ends some time later. A job that has ended stays as it is."""
        try:
            self._vertex("POST", f"{name}:cancel", body={})
        except BadRequestError:
            # FAILED_PRECONDITION: it ended in the meantime, which is what was wanted.
            if "endTime" not in self.get_job(name):
                raise

    def delete_job(self, name: str) -> None:
        """Delete a job that has ended."""
        self._vertex("DELETE", name)

    def log_entries(self, filter: str, limit: int, deadline: float | None = None) -> list[LogEntry]:
        """Read the newest log entries that match, the oldest of them first.

        :param filter: the logging query language, such as ``resource.type="ml_job" AND resource.labels.job_id="1"``.
        :param limit: how many, at most 1000.
        :param deadline: seconds after which it is given up; by default the client's.
        """
        if not self._may_read_logs:
            raise PermissionDeniedError(
                "The Airflow connection is anonymous, and Cloud Logging shows logs to known callers alone.",
                fix="Give the connection credentials, or a logging_endpoint where it is for an emulator.",
            )
        body = {
            "resourceNames": [f"projects/{self.project_id}"],
            "filter": filter,
            "orderBy": "timestamp desc",
            "pageSize": min(limit, LOG_PAGE),
        }
        answer = self._call("Cloud Logging", "POST", f"{self._logging}/v2/entries:list", json=body, deadline=deadline)
        entries: list[LogEntry] = answer.get("entries", [])
        return entries[::-1]

    def write_object(self, url: str, data: bytes) -> None:
        """Write an object to Cloud Storage, over one of the same name.

        :param url: ``gs://bucket/name``.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        self._call(
            "Cloud Storage",
            "POST",
            f"{self._storage}/upload/storage/v1/b/{quote(bucket, safe='')}/o",
            params={"uploadType": "media", "name": name},
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def list_folders(self, url: str) -> Iterator[str]:
        """The names of the folders right under a place in Cloud Storage.

        :param url: ``gs://bucket/prefix``.
        """
        for page in self._object_pages(url, {"delimiter": "/", "fields": "prefixes,nextPageToken"}):
            for prefix in page.get("prefixes", []):
                yield prefix.rstrip("/").rpartition("/")[2]

    def list_objects(self, url: str) -> Iterator[dict[str, Any]]:
        """The objects under a place in Cloud Storage: ``name``, ``size``, ``updated`` and ``generation``, all strings.

        :param url: ``gs://bucket/prefix``.
        """
        for page in self._object_pages(url, {"fields": "items(name,size,updated,generation),nextPageToken"}):
            yield from page.get("items", [])

    def delete_object(self, url: str, generation: str) -> None:
        """Delete an object of Cloud Storage; one that is gone already is fine.

        :param url: ``gs://bucket/name``.
        :param generation: of the object that is meant.
        :raises BadRequestError: the object has been written again since.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        address = f"{self._storage}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        with contextlib.suppress(NotFoundError):
            self._call("Cloud Storage", "DELETE", address, params={"ifGenerationMatch": generation})

    def _object_pages(self, url: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        address = f"{self._storage}/storage/v1/b/{quote(bucket, safe='')}/o"
        wanted = {**query, "prefix": f"{prefix.rstrip('/')}/"}
        while True:
            page = self._call("Cloud Storage", "GET", address, params=wanted)
            yield page
            if not page.get("nextPageToken"):
                return
            wanted["pageToken"] = page["nextPageToken"]

    def _vertex(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        version: str = "v1",
    ) -> Any:
        url = f"{self.endpoint}/{version}/{quote(path, safe='/:@')}"
        return self._call("Vertex AI", method, url, params=query, json=body, deadline=deadline)

    def _call(
        self, service: str, method: str, url: str, *, deadline: float | None = None, **request: Any
    ) -> dict[str, Any]:
        """Call until there is an answer or the deadline is over; 0 seconds means once."""
        seconds = self.deadline if deadline is None else deadline
        started, pause = time.monotonic(), BACKOFF
        while True:
            try:
                left = seconds - (time.monotonic() - started)
                timeout = (CONNECT_TIMEOUT, min(READ_TIMEOUT, max(left, 1.0)) if seconds else READ_TIMEOUT)
                return self._try(service, method, url, timeout, request)
            except (QuotaExceededError, UnavailableError) as error:
                wait = random.uniform(pause / 2, pause)  # noqa: S311 - spreads load, guards nothing
                wait = max(wait, error.retry_after or 0.0)
                if time.monotonic() + wait - started > seconds:
                    raise
                time.sleep(wait)
                pause = min(pause * 2, MAX_BACKOFF)

    def _try(
        self, service: str, method: str, url: str, timeout: tuple[float, float], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        place = "/".join(url.split("/")[:3])
        try:
            answer = self._session.request(method, url, timeout=timeout, **request)
        except GoogleAuthError as error:
            if isinstance(error, TransportError) or getattr(error, "retryable", False):
                raise UnavailableError(f"Google credentials cannot be fetched now ({_reason(error)}).") from None
            raise PermissionDeniedError(f"Google credentials do not work for {place}: {error}") from None
        except requests.RequestException as error:
            raise UnavailableError(
                f"{service} does not answer at {place} ({_reason(error)}).",
                fix=f"Check the network, and {_SETTING[service]} in the connection's extra.",
            ) from None
        if answer.status_code == 204:
            return {}
        if answer.ok:
            return _object(service, answer)
        raise _error(f"{service} refused {method} {_path(url)}", answer)


_SETTING = {"Vertex AI": "api_endpoint", "Cloud Logging": "logging_endpoint", "Cloud Storage": "storage_endpoint"}


def _address(given: str | None, host: str) -> str:
    address = (given or host).rstrip("/")
    return address if "://" in address else f"https://{address}"


def _path(url: str) -> str:
    """The part of an address that says what was asked for: without host and API version."""
    return unquote(url.split("/", 3)[3].removeprefix("v1/").removeprefix("v1beta1/"))


def _object(service: str, answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnavailableError(
            f"{answer.url} gave no {service} answer (status {answer.status_code}, {answer.text[:80]!r}).",
            answer.status_code,
            fix=f"Check {_SETTING[service]} in the connection's extra.",
        )
    return value


def _error(what: str, answer: requests.Response) -> VertexApiError:
    message, code = answer.text.strip()[:500] or answer.reason, ""
    try:
        told = answer.json()["error"]
        message, code = told["message"], told.get("status", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # a proxy's page, or another API's form: its text is the message
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status_code, BadRequestError)
    return kind(
        f"{what} with status {answer.status_code}: {message}",
        answer.status_code,
        retry_after=_seconds(answer.headers.get("Retry-After"), lambda: datetime.now(timezone.utc)),
    )


def _seconds(retry_after: str | None, now: Callable[[], datetime]) -> float | None:
    """Read a Retry-After header (RFC 9110): seconds, or a date; None if there is none that can be read."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - now()).total_seconds())
    except (ValueError, TypeError):
        return None


def _reason(error: Exception) -> str:
    """The last cause of a chain of wrapped network errors, in a few words."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or cause.__cause__ or cause.__context__) is not None:
        if not isinstance(inner, BaseException):
            return str(inner)
        cause = inner
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
