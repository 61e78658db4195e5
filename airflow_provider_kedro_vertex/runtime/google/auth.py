"""Google's credentials in the container: the one module here that imports google-auth, which gcsfs brings."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import google.auth
import google.auth.transport.requests
import google.oauth2.id_token
import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError
from google.auth.exceptions import GoogleAuthError as GoogleAuthError  # for those who call `session`
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.errors import ServiceError

_LOG = logging.getLogger(__name__)

_IAM_CREDENTIALS = "https://iamcredentials.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = 30.0
#: A token is fetched again this long before it expires, or after nine tenths of its life if that is later.
_MARGIN = 300.0
#: Seconds for which a token that could not be renewed, and is valid still, is used before the next try.
_NEXT_TRY = 60.0
#: Further tries of a call, and the seconds before the second of them (the first follows at once), which then double.
TRIES, _BACKOFF = 4, 1.0


def session(endpoint: str, tries: int = TRIES) -> requests.Session:
    """Open a session that signs its requests with the container's own credentials.

    It rides out short trouble: a call without an answer, or with 429 or 5xx, is made again some times. So it is for
    calls that may be repeated.

    :param endpoint: the scheme and host that are called. A plain ``http://`` one (an emulator) is called without
        credentials: they are not for anybody on the way to read.
    :param tries: how often a call is made again.
    :raises ConfigError: the container has no credentials.
    """
    if endpoint.startswith("http://"):
        credentials: Credentials = AnonymousCredentials()
    else:
        try:
            credentials, _ = google.auth.default(scopes=[_SCOPE])
        except DefaultCredentialsError as error:
            raise _no_credentials(error) from error
    made = google.auth.transport.requests.AuthorizedSession(credentials)
    retry = Retry(
        total=tries,
        backoff_factor=_BACKOFF,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may say an hour
    )
    for scheme in ("https://", "http://"):
        made.mount(scheme, HTTPAdapter(max_retries=retry))
    return made


def own_id_token(audience: str) -> str:
    """Fetch an ID token of the container's own service account, from the metadata server or a key file.

    :param audience: whom it is for; for Identity-Aware Proxy its OAuth client id.
    :raises ConfigError: the credentials are none of a service account: a user's own cannot get such a token.
    :raises ServiceError: Google did not answer.
    """
    try:
        return str(google.oauth2.id_token.fetch_id_token(google.auth.transport.requests.Request(), audience))
    except DefaultCredentialsError as error:
        raise _no_credentials(error) from error
    except GoogleAuthError as error:
        raise ServiceError(f"Google gave no ID token for {audience}: {error}") from error


def id_token_of(service_account: str, audience: str, endpoint: str = "") -> str:
    """Fetch an ID token of another service account (IAM Credentials API, v1, generateIdToken).

    :param endpoint: scheme and host of the API; Google's public one by default.
    :raises ConfigError: the container's account may not: it needs the role "Service Account OpenID Connect Identity
        Token Creator" on the other.
    :raises ServiceError: Google did not answer.
    """
    endpoint = endpoint or _IAM_CREDENTIALS
    url = f"{endpoint.rstrip('/')}/v1/projects/-/serviceAccounts/{service_account}:generateIdToken"
    try:
        body = {"audience": audience, "includeEmail": True}
        with session(endpoint) as http:
            response = http.post(url, json=body, timeout=_TIMEOUT)
    except (GoogleAuthError, requests.RequestException) as error:
        raise ServiceError(f"{url} cannot be reached: {error}") from error
    if response.status_code in (400, 401, 403, 404):
        raise ConfigError(
            f"{url} answered {response.status_code}: {response.text[:500]}.",
            "The job's service account needs the role "
            f"roles/iam.serviceAccountOpenIdTokenCreator on {service_account}.",
        )
    if response.status_code != 200:
        raise ServiceError(f"{url} answered {response.status_code}: {response.text[:500]}")
    return str(response.json()["token"])


class IdToken:
    """An ID token that is fetched again before it expires. Threads may share it.

    :param fetch: gets a new one.
    """

    def __init__(self, fetch: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = self._expires_at = 0.0

    def __call__(self) -> str:
        """Give a token that is valid now.

        :raises ConfigError: see :func:`own_id_token` and :func:`id_token_of`; not while an earlier token is valid.
        :raises ServiceError: the same.
        """
        with self._lock:
            now = self._clock()
            if now >= self._renew_at:
                try:
                    token = self._fetch()
                except (ConfigError, ServiceError) as error:
                    if now >= self._expires_at:
                        raise
                    self._renew_at = min(now + _NEXT_TRY, self._expires_at)
                    _LOG.warning("The ID token could not be renewed; the old one is still valid. %s", error)
                else:
                    self._token, self._expires_at = token, _expiry(token)
                    self._renew_at = max(self._expires_at - _MARGIN, now + 0.9 * (self._expires_at - now))
            return self._token


def _expiry(token: str) -> float:
    """Read when a JSON Web Token expires, in seconds since 1970 (RFC 7519, ``exp``). Its signature is not checked.

    :raises ServiceError: it is no such token.
    """
    try:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise ServiceError(f"Google gave an ID token without a time of expiry ({type(error).__name__}).") from error


def _no_credentials(error: DefaultCredentialsError) -> ConfigError:
    return ConfigError(
        f"This container has no Google credentials of a service account: {error} On Vertex AI it has those of the "
        "job's service account.",
        "Elsewhere set GOOGLE_APPLICATION_CREDENTIALS to a key file; what `gcloud auth "
        "application-default login` writes is a user's, for whom Google makes no ID token.",
    )
