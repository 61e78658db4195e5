"""Cloud Build over REST: an image is built of a source archive in Cloud Storage, and pushed.

Source of paths and fields: the REST reference of the Cloud Build API v1 (``projects.locations.builds``).
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, UnavailableError, VertexApiError
from airflow_provider_kedro_vertex.vertex.rest import RestSession

#: Seconds between two looks at a build, and after which Cloud Build ends it.
POLL_SECONDS, BUILD_LIMIT = 5.0, 3600

_SERVICE = "Cloud Build"
_RUNNING = ("STATUS_UNKNOWN", "PENDING", "QUEUED", "WORKING")


class CloudBuildClient:
    """The builds of one project and region.

    :param endpoint: the API's address.
    """

    def __init__(self, session: RestSession, endpoint: str, project_id: str, region: str) -> None:
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._project_id = project_id
        self._parent = f"projects/{project_id}/locations/{region}"

    def start(self, archive: str, image: str) -> dict[str, Any]:
        """Start to build an image of the ``Dockerfile`` in an archive; Cloud Build pushes it.

        :param archive: ``gs://bucket/name.tar.gz``.
        :param image: the image's name with its tag.
        :return: the build: ``id``, ``name``, ``logUrl``, ..
        :raises VertexApiError: Cloud Build refuses it or cannot be reached; it is tried once, since another call
            would start another build.
        """
        bucket, _, name = archive.removeprefix("gs://").partition("/")
        body = {
            "source": {"storageSource": {"bucket": bucket, "object": name}},
            "steps": [{"name": "gcr.io/cloud-builders/docker", "args": ["build", "--tag", image, "."]}],
            "images": [image],
            "timeout": f"{BUILD_LIMIT}s",
            # Else Cloud Build's account must be able to make a bucket for logs.
            "options": {"logging": "CLOUD_LOGGING_ONLY"},
        }
        operation = self._call("POST", f"{self._parent}/builds", query=self._query(), json=body, deadline=0)
        build: dict[str, Any] = operation["metadata"]["build"]
        return {"name": f"{self._parent}/builds/{build['id']}", **build}

    def wait(self, build: dict[str, Any]) -> str:
        """Wait until a build has ended; who is interrupted meanwhile cancels it.

        :return: the digest of the image that was pushed, ``sha256:..``.
        :raises ConfigError: the build did not succeed.
        :raises VertexApiError: Cloud Build cannot be reached.
        """
        try:
            started = time.monotonic()
            while build.get("status", "PENDING") in _RUNNING:
                if time.monotonic() - started > 2 * BUILD_LIMIT:
                    raise UnavailableError(f"{build['name']} has not ended, and goes on.", fix=_log(build))
                time.sleep(POLL_SECONDS)
                build = {**build, **self._call("GET", build["name"], query={**self._query(), "id": build["id"]})}
        except KeyboardInterrupt:
            with contextlib.suppress(VertexApiError):
                self._call("POST", f"{build['name']}:cancel", json={"projectId": self._project_id, "id": build["id"]})
            raise
        if build["status"] != "SUCCESS":
            told = build.get("failureInfo", {}).get("detail") or build.get("statusDetail") or "it gives no reason."
            raise ConfigError(f"Cloud Build ended {build['name']} with {build['status']}: {told}", _log(build))
        images = build.get("results", {}).get("images", [])
        return next((str(image["digest"]) for image in images if image.get("digest")), "")

    def _query(self) -> dict[str, str]:
        return {"projectId": self._project_id}

    def _call(self, method: str, path: str, query: dict[str, str] | None = None, **request: Any) -> dict[str, Any]:
        return self._session.call(_SERVICE, method, f"{self._endpoint}/v1/{path}", params=query, **request)


def _log(build: dict[str, Any]) -> str:
    return f"Its log: {build['logUrl']}" if build.get("logUrl") else ""
