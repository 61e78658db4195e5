"""Strict stand-ins of Google's APIs: each call, and each answer, is held against the API's own discovery document.

The documents come with Google's API client, which Airflow's Google provider brings. What a test answers is its own;
what is asked must be a method of the API, with its parameters and fields alone.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


class ApiError(Exception):
    """An error to answer with."""

    def __init__(self, status: int, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
        told = {"code": status, "message": message, "status": _CODES.get(status, "UNKNOWN")}
        self.status, self.body = status, {"error": {**told, **({"details": details} if details else {})}}


@dataclass(frozen=True)
class Call:
    """One call of a method.

    :param path: the parameters of the path, unquoted.
    :param query: the parameters of the query, each a list.
    """

    method: str
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: Any


Answer = Callable[[Call], Mapping[str, Any]]


@dataclass
class GoogleApis:
    """The stand-ins of some APIs on one port.

    :param url: where they are; an API is at ``url/NAME``.
    :param answers: method id, such as ``composer.projects.locations.environments.get``, to what answers it.
    :param calls: those that were made, in order.
    :param wrong: what no real API would take or give; a test must end with none.
    """

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def answer(self, http_method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Answer a call: an HTTP status and JSON."""
        try:
            method, call, response = _matched(http_method, target, body)
            self.calls.append(call)
            if method not in self.answers:
                raise _WrongError(f"The test answers no {method}.", 501)
            given = self.answers[method](call)
            _check(given, response[0], response[1], f"answer of {method}")
        except ApiError as error:
            return error.status, error.body
        except _WrongError as error:
            self.wrong.append(str(error))
            refused = ApiError(error.status, str(error))
            return refused.status, refused.body
        return 200, given


class _WrongError(Exception):
    """What the API's document does not know."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def google_apis() -> Iterator[GoogleApis]:
    """Serve stand-ins on this machine; at the end nothing wrong may have been asked or answered."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = apis.answer(self.command, self.path, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    apis = GoogleApis(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield apis
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert apis.wrong == []


@cache
def _document(name: str, version: str) -> Mapping[str, Any]:
    from googleapiclient import discovery_cache

    file = Path(discovery_cache.__file__).parent / "documents" / f"{name}.{version}.json"
    if not file.exists():
        raise _WrongError(f"There is no API {name} {version}.", 404)
    document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


@cache
def _methods(name: str, version: str) -> tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...]:
    document = _document(name, version)

    def of(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield from resource.get("methods", {}).values()
        for inner in resource.get("resources", {}).values():
            yield from of(inner)

    def pattern(method: Mapping[str, Any]) -> re.Pattern[str]:
        template = document["servicePath"] + method.get("flatPath", method["path"])
        parts = re.split(r"(\{[^}]+\})", template)
        regex = "".join(
            f"(?P<{part[1:-1]}>[^/:]+(?::[0-9a-f]{{64}})?)" if part.startswith("{") else re.escape(part)
            for part in parts
        )
        return re.compile(regex)

    return tuple((pattern(method), method) for method in of(document))


def _matched(http_method: str, target: str, body: bytes) -> tuple[str, Call, tuple[Mapping[str, Any], Any]]:
    parts = urlsplit(target)
    _, name, path = parts.path.split("/", 2)
    version = next((part for part in path.split("/") if re.fullmatch(r"v[0-9]+((alpha|beta)[0-9]+)?", part)), "")
    document = _document(name, version)
    for regex, method in _methods(name, version):
        found = regex.fullmatch(path)
        if found and method["httpMethod"] == http_method:
            query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
            _check_query(query, method, document)
            content = _content(body, method, document)
            call = Call(method["id"], {key: unquote(value) for key, value in found.groupdict().items()}, query, content)
            return method["id"], call, (document, method.get("response"))
    raise _WrongError(f"{http_method} {path} is no method of {name} {version}.", 404)


def _check_query(query: Mapping[str, list[str]], method: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    own = {key: each for key, each in method.get("parameters", {}).items() if each["location"] == "query"}
    known = {**document.get("parameters", {}), **own}
    for key, values in query.items():
        if key not in known:
            raise _WrongError(f"{method['id']} has no parameter {key!r}.")
        if len(values) > 1 and not known[key].get("repeated"):
            raise _WrongError(f"{method['id']} takes one {key}, not {values}.")
    for key, each in own.items():
        if each.get("required") and key not in query:
            raise _WrongError(f"{method['id']} needs a parameter {key!r}.")


def _content(body: bytes, method: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    if "request" not in method:
        if body:
            raise _WrongError(f"{method['id']} takes no body.")
        return None
    content = json.loads(body or b"{}")
    _check(content, document, method["request"], method["id"])
    return content


def _check(value: Any, document: Mapping[str, Any], schema: Any, where: str) -> None:
    """Hold a value against a schema of a discovery document."""
    if schema is None or schema.get("type") == "any":
        return
    if "$ref" in schema:
        schema = document["schemas"][schema["$ref"]]
    kind = schema["type"]
    if kind == "array":
        if not isinstance(value, list):
            raise _WrongError(f"{where} must be a list, not {value!r}.")
        for at, item in enumerate(value):
            _check(item, document, schema["items"], f"{where}[{at}]")
    elif kind == "object":
        if not isinstance(value, Mapping):
            raise _WrongError(f"{where} must be an object, not {value!r}.")
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            if key not in properties and others is None:
                raise _WrongError(f"{where} has no field {key!r}.")
            _check(item, document, properties.get(key, others), f"{where}.{key}")
    elif not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise _WrongError(f"{where} must be a {kind}, not {value!r}.")
    elif "enum" in schema and value not in schema["enum"]:
        raise _WrongError(f"{where} must be one of {', '.join(schema['enum'])}, not {value!r}.")
