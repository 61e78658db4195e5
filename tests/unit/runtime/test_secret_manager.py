"""Environment variables from Secret Manager, on a small server that speaks its API."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.errors import ServiceError
from airflow_provider_kedro_vertex.runtime.google import auth as google_auth
from airflow_provider_kedro_vertex.runtime.google import secret_manager
from tests.unit.runtime.containers import Project

NAME = "projects/p/secrets/token/versions/latest"
ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"


class Server(ThreadingHTTPServer):
    """Answers with statuses in turn, and the last one for good; a secret's value where the status is 200."""

    value = b"s3cret \xc5\xbc\n"
    statuses = (200,)

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def answer(self) -> tuple[int, dict[str, Any]]:
        status = self.statuses[min(len(self.asked), len(self.statuses)) - 1]
        payload = {"data": base64.b64encode(self.value).decode(), "dataCrc32c": "1"}
        return status, {"name": NAME, "payload": payload} if status == 200 else {"error": {"code": status}}


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status, body = self.server.answer()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(google_auth, "_BACKOFF", 0.0)
        monkeypatch.setenv("TOKEN", "of the image")  # so that it is put back
        yield server
        server.shutdown()
        thread.join()


def test_a_secret(server: Server) -> None:
    secret_manager.set_variables({"TOKEN": NAME})
    assert os.environ["TOKEN"] == "s3cret ż\n"
    assert server.asked == [(f"/v1/{NAME}:access", None)], "no credentials without TLS"


def test_a_server_that_is_busy_is_asked_again(server: Server) -> None:
    server.statuses = (503, 429, 200)
    secret_manager.set_variables({"TOKEN": NAME})
    assert len(server.asked) == 3


def test_a_server_that_stays_busy(server: Server) -> None:
    server.statuses = (503,)
    with pytest.raises(ServiceError, match=r"TOKEN \(projects/p/secrets/token/versions/latest\).*503"):
        secret_manager.set_variables({"TOKEN": NAME})
    assert os.environ["TOKEN"] == "of the image"


@pytest.mark.parametrize(
    ("status", "said"), [(403, "secretmanager.secretAccessor"), (404, "no such secret"), (400, "disabled")]
)
def test_a_secret_that_is_refused(server: Server, status: int, said: str) -> None:
    server.statuses = (status,)
    with pytest.raises(ConfigError, match=said):
        secret_manager.set_variables({"TOKEN": NAME})
    assert len(server.asked) == 1


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\0b"])
def test_a_value_that_is_no_text(server: Server, value: bytes) -> None:
    server.value = value
    with pytest.raises(ConfigError, match="secret_env: TOKEN"):
        secret_manager.set_variables({"TOKEN": NAME})
    assert os.environ["TOKEN"] == "of the image"


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    with pytest.raises(ServiceError, match="could not be reached"):
        secret_manager.set_variables({"TOKEN": NAME})


@pytest.mark.parametrize("name", ["token", "projects/p/secrets/s", "projects/p/secrets/../versions/1", f"{NAME}/../x"])
def test_a_name_that_is_none(server: Server, name: str) -> None:
    with pytest.raises(ConfigError, match="write projects/PROJECT/secrets"):
        secret_manager.set_variables({"TOKEN": name})
    assert server.asked == []


def test_a_node_finds_it_in_its_environment_and_no_log_does(server: Server, shop: Project) -> None:
    secret = shop.with_variables(**{ENDPOINT: os.environ[ENDPOINT]})
    settings = {"secret_env": {"KEDRO_CONFIG_TOKEN": NAME}}
    arguments = secret.arguments("environment", pipeline="environment")
    result = secret.command(*arguments, "--settings", json.dumps(settings))
    assert result.code == 0, result.log
    assert shop.json("data/seen.json")["KEDRO_CONFIG_TOKEN"] == "s3cret ż\n"
    assert "s3cret" not in result.log
    server.statuses = (404,)
    refused = secret.command(*arguments, "--settings", json.dumps(settings))
    assert (refused.code, refused.last["node"]) == (2, None)
    assert "KEDRO_CONFIG_TOKEN" in refused.last["error"]
