"""A registry of images on this machine: as much of the OCI Distribution Specification as pushing and pulling need.

It may be asked as a proxy is, so that it stands for a registry of another name.
"""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Registry(ThreadingHTTPServer):
    """What was pushed: blobs by digest, and manifests, with their media types, by repository and tag or digest."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v2/":
            self._answer(200)
        elif (blob := re.fullmatch(r"/v2/.+/blobs/(.+)", path)) and blob[1] in self.server.blobs:
            self._answer(200, self.server.blobs[blob[1]])
        elif (named := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path)) and named.groups() in self.server.manifests:
            media_type, data = self.server.manifests[named[1], named[2]]
            self._answer(200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest_of(data)})
        else:
            self._answer(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        upload = str(uuid.uuid4())
        self.server.uploads[upload] = b""
        repository = re.fullmatch(r"/v2/(.+)/blobs/uploads/", urlsplit(self.path).path)
        assert repository is not None
        self._body()
        self._answer(202, headers={"Location": f"/v2/{repository[1]}/blobs/uploads/{upload}", "Range": "0-0"})

    def do_PATCH(self) -> None:
        path = urlsplit(self.path).path
        upload = path.rpartition("/")[2]
        self.server.uploads[upload] += self._body()
        end = max(len(self.server.uploads[upload]) - 1, 0)
        self._answer(202, headers={"Location": path, "Range": f"0-{end}"})

    def do_PUT(self) -> None:
        parts = urlsplit(self.path)
        data = self._body()
        if named := re.fullmatch(r"/v2/(.+)/manifests/(.+)", parts.path):
            entry = (self.headers["Content-Type"], data)
            self.server.manifests[named[1], named[2]] = self.server.manifests[named[1], digest_of(data)] = entry
            self._answer(201, headers={"Docker-Content-Digest": digest_of(data)})
            return
        blob = self.server.uploads.pop(parts.path.rpartition("/")[2]) + data
        (digest,) = parse_qs(parts.query)["digest"]
        if digest != digest_of(blob):
            self._answer(400)
            return
        self.server.blobs[digest] = blob
        self._answer(201, headers={"Location": f"/v2/blobs/{digest}", "Docker-Content-Digest": digest})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def registry() -> Iterator[Registry]:
    """An empty registry that serves meanwhile."""
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
