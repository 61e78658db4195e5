"""Environment variables from Secret Manager, so that no secret is in a spec, an argument or a log.

The API is ``GET v1/{name}:access`` (Secret Manager v1, ``AccessSecretVersion``), with the container's own credentials.
``CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER``, which is also gcloud's, names another endpoint; one without TLS
gets no credentials.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.errors import ServiceError

_NAME = re.compile(
    r"projects/[\w:.-]+(?:/locations/(?P<location>[a-z0-9-]+))?/secrets/[\w-]+/versions/[\w-]+", re.ASCII
)
_ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"
_TIMEOUT = 30.0


def set_variables(secrets: Mapping[str, str]) -> None:
    """Set each environment variable to its secret's value, over what it had.

    :param secrets: ``{"NAME": "projects/P/secrets/S/versions/V"}``; regional secrets
        (``projects/P/locations/L/secrets/...``) come from their region's endpoint.
    :raises ConfigError: a name is not of this form, the secret does not exist or is disabled, the container may not
        read it, or it is no text.
    :raises ServiceError: no answer, also after further tries.
    """
    if not secrets:
        return
    # Here, and not above: half a second for those containers only that have secrets.
    import requests

    from airflow_provider_kedro_vertex.runtime.google.auth import GoogleAuthError, session

    for variable, name in secrets.items():
        where = f"secret_env: {variable} ({name})"
        endpoint = _endpoint(where, name)
        try:
            with session(endpoint) as opened:
                os.environ[variable] = _value(where, _access(opened, where, f"{endpoint}/v1/{name}:access"))
        except (GoogleAuthError, requests.RequestException) as error:
            raise ServiceError(f"{where}: Secret Manager could not be reached: {error}") from error


def _endpoint(where: str, name: str) -> str:
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise ConfigError(f"{where}: write projects/PROJECT/secrets/SECRET/versions/VERSION (VERSION may be latest).")
    location = matched["location"]
    host = f"secretmanager.{location}.rep.googleapis.com" if location else "secretmanager.googleapis.com"
    return (os.environ.get(_ENDPOINT) or f"https://{host}").rstrip("/")


def _access(session: Any, where: str, url: str) -> Any:
    answer = session.get(url, timeout=_TIMEOUT, allow_redirects=False)
    if answer.status_code == 200:
        return answer
    if answer.status_code < 500 and answer.status_code != 429:
        raise ConfigError(f"{where}: {_refusal(answer.status_code)}")
    raise ServiceError(f"{where}: Secret Manager answered with status {answer.status_code}.")


def _refusal(status: int) -> str:
    if status in (401, 403):
        return (
            f"Secret Manager refused with status {status}. Give the job's service account the role "
            "roles/secretmanager.secretAccessor on this secret."
        )
    if status == 404:
        return "there is no such secret or version."
    return f"Secret Manager refused with status {status}; the version may be disabled or destroyed."


def _value(where: str, answer: Any) -> str:
    try:
        text = base64.b64decode(answer.json()["payload"]["data"], validate=True).decode()
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ConfigError(f"{where}: the secret's value is no UTF-8 text ({type(error).__name__}).") from None
    if "\0" in text:
        raise ConfigError(f"{where}: the secret's value has a zero byte, which no environment variable can hold.")
    return text
