"""The environment in which Google's own clients, unmodified, end up at an emulator: proxy, trust and credentials.

The credentials are a service account's key that is made here and known nowhere else. Clients exchange it for a token at
the emulator, which takes every token.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import certifi
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN_PATH = "/token"  # noqa: S105 - a path
ACCOUNT = "emulator@vertex-emulator.iam.gserviceaccount.com"

_CREDENTIALS, _ROOTS, _PROXY = "credentials.json", "roots.pem", "proxy"


class NotServedError(Exception):
    """No emulator serves for clients of this kind from a data folder; the text says what to do."""


def write_files(data: Path, authority: Path, url: str) -> None:
    """Write what clients need into the data folder: the certificates to trust, and credentials.

    :param authority: the emulator's own certificate.
    :param url: where it serves REST.
    :raises OSError: if they cannot be written.
    """
    roots = authority.read_text(encoding="ascii") + Path(certifi.where()).read_text(encoding="utf-8")
    _write(data / _ROOTS, roots, 0o644)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    credentials = {
        "type": "service_account",
        "project_id": "vertex-emulator",
        "private_key_id": "1",
        "private_key": text,
        "client_email": ACCOUNT,
        "client_id": "1",
        "token_uri": f"{url}{TOKEN_PATH}",
    }
    _write(data / _CREDENTIALS, json.dumps(credentials), 0o644)


def write_proxy(data: Path, proxy: str) -> None:
    """Say where the proxy serves; this file comes last."""
    _write(data / _PROXY, f"{proxy}\n", 0o644)


def files(data: Path) -> list[Path]:
    """The files that are of no use once the emulator has ended."""
    return [data / _PROXY, data / _CREDENTIALS]


def variables(data: Path, project: str = "", storage: str = "") -> dict[str, str]:
    """The variables of a process whose Google clients end up at the emulator of a data folder.

    :param project: the default project; empty for none.
    :param storage: the address of a storage emulator; empty for none.
    :raises NotServedError: if none serves there with ``--tls``.
    """
    try:
        proxy = (data / _PROXY).read_text(encoding="utf-8").strip()
    except OSError:
        raise NotServedError(
            f"no emulator that Google's clients could use runs with the data folder {data}: start it with --tls"
        ) from None
    roots, credentials = str(data / _ROOTS), str(data / _CREDENTIALS)
    found = {
        "grpc_proxy": proxy,
        "https_proxy": proxy,
        "no_proxy": "localhost,127.0.0.1,::1",
        "no_grpc_proxy": "localhost,127.0.0.1,::1",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": roots,
        "REQUESTS_CA_BUNDLE": roots,
        "SSL_CERT_FILE": roots,
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": roots,
        "GOOGLE_APPLICATION_CREDENTIALS": credentials,
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": credentials,
        # No metadata server is looked for.
        "NO_GCE_CHECK": "true",
    }
    if project:
        found |= {"GOOGLE_CLOUD_PROJECT": project, "CLOUDSDK_CORE_PROJECT": project}
    if storage:
        found["STORAGE_EMULATOR_HOST"] = storage
    return found


def as_shell(found: Mapping[str, str]) -> str:
    """The variables as lines for a shell's ``eval``."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())


def _write(path: Path, text: str, mode: int) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=mode)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
