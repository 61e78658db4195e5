"""The parts of Google Cloud that hand out ID tokens, and a gate before MLflow that wants them, as Identity-Aware Proxy.

Strict: a path, a method or a body that the documents of the APIs do not have is answered with an error.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

AUDIENCE = "1234.apps.googleusercontent.com"
ACCOUNT = "mlflow@project.iam.gserviceaccount.com"


@dataclass
class Google:
    """A metadata server and an IAM Credentials API in one."""

    seconds: float
    given: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    address: str = ""

    def token(self, who: str, audience: str) -> str:
        now = time.time()
        self.given.append(who)
        self.times.append(now)
        claims = {"aud": audience, "email": who, "iat": now, "exp": now + self.seconds}
        parts = ({"alg": "RS256", "typ": "JWT"}, claims)
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join([*encoded, "c2lnbmF0dXJl"])


@dataclass
class Gate:
    """What came to the server behind it."""

    wants: str
    url: str = ""
    passed: int = 0
    refused: int = 0
    values: set[str] = field(default_factory=set)


class Quiet(BaseHTTPRequestHandler):
    """A handler that logs nothing, with the parts that the servers here share."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port; gives ``host:port``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def google(seconds: float = 3600.0) -> Iterator[Google]:
    """Hand out tokens that are valid for so many seconds."""
    state = Google(seconds)

    class Handler(Quiet):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            flavor = {"Metadata-Flavor": "Google", "Content-Type": "text/plain"}
            if self.headers.get("Metadata-Flavor") != "Google":
                self.answer(403, b"no Metadata-Flavor")
            elif url.path in ("", "/"):
                self.answer(200, b"", flavor)
            elif url.path == "/computeMetadata/v1/instance/service-accounts/default/":
                self.answer(
                    200,
                    b'{"email": "job@project.iam.gserviceaccount.com", "scopes": []}',
                    {**flavor, "Content-Type": "application/json"},
                )
            elif url.path == "/computeMetadata/v1/instance/service-accounts/default/identity":
                query = parse_qs(url.query)
                assert query["format"] == ["full"]
                self.answer(200, state.token("job", query["audience"][0]).encode(), flavor)
            else:
                self.answer(404, b"", flavor)

        def do_POST(self) -> None:
            request = json.loads(self.body())
            if self.path != f"/v1/projects/-/serviceAccounts/{ACCOUNT}:generateIdToken":
                self.answer(404, b"{}")
            elif request != {"audience": AUDIENCE, "includeEmail": True}:
                self.answer(400, b"{}")
            else:
                self.answer(200, json.dumps({"token": state.token(ACCOUNT, AUDIENCE)}).encode())

    with serving(Handler) as state.address:
        yield state


@contextmanager
def gate(target: str, wants: str = "Authorization") -> Iterator[Gate]:
    """Pass on to ``target`` what has the header; a bearer token also has to be valid still and for :data:`AUDIENCE`."""
    state = Gate(wants)

    class Handler(Quiet):
        def _pass(self) -> None:
            body = self.body()
            value = self.headers.get(wants, "")
            if not value or (wants == "Authorization" and not _valid(value)):
                state.refused += 1
                self.answer(401, b"Invalid IAP credentials")
                return
            state.passed += 1
            state.values.add(value)
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            request = urllib.request.Request(target + self.path, body or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=120) as got:
                    self.answer(got.status, got.read(), {"Content-Type": got.headers.get("Content-Type", "")})
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read(), {"Content-Type": error.headers.get("Content-Type", "")})

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815

    with serving(Handler) as address:
        state.url = f"http://{address}"
        yield state


def _valid(header: str) -> bool:
    kind, _, token = header.partition(" ")
    if kind != "Bearer" or token.count(".") != 2:
        return False
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims["aud"] == AUDIENCE and time.time() < claims["exp"]
