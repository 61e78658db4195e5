"""The HTTP side: Vertex AI v1 over REST, Cloud Logging's ``entries:list``, the page, and ``/_emulator/``.

A browser on this machine can be told by any web page to send requests to loopback, and a job runs commands. So a
request that a page of another origin sent is refused, and, while the emulator is bound to loopback, one for a foreign
host name too (a name that a stranger's DNS points here).

Limits: a body of 10 MiB, as at Google's front end.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from airflow_provider_kedro_vertex.emulator.api.client_environment import TOKEN_PATH
from airflow_provider_kedro_vertex.emulator.api.connections import NoAnswer
from airflow_provider_kedro_vertex.emulator.api.log_entries import LIST_LOG_ENTRIES, LogEntries
from airflow_provider_kedro_vertex.emulator.api.methods import METHODS, Method
from airflow_provider_kedro_vertex.emulator.api.service import Service
from airflow_provider_kedro_vertex.emulator.api.unserved import method_name
from airflow_provider_kedro_vertex.emulator.engine.faults import ConnectionLostError, Faults
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    ApiError,
    Code,
    Violation,
    internal,
    invalid_argument,
    refused_origin,
    too_large,
    unimplemented,
    unknown_route,
)
from airflow_provider_kedro_vertex.emulator.resources.names import proto_name
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Message,
    from_json,
    json_text,
    parse_body,
    parse_mask,
)

logger = logging.getLogger(__name__)

LARGEST_BODY = 10 * 1024 * 1024

# Google's system parameters (https://cloud.google.com/apis/docs/system-parameters) that change no answer here.
_SYSTEM_PARAMETERS = frozenset(
    {
        "key",
        "quotaUser",
        "prettyPrint",
        "access_token",
        "oauth_token",
        "uploadType",
        "upload_protocol",
        "$.xgafv",
        "$prettyPrint",
    }
)
_ENDPOINT = re.compile(r"([a-z0-9-]+)-aiplatform\.googleapis\.com")
_LOCATION = re.compile(r"/projects/[^/]+/locations/([a-z0-9-]+)")
_VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
# A part of a path may hold a colon, so `things/*` is tried after `things/*:read`.
_ROUTES = [(method, method.pattern()) for method in sorted(METHODS, key=lambda one: "}:" not in one.template)]


def application(
    service: Service,
    log_entries: LogEntries,
    faults: Faults,
    own_routes: Sequence[Route],
    loopback: bool,
    lifespan: Lifespan[Starlette],
) -> ASGIApp:
    """Build the ASGI application.

    :param own_routes: the page, and what is below ``/_emulator/``.
    :param loopback: whether only this machine can reach it.
    """

    async def api(request: Request) -> Response:
        return await _call(service, faults, request)

    async def entries(request: Request) -> Response:
        body = await read_body(request)
        return answer(await faults.around(LIST_LOG_ENTRIES, lambda: log_entries.list(parse_body(body))))

    async def token(request: Request) -> Response:
        # Any credentials will do: this API asks for none.
        return answer({"access_token": "emulator", "token_type": "Bearer", "expires_in": 3600})

    app = Starlette(
        routes=[
            *own_routes,
            Route("/v2/entries:list", entries, methods=["POST"]),
            Route(TOKEN_PATH, token, methods=["POST"]),
            Route("/{path:path}", api, methods=_VERBS),
        ],
        exception_handlers={
            ApiError: _refused,
            ConnectionLostError: _dropped,
            HTTPException: _unrouted,
            Exception: _failed,
        },
        lifespan=lifespan,
    )
    # A slash too many is another path, as with Google's.
    app.router.redirect_slashes = False
    return _Guard(app, loopback)


class _Guard:
    """Refuses what a browser was sent to do by a page of another origin; see the module's docstring."""

    def __init__(self, app: ASGIApp, loopback: bool) -> None:
        self._app = app
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            error = _refusal(headers.get("host", ""), headers.get("origin"), self._loopback)
            if error is not None:
                await answer(error.body(), error.http_status)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(host: str, origin: str | None, loopback: bool) -> ApiError | None:
    if origin is not None and _host(origin) != host:
        return refused_origin(f'A page of the origin "{origin[:100]}" may not use this emulator.')
    if loopback and not _is_own_host(host):
        return refused_origin(
            f'The host "{host[:100]}" is not this machine; the emulator serves loopback only (see --host).'
        )
    return None


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_own_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    # Google's own host names come from clients whose resolver points them here; no stranger's page can use them.
    if name == "localhost" or name.endswith((".localhost", ".googleapis.com")):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _call(service: Service, faults: Faults, request: Request) -> Response:
    # What is served of v1 is served of v1beta1 too, which has the same messages and some fields more.
    path = request.scope["path"].replace("/v1beta1/", "/v1/", 1)
    _check_endpoint(request.headers.get("host", ""), path)
    for method, pattern in _ROUTES:
        match = pattern.fullmatch(path) if method.verb == request.method else None
        if match is None:
            continue
        message = method.request()
        enums_as_numbers = _enum_encoding(request.query_params.multi_items())
        _fill(message, method, await read_body(request), request.query_params.multi_items(), match.groupdict())
        found = await faults.around(method.short_name, partial(method.call, service, message))
        return _response(json_text(found, enums_as_numbers), 200)
    if name := method_name(request.method, request.scope["path"]):
        raise unimplemented(name)
    raise unknown_route(request.method, path[:200])


def _check_endpoint(host: str, path: str) -> None:
    """Refuse a regional endpoint of Google's that is asked for another region, as a service of one region does.

    gRPC does not tell its servers for which host a client asked.
    """
    endpoint, location = _ENDPOINT.match(host), _LOCATION.search(path)
    if endpoint and location and endpoint[1] != location[1]:
        said = f"{host[:100]} serves {endpoint[1]}; for {location[1]} ask {location[1]}-aiplatform.googleapis.com."
        raise invalid_argument(Violation("", said))


def _fill(message: Message, method: Method, body: bytes, query: list[tuple[str, str]], path: Mapping[str, str]) -> None:
    """Put together the request's message from the three places where its fields travel."""
    data = parse_body(body)
    if method.body == "*":
        from_json(message, data, "")
    elif method.body:
        from_json(getattr(message, method.body), data, method.body)
        getattr(message, method.body).SetInParent()
    elif data:
        raise invalid_argument(Violation("", f"{method.name} takes no body."))
    given: dict[str, str] = {}
    for name, value in query:
        if name in _SYSTEM_PARAMETERS or name in ("alt", "$alt"):
            continue
        if method.body == "*" or name in given:
            raise invalid_argument(
                Violation("", f'The query parameter "{name[:100]}" cannot be bound to {method.name}.')
            )
        field = proto_name(name)
        if field in ("read_mask", "update_mask") and field in message.DESCRIPTOR.fields_by_name:
            mask = parse_mask(value)
            if mask is not None:
                getattr(message, field).CopyFrom(mask)
                continue
        given[name] = value
    from_json(message, given, "")
    for field, value in path.items():
        *outer, last = field.split("__")
        inner = message
        for part in outer:
            inner = getattr(inner, part)
        setattr(inner, last, value)


def _enum_encoding(query: list[tuple[str, str]]) -> bool:
    """Read ``alt``, as Google's REST clients send it: ``json`` or ``json;enum-encoding=int``."""
    for name, value in query:
        if name in ("alt", "$alt"):
            if value not in ("json", "json;enum-encoding=int"):
                raise invalid_argument(Violation("", f'Only JSON is served, not alt="{value[:50]}".'))
            return value.endswith("=int")
        if name in ("fields", "$fields", "callback", "$callback"):
            raise unimplemented(f'The system parameter "{name}"')
    return False


async def read_body(request: Request) -> bytes:
    """The body, within the limit.

    :raises ApiError: INVALID_ARGUMENT if it is longer.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > LARGEST_BODY:
        raise too_large(LARGEST_BODY)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise too_large(LARGEST_BODY)
        parts.append(part)
    return b"".join(parts)


def answer(data: Any, status: int = 200) -> Response:
    """An answer in JSON."""
    return _response(json.dumps(data, ensure_ascii=False), status)


def _response(text: str, status: int) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(text.encode(), status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, ApiError) else internal(str(error))
    return answer(known.body(), known.http_status)


async def _dropped(request: Request, error: Exception) -> Response:
    return NoAnswer()


async def _unrouted(request: Request, error: Exception) -> Response:
    known = unknown_route(request.method, request.url.path[:200])
    return answer(known.body(), known.http_status)


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        known = ApiError(Code.CANCELLED, "The client went away.")
    else:
        known = internal("The emulator failed while it answered; its own log has the traceback.")
    return answer(known.body(), known.http_status)
