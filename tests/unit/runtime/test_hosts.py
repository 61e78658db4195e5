"""Host aliases, in a process of their own: they are for its whole life."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings

LOOK_UP = """
import socket, sys, threading, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from airflow_provider_kedro_vertex.runtime.process.hosts import add_aliases
from airflow_provider_kedro_vertex.core.settings.container import HostAlias

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())
    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
add_aliases([HostAlias("127.0.0.1", ("mlflow.internal", "mlflow")), HostAlias("10.9.8.7", ("mlflow", "other"))])
for name in ("mlflow.internal", "MLflow", "mlflow."):
    with urllib.request.urlopen(f"http://{name}:{server.server_port}/", timeout=120) as answer:
        assert answer.read().decode() == f"{name}:{server.server_port}", "the server is asked by its name"
assert socket.gethostbyname("other") == "10.9.8.7"
assert socket.getaddrinfo("127.0.0.1", 80)[0][4][0] == "127.0.0.1"
assert socket.getaddrinfo(None, 80)
try:
    socket.getaddrinfo("no-such-name.invalid", 80)
except socket.gaierror:
    print("asked DNS")
"""


def test_names_resolve_to_their_addresses() -> None:
    result = subprocess.run([sys.executable, "-c", LOOK_UP], check=True, capture_output=True, text=True, timeout=60)
    assert result.stdout == "asked DNS\n"


def test_an_address_that_is_none() -> None:
    aliases = {"host_aliases": [{"ip": "mlflow.internal", "hostnames": ["mlflow"]}]}
    with pytest.raises(ConfigError, match=r"host_aliases\.0\.ip must be an IP address .*, not 'mlflow\.internal'"):
        RuntimeSettings.from_json(json.dumps(aliases))
