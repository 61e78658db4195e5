"""Vertex AI's jobs, their log entries and small objects over REST, with the credentials of whoever calls.

Job bodies are JSON by nature, so no generated client is needed: a call costs a few milliseconds of import where
``google.cloud.aiplatform`` costs seconds. Source of paths and verbs: the REST references of Vertex AI v1
(``projects.locations.pipelineJobs``, ``.customJobs`` and ``.schedules``), Cloud Logging v2 (``entries.list``) and Cloud
Storage's JSON API v1 (``objects.insert``, ``.get``, ``.list`` and ``.delete``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from google.auth.credentials import AnonymousCredentials, Credentials

from airflow_provider_kedro_vertex.core.errors import (
    BadRequestError,
    ConfigError,
    NotFoundError,
    PermissionDeniedError,
)
from airflow_provider_kedro_vertex.core.jobs.api import Job, JobBody, LogEntry
from airflow_provider_kedro_vertex.vertex.rest import DEADLINE, RestSession
from airflow_provider_kedro_vertex.vertex.uploads import Progress, upload

#: Log entries on one page (the largest that Cloud Logging gives), and jobs on one page (the largest of Vertex AI).
LOG_PAGE, JOB_PAGE = 1000, 100

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")

#: The kinds of job, as their resource names have them.
Collection = Literal["pipelineJobs", "customJobs"]


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

    @property
    def variables(self) -> dict[str, str]:
        """The environment by which the ``kedro vertex`` commands reach the same emulators; empty without any."""
        named = {"KEDRO_VERTEX_API_ENDPOINT": self.vertex, "STORAGE_EMULATOR_HOST": self.storage}
        return {name: address for name, address in named.items() if address and is_emulator(address)}

    def refuse_plain_text(self) -> None:
        """As :func:`refuse_plain_text`, for these addresses."""
        refuse_plain_text(filter(None, (self.vertex, self.logging, self.storage)))


def refuse_plain_text(addresses: Iterable[str]) -> None:
    """Let no credentials travel in plain text to another machine.

    :raises ConfigError: one of the addresses is ``http://`` and not of this machine, or is no address.
    """
    for address in addresses:
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
        self.endpoints = given
        self.parent = f"projects/{project_id}/locations/{region}"
        self.endpoint = _address(given.vertex, f"{service}.{universe}")
        self._logging = _address(given.logging, f"logging.{universe}")
        self._storage = _address(given.storage, f"storage.{universe}")
        self._may_read_logs = given.logging is not None or not anonymous
        self._rest = RestSession(credentials, deadline)

    @property
    def deadline(self) -> float:
        """Seconds after which a call that keeps failing is given up."""
        return self._rest.deadline

    @deadline.setter
    def deadline(self, seconds: float) -> None:
        self._rest.deadline = seconds

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

    def list_schedules(self) -> Iterator[dict[str, Any]]:
        """Read all schedules of Vertex AI that make PipelineJobs, page by page, the newest first."""
        query = {"filter": "create_pipeline_job_request:*", "orderBy": "create_time desc", "pageSize": str(JOB_PAGE)}
        while True:
            page = self._vertex("GET", f"{self.parent}/schedules", query=query)
            yield from page.get("schedules", [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def pause_schedule(self, name: str) -> None:
        """Pause a schedule that is active."""
        self._vertex("POST", f"{name}:pause", body={})

    def delete_schedule(self, name: str) -> None:
        """Delete a schedule; the runs that it has made stay."""
        self._vertex("DELETE", name)

    def log_entries(self, filter: str, limit: int, deadline: float | None = None) -> list[LogEntry]:
        """Read the newest log entries that match, the oldest of them first.

        :param filter: the logging query language, such as ``resource.type="ml_job" AND resource.labels.job_id="1"``.
        :param limit: how many, at most 1000.
        :param deadline: seconds after which it is given up; by default the client's.
        """
        body = {"filter": filter, "orderBy": "timestamp desc", "pageSize": min(limit, LOG_PAGE)}
        entries: list[LogEntry] = self._list_log(body, deadline).get("entries", [])
        return entries[::-1]

    def all_log_entries(self, filter: str) -> Iterator[LogEntry]:
        """Read all log entries that match, the oldest first, page by page; for ``filter`` see :meth:`log_entries`."""
        body = {"filter": filter, "orderBy": "timestamp asc", "pageSize": LOG_PAGE}
        while True:
            page = self._list_log(body)
            yield from page.get("entries", [])
            if not page.get("nextPageToken"):
                return
            body["pageToken"] = page["nextPageToken"]

    def write_object(self, url: str, data: bytes) -> None:
        """Write an object to Cloud Storage, over one of the same name.

        :param url: ``gs://bucket/name``.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        self._rest.call(
            "Cloud Storage",
            "POST",
            f"{self._storage}/upload/storage/v1/b/{quote(bucket, safe='')}/o",
            params={"uploadType": "media", "name": name},
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def upload(self, url: str, path: Path, progress: Progress) -> None:
        """Write a file to Cloud Storage, over an object of the same name; see :func:`.uploads.upload`."""
        upload(self._rest, self._storage, url, path, progress)

    def describe_object(self, url: str) -> dict[str, Any] | None:
        """The ``size`` and ``md5Hash`` of an object, both strings; None if there is none.

        A composite object has no ``md5Hash``.

        :param url: ``gs://bucket/name``.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        address = f"{self._storage}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        try:
            return self._rest.call("Cloud Storage", "GET", address, params={"fields": "size,md5Hash"})
        except NotFoundError:
            return None

    def find_object(self, url: str) -> bytes | None:
        """Read an object of Cloud Storage; None if there is none.

        :param url: ``gs://bucket/name``.
        """
        bucket, _, name = url.removeprefix("gs://").partition("/")
        address = f"{self._storage}/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        try:
            return self._rest.read("Cloud Storage", address, params={"alt": "media"})
        except NotFoundError:
            return None

    def list_folders(self, url: str) -> Iterator[str]:
        """The names of the folders right under a place in Cloud Storage.

        :param url: ``gs://bucket/prefix``.
        """
        for page in self._object_pages(url, {"delimiter": "/", "fields": "prefixes,nextPageToken"}):
            for prefix in page.get("prefixes", []):
                yield prefix.rstrip("/").rpartition("/")[2]

    def list_objects(self, url: str) -> Iterator[dict[str, Any]]:
        """The objects under a place in Cloud Storage.

        ``name``, ``size``, ``updated``, ``generation`` and, but for a composite object, ``md5Hash``, all strings.

        :param url: ``gs://bucket/prefix``.
        """
        for page in self._object_pages(url, {"fields": "items(name,size,updated,generation,md5Hash),nextPageToken"}):
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
            self._rest.call("Cloud Storage", "DELETE", address, params={"ifGenerationMatch": generation})

    def _list_log(self, body: Mapping[str, Any], deadline: float | None = None) -> dict[str, Any]:
        if not self._may_read_logs:
            raise PermissionDeniedError(
                "The Airflow connection is anonymous, and Cloud Logging shows logs to known callers alone.",
                fix="Give the connection credentials, or a logging_endpoint where it is for an emulator.",
            )
        url, wanted = f"{self._logging}/v2/entries:list", {"resourceNames": [f"projects/{self.project_id}"], **body}
        return self._rest.call("Cloud Logging", "POST", url, json=wanted, deadline=deadline)

    def _object_pages(self, url: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        address = f"{self._storage}/storage/v1/b/{quote(bucket, safe='')}/o"
        wanted = {**query, "prefix": f"{prefix.rstrip('/')}/"}
        while True:
            page = self._rest.call("Cloud Storage", "GET", address, params=wanted)
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
        return self._rest.call("Vertex AI", method, url, params=query, json=body, deadline=deadline)


def _address(given: str | None, host: str) -> str:
    address = (given or host).rstrip("/")
    return address if "://" in address else f"https://{address}"
