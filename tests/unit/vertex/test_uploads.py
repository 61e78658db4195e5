"""Uploads against a storage emulator, and against a server that loses pieces, as networks do."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.core.errors import BadRequestError, NotFoundError, UnavailableError, VertexApiError
from airflow_provider_kedro_vertex.vertex import rest, uploads
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from tests.storage import storage_emulator

PIECE = 256 * 1024
NAME = "gs://shop/a folder/ü#.bin"


class Server(ThreadingHTTPServer):
    """Resumable uploads as Cloud Storage documents them; ``faults`` are taken one by one by the requests with data.

    ``lose`` takes half of a piece and breaks the connection, ``busy`` answers 503, ``away`` does so from then on, and
    ``forget`` ends the session.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sessions: dict[str, bytearray] = {}
        self.about: dict[str, Any] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[str] = []
        self.away = False
        self.received = 0
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        assert parse_qs(urlsplit(self.path).query)["uploadType"] == ["resumable"]
        self.server.about = json.loads(self._body())
        session = f"secret-{len(self.server.sessions)}"
        self.server.sessions[session] = bytearray()
        # The host of the answer is not to be trusted.
        self._answer(200, {"Location": f"http://192.0.2.1/upload?uploadType=resumable&upload_id={session}"})

    def do_PUT(self) -> None:
        session = parse_qs(urlsplit(self.path).query)["upload_id"][0]
        sent, total = re.fullmatch(r"bytes (\*|\d+-\d+)/(\d+)", self.headers["Content-Range"]).groups()  # type: ignore[union-attr]
        data = self._body()
        fault = self.server.faults.pop(0) if data and self.server.faults else ""
        if fault == "forget":
            self.server.sessions.pop(session)
        if session not in self.server.sessions:
            self._answer(410, {})
            return
        there = self.server.sessions[session]
        if data:
            first, last = map(int, sent.split("-"))
            assert first == len(there)
            assert last - first + 1 == len(data)
            assert len(data) % PIECE == 0 or last + 1 == int(total)
        else:
            self.server.asked += 1
        if fault == "lose":
            there += data[: len(data) // 2]
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.server.away |= fault == "away"
        if fault == "busy" or self.server.away:
            self._answer(503, {})
            return
        there += data
        self.server.received += len(data)
        if len(there) < int(total):
            self._answer(308, {"Range": f"bytes=0-{len(there) - 1}"} if there else {})
        elif _md5(bytes(there)) != self.server.about["md5Hash"]:
            self._answer(400, {}, b'{"error": {"message": "Provided MD5 hash does not match."}}')
        else:
            self.server.objects[self.server.about["name"]] = bytes(there)
            self._answer(200, {}, b"{}")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(uploads, "PIECE", PIECE)
    monkeypatch.setattr(uploads, "BACKOFF", 0.01)
    monkeypatch.setattr(rest, "BACKOFF", 0.01)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(3 * PIECE + 5))
    return file


def client(url: str, deadline: float = 60.0) -> VertexClient:
    return VertexClient("p", "europe-west1", AnonymousCredentials(), Endpoints(storage=url), deadline)


def push(server: Server, file: Path, deadline: float = 60.0) -> list[int]:
    seen: list[int] = []
    client(server.url, deadline).upload(NAME, file, seen.append)
    return seen


def test_a_large_file_goes_in_pieces(server: Server, large: Path) -> None:
    assert push(server, large) == [PIECE, 2 * PIECE, 3 * PIECE, 3 * PIECE + 5]
    assert server.objects == {"a folder/ü#.bin": large.read_bytes()}
    assert server.asked == 0


def test_what_has_arrived_is_not_sent_again(server: Server, large: Path) -> None:
    server.faults = ["", "lose", "busy", "", "busy"]
    assert push(server, large)[-1] == 3 * PIECE + 5
    assert server.objects == {"a folder/ü#.bin": large.read_bytes()}
    assert server.asked == 3
    assert server.received == large.stat().st_size - PIECE // 2  # half a piece arrived before its connection broke


def test_a_first_piece_that_is_lost(server: Server, large: Path) -> None:
    server.faults = ["busy"]
    push(server, large)
    assert server.objects == {"a folder/ü#.bin": large.read_bytes()}


def test_a_session_that_is_forgotten_begins_anew(server: Server, large: Path) -> None:
    server.faults = ["", "forget", "", "", ""]
    push(server, large)
    assert server.objects == {"a folder/ü#.bin": large.read_bytes()}
    server.faults = ["forget"] * 3
    with pytest.raises(NotFoundError) as caught:
        push(server, large)
    assert "secret" not in str(caught.value)


def test_a_service_that_stays_away(server: Server, large: Path) -> None:
    server.faults = ["", "away"]
    with pytest.raises(UnavailableError, match="with status 503") as caught:
        push(server, large, deadline=0.2)
    assert "secret" not in str(caught.value)
    assert server.asked > 0
    assert server.objects == {}


def test_a_file_that_changes_meanwhile(server: Server, large: Path) -> None:
    def change(arrived: int) -> None:
        with large.open("r+b") as file:
            file.seek(2 * PIECE)
            file.write(b"another")

    with pytest.raises(BadRequestError, match="MD5 hash does not match") as caught:
        client(server.url).upload(NAME, large, change)
    assert "secret" not in str(caught.value)
    assert server.objects == {}


def test_a_file_that_shrinks_meanwhile(server: Server, large: Path) -> None:
    with pytest.raises(VertexApiError, match="cut short while it was uploaded"):
        client(server.url).upload(NAME, large, lambda arrived: os.truncate(large, PIECE))
    assert server.objects == {}


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 4 * PIECE])
def test_the_emulator_takes_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(uploads, "PIECE", PIECE)
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    with storage_emulator("shop") as url:
        storage = client(url)
        assert storage.describe_object(NAME) is None
        storage.upload(NAME, file, lambda arrived: None)
        assert storage.find_object(NAME) == file.read_bytes()
        told = storage.describe_object(NAME)
        assert told is not None
        assert (told["size"], told["md5Hash"]) == (str(size), uploads.md5_of(file))
        (listed,) = storage.list_objects("gs://shop/a folder")
        assert (listed["name"], listed["md5Hash"]) == ("a folder/ü#.bin", told["md5Hash"])
