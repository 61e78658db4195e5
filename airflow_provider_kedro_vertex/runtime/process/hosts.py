"""Host aliases: names that this process looks up in its own table, and only then in DNS.

kedro-vertexai appends lines to ``/etc/hosts``, which needs root in the image, and which on the emulator would be the
developer's own file. Here Python's own lookup is told instead; every client that is written in Python uses it
(requests, urllib3, MLflow, gcsfs). What looks names up by itself does not see the aliases: gRPC, libpq, a JVM, and
other processes. For those, give the name to a Cloud DNS zone (``run_config.network.psc_interface.dns_peering``).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from airflow_provider_kedro_vertex.core.settings.container import HostAlias


def add_aliases(aliases: Iterable[HostAlias]) -> None:
    """Let the host names resolve to their addresses, for the rest of this process."""
    addresses: dict[str, str] = {}
    for item in aliases:
        for name in item.hostnames:
            addresses.setdefault(_canonical(name), item.ip)  # the first line wins, as in /etc/hosts
    if not addresses:
        return
    getaddrinfo, gethostbyname = socket.getaddrinfo, socket.gethostbyname

    def look_up(host: Any, *arguments: Any, **named: Any) -> Any:
        return getaddrinfo(addresses.get(_canonical(host), host), *arguments, **named)

    def look_up_ipv4(hostname: Any) -> str:
        return gethostbyname(addresses.get(_canonical(hostname), hostname))

    socket.getaddrinfo = look_up
    socket.gethostbyname = look_up_ipv4


def _canonical(host: Any) -> str:
    text = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    return text.rstrip(".").lower()
