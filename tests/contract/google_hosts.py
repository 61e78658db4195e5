"""Google's host names, pointed at this machine for unmodified clients.

gRPC resolves names in C, so nothing in Python can answer for it; and a resolver could change the address but not the
port, which is 443 and only root may bind. A proxy changes both: gRPC hands it the name unresolved (``CONNECT
europe-west1-aiplatform.googleapis.com:443``) and speaks TLS through it to the end, so the client still checks the
certificate of the name it asked for. It works for any user and without a network namespace, which containers often
forbid. ``grpc_proxy`` in the environment is the clients' own documented switch for it.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress


@contextmanager
def pointed_here(targets: Mapping[str, str]) -> Iterator[str]:
    """Serve a proxy that connects ``host:port`` to another ``host:port`` and refuses all else; gives its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            client: socket.socket = self.request
            asked = _head(client).split()
            target = targets.get(asked[1].decode()) if len(asked) > 1 and asked[0] == b"CONNECT" else None
            if target is None:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_copy, args=(server, client))
                back.start()
                _copy(client, server)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (more := client.recv(4096)):
        head += more
    return head


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
