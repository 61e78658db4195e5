"""Files to Cloud Storage: in one request, or where they are large in pieces, so that a lost one is not sent again.

Each is checked by its MD5 there, so that an object appears whole and as its file was, or not at all. Source of the
protocol: Cloud Storage's pages "Multipart uploads" and "Resumable uploads" of the JSON API v1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl, quote, urlsplit

import requests

from airflow_provider_kedro_vertex.core.errors import (
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
    VertexApiError,
)
from airflow_provider_kedro_vertex.vertex.rest import BACKOFF, MAX_BACKOFF, RestSession

SERVICE = "Cloud Storage"
#: Bytes of a piece, a multiple of 256 KiB as the protocol asks for; smaller files go in one request.
PIECE = 8 * 1024 * 1024
#: How often an upload may begin anew, since Cloud Storage has forgotten it.
_MAX_STARTS = 3

#: Called with the bytes of a file that have arrived.
Progress = Callable[[int], None]


def md5_of(path: Path) -> str:
    """The MD5 of a file as Cloud Storage writes it: in base64.

    :raises OSError: it cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return base64.b64encode(digest.digest()).decode()


def upload(rest: RestSession, storage: str, url: str, path: Path, progress: Progress) -> None:
    """Write a file to an object, over one of the same name.

    :param storage: scheme and host of Cloud Storage.
    :param url: ``gs://bucket/name``.
    :raises OSError: the file cannot be read.
    :raises VertexApiError: Cloud Storage refuses it or cannot be reached; 400 also for a file that changed meanwhile.
    """
    bucket, _, name = url.removeprefix("gs://").partition("/")
    address = f"{storage}/upload/storage/v1/b/{quote(bucket, safe='')}/o"
    size = path.stat().st_size
    if size <= PIECE:
        _in_one_request(rest, address, name, path.read_bytes())
        progress(size)
        return
    with path.open("rb") as file:
        _Pieces(rest, address, name, file, size, md5_of(path), progress).send()


def _in_one_request(rest: RestSession, address: str, name: str, data: bytes) -> None:
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    boundary = uuid.uuid4().hex
    about = json.dumps({"name": name, "md5Hash": md5})
    body = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{about}\r\n"
        f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
    ).encode()
    rest.call(
        SERVICE,
        "POST",
        address,
        params={"uploadType": "multipart"},
        data=body + data + f"\r\n--{boundary}--\r\n".encode(),
        headers={"Content-Type": f"multipart/related; boundary={boundary}"},
    )


class _Pieces:
    """A large file on its way.

    The address of a session lets everybody who knows it write the object, so that it gets into no message.
    """

    def __init__(
        self, rest: RestSession, address: str, name: str, file: BinaryIO, size: int, md5: str, progress: Progress
    ) -> None:
        self._rest = rest
        self._address = address
        self._about = {"name": name, "md5Hash": md5}
        self._file = file
        self._size = size
        self._progress = progress

    def send(self) -> None:
        for start in range(_MAX_STARTS):
            session = self._start()
            try:
                self._send_all(session)
                return
            except NotFoundError:  # 404 and 410: the session is over
                if start == _MAX_STARTS - 1:
                    raise

    def _start(self) -> dict[str, str]:
        """Begin; return the query of the session's address."""
        answer = self._rest.respond(
            SERVICE,
            "POST",
            self._address,
            params={"uploadType": "resumable", "name": self._about["name"]},
            json=self._about,
            headers={
                "X-Upload-Content-Type": "application/octet-stream",
                "X-Upload-Content-Length": str(self._size),
            },
        )
        # The host is known: credentials go nowhere else, whatever the answer says.
        return dict(parse_qsl(urlsplit(answer.headers.get("Location", "")).query))

    def _send_all(self, session: dict[str, str]) -> None:
        arrived, failed_since, pause = 0, None, BACKOFF
        while True:
            try:
                if failed_since is None:
                    answer = self._send_piece(session, arrived)
                else:
                    answer = self._put(session, f"bytes */{self._size}", b"")
            except (QuotaExceededError, UnavailableError) as error:
                failed_since = failed_since or time.monotonic()
                wait = max(random.uniform(pause / 2, pause), error.retry_after or 0.0)  # noqa: S311 - spreads load
                if time.monotonic() + wait - failed_since > self._rest.deadline:
                    raise
                time.sleep(wait)
                pause = min(pause * 2, MAX_BACKOFF)
                continue
            failed_since, pause = None, BACKOFF
            if answer.status_code != 308:
                self._progress(self._size)
                return
            arrived = _arrived(answer)
            self._progress(arrived)

    def _send_piece(self, session: dict[str, str], start: int) -> requests.Response:
        self._file.seek(start)
        piece = self._file.read(min(PIECE, self._size - start))
        if not piece:
            raise VertexApiError(f"The file of {self._about['name']!r} was cut short while it was uploaded.")
        return self._put(session, f"bytes {start}-{start + len(piece) - 1}/{self._size}", piece)

    def _put(self, session: dict[str, str], content_range: str, data: bytes) -> requests.Response:
        return self._rest.respond(
            SERVICE,
            "PUT",
            self._address,
            deadline=0.0,
            params=session,
            data=data,
            headers={"Content-Range": content_range},
            allow_redirects=False,
        )


def _arrived(answer: requests.Response) -> int:
    """How many bytes are there, by the header ``Range: bytes=0-LAST``; without one there are none."""
    last = answer.headers.get("Range", "").rpartition("-")[2]
    return int(last) + 1 if last.isdecimal() else 0
