"""Calls of Google's REST APIs: JSON in and out, tried again while the trouble may pass, errors as classes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import unquote

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

Answer = TypeVar("Answer")

#: Seconds to connect, and then between two bytes of an answer.
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 60.0
#: Seconds after which a call that keeps failing is given up.
DEADLINE = 60.0
#: Seconds before the first and between later tries; the time between grows twofold and is drawn at random below it.
BACKOFF, MAX_BACKOFF = 1.0, 16.0
_BY_STATUS: Mapping[int, type[VertexApiError]] = {
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: UnavailableError,
    409: AlreadyExistsError,
    410: NotFoundError,
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


class RestSession:
    """Calls with the credentials of whoever calls.

    Calls block. What is transient (no answer, 429, 5xx) is tried again with a growing, random pause, and not before
    ``Retry-After`` says, until ``deadline`` seconds have passed.

    :param credentials: google-auth credentials.
    :param deadline: seconds; see above.
    :raises BadRequestError, PermissionDeniedError, NotFoundError, AlreadyExistsError, QuotaExceededError,
        UnavailableError: see :mod:`airflow_provider_kedro_vertex.core.errors`.
    """

    def __init__(self, credentials: Credentials, deadline: float = DEADLINE) -> None:
        self.deadline = deadline
        self._session = AuthorizedSession(credentials)

    def call(
        self, service: str, method: str, url: str, *, deadline: float | None = None, **request: Any
    ) -> dict[str, Any]:
        """Call until there is an answer or the deadline is over; return the JSON object that is answered.

        :param service: the API's name, for the messages.
        :param deadline: seconds; 0 means one try, None the session's own.
        :param request: as :meth:`requests.Session.request` takes it: ``params``, ``json``, ``data``, ``headers``.
        """
        return self._repeated(service, method, url, deadline, request, lambda answer: _object(service, answer))

    def read(self, service: str, url: str, **request: Any) -> bytes:
        """Read what is at an address, as it is."""
        return self._repeated(service, "GET", url, None, request, lambda answer: answer.content)

    def respond(
        self, service: str, method: str, url: str, *, deadline: float | None = None, **request: Any
    ) -> requests.Response:
        """Call as :meth:`call` does, for an answer whose status and headers tell more than its content."""
        return self._repeated(service, method, url, deadline, request, lambda answer: answer)

    def _repeated(
        self,
        service: str,
        method: str,
        url: str,
        deadline: float | None,
        request: Mapping[str, Any],
        result: Callable[[requests.Response], Answer],
    ) -> Answer:
        seconds = self.deadline if deadline is None else deadline
        started, pause = time.monotonic(), BACKOFF
        while True:
            try:
                left = seconds - (time.monotonic() - started)
                timeout = (CONNECT_TIMEOUT, min(READ_TIMEOUT, max(left, 1.0)) if seconds else READ_TIMEOUT)
                return result(self._try(service, method, url, timeout, request))
            except (QuotaExceededError, UnavailableError) as error:
                wait = random.uniform(pause / 2, pause)  # noqa: S311 - spreads load, guards nothing
                wait = max(wait, error.retry_after or 0.0)
                if time.monotonic() + wait - started > seconds:
                    raise
                time.sleep(wait)
                pause = min(pause * 2, MAX_BACKOFF)

    def _try(
        self, service: str, method: str, url: str, timeout: tuple[float, float], request: Mapping[str, Any]
    ) -> requests.Response:
        place = "/".join(url.split("/")[:3])
        try:
            answer: requests.Response = self._session.request(method, url, timeout=timeout, **request)
        except GoogleAuthError as error:
            if isinstance(error, TransportError) or getattr(error, "retryable", False):
                raise UnavailableError(f"Google credentials cannot be fetched now ({_reason(error)}).") from None
            raise PermissionDeniedError(f"Google credentials do not work for {place}: {error}") from None
        except requests.RequestException as error:
            raise UnavailableError(
                f"{service} does not answer at {place} ({_reason(error)}).",
                fix=f"Check the network, and {_address(service)}.",
            ) from None
        if answer.ok:
            return answer
        raise _error(f"{service} refused {method} {_path(url)}", answer)


#: Service to what may have set its address: a key of the Airflow connection's extra, and what a command reads.
_SETTINGS = {
    "Vertex AI": ("api_endpoint", "--api-endpoint"),
    "Cloud Logging": ("logging_endpoint", "--api-endpoint"),
    "Cloud Storage": ("storage_endpoint", "STORAGE_EMULATOR_HOST"),
}


def _address(service: str) -> str:
    if service not in _SETTINGS:
        return "the address"
    key, of_command = _SETTINGS[service]
    return f"the address: {key} in the connection's extra, or {of_command} of a command"


def _path(url: str) -> str:
    """The part of an address that says what was asked for: without host and API version."""
    return unquote(url.split("/", 3)[3].removeprefix("v1/").removeprefix("v1beta1/"))


def _object(service: str, answer: requests.Response) -> dict[str, Any]:
    if answer.status_code == 204:
        return {}
    try:
        value = answer.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnavailableError(
            f"{answer.url} gave no {service} answer (status {answer.status_code}, {answer.text[:80]!r}).",
            answer.status_code,
            fix=f"Check {_address(service)}.",
        )
    return value


def _error(what: str, answer: requests.Response) -> VertexApiError:
    message, code, reason = answer.text.strip()[:500] or answer.reason, "", ""
    try:
        told = answer.json()["error"]
        message, code = told["message"], told.get("status", "")
        reason = next((str(each["reason"]) for each in told.get("details", []) if "reason" in each), "")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # a proxy's page, or another API's form: its text is the message
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status_code, BadRequestError)
    return kind(
        f"{what} with status {answer.status_code}: {message}",
        answer.status_code,
        retry_after=_seconds(answer.headers.get("Retry-After"), lambda: datetime.now(timezone.utc)),
        reason=reason,
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
        if isinstance(inner, TypeError):  # urllib3 1 first gives an argument that this Python's http.client lacks
            break
        cause = inner
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
