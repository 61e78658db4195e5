"""Cloud Composer's environments over REST: where their DAGs are, what they run, and what is installed there.

Source of paths and fields: the REST reference of the Cloud Composer API v1 (``projects.locations.environments`` and
``.operations``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, NotFoundError, UnavailableError
from airflow_provider_kedro_vertex.vertex.rest import RestSession

#: Seconds between two looks at an operation, and after which it is given up: an update takes up to half an hour.
POLL_SECONDS, OPERATION_LIMIT = 15.0, 3600.0

_SERVICE = "Cloud Composer"
_PACKAGES = "config.softwareConfig.pypiPackages"


@dataclass(frozen=True)
class Environment:
    """One environment.

    :param name: ``projects/../locations/../environments/..``.
    :param state: ``RUNNING``, ``UPDATING``, ``HIBERNATED``, ..
    :param dags: ``gs://bucket/dags``; None before there is one.
    :param image_version: such as ``composer-3-airflow-2.11.1``.
    :param packages: the packages that were added to the image, by their names, each with its version specifier.
    """

    name: str
    state: str
    dags: str | None
    image_version: str
    packages: Mapping[str, str]

    @property
    def airflow(self) -> tuple[int, ...]:
        """The version of Airflow; empty where the image's name does not tell it."""
        found = re.search(r"-airflow-([0-9]+(?:\.[0-9]+)*)", self.image_version)
        return tuple(map(int, found[1].split("."))) if found else ()


class ComposerClient:
    """The environments of one project and location.

    :param endpoint: the API's address.
    """

    def __init__(self, session: RestSession, endpoint: str, project_id: str, location: str) -> None:
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._parent = f"projects/{project_id}/locations/{location}"

    def environment(self, name: str) -> Environment:
        """Read an environment.

        :raises ConfigError: there is none of this name.
        :raises VertexApiError: Composer refuses it or cannot be reached.
        """
        try:
            found = self._call("GET", f"{self._parent}/environments/{name}")
        except NotFoundError as error:
            location = self._parent.rpartition("/")[2]
            raise ConfigError(
                f"There is no Composer environment {name!r} in {self._parent} ({error.message}).",
                "Give another name, or --location. To see them: "
                f"gcloud composer environments list --locations {location}",
            ) from None
        config = found.get("config", {})
        software = config.get("softwareConfig", {})
        return Environment(
            name=found.get("name", f"{self._parent}/environments/{name}"),
            state=found.get("state", "STATE_UNSPECIFIED"),
            dags=config.get("dagGcsPrefix") or None,
            image_version=software.get("imageVersion", ""),
            packages=software.get("pypiPackages", {}),
        )

    def install(self, environment: Environment, package: str, specifier: str) -> None:
        """Install a package, and wait until the environment has it. Other packages stay as they are.

        :param specifier: such as ``==1.0``.
        :raises ConfigError: Composer could not install it; the environment is as it was.
        :raises VertexApiError: Composer refuses it, or cannot be reached.
        """
        body = {"config": {"softwareConfig": {"pypiPackages": {package: specifier}}}}
        operation = self._call("PATCH", environment.name, params={"updateMask": f"{_PACKAGES}.{package}"}, json=body)
        started = time.monotonic()
        while not operation.get("done"):
            if time.monotonic() - started > OPERATION_LIMIT:
                raise UnavailableError(
                    f"{operation['name']} is not done after {OPERATION_LIMIT / 60:.0f} minutes, and goes on.",
                    fix="Deploy again when the environment is RUNNING.",
                )
            time.sleep(POLL_SECONDS)
            operation = self._call("GET", operation["name"])
        if error := operation.get("error"):
            raise ConfigError(
                f"Composer could not install {package}{specifier}: {error.get('message', error)} "
                "The environment is as it was.",
                "The build's log, in the environment's page, says why.",
            )

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._session.call(_SERVICE, method, f"{self._endpoint}/v1/{path}", **request)
