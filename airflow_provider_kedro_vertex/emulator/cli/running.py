"""An emulator that serves, found by its data folder and asked over its own routes."""

from __future__ import annotations

import json
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

#: Seconds for an answer. A reset ends containers first, which have ten seconds to end by themselves.
SECONDS = 60.0


class RunningError(Exception):
    """It cannot be asked; the text is one line that says why and what to do."""


@dataclass(frozen=True)
class RunningEmulator:
    """An emulator that serves.

    :param data: its data folder.
    :param url: where it serves REST.
    :param grpc: where it serves gRPC.
    """

    data: Path
    url: str
    grpc: str

    def ask(self, method: str, route: str, body: Any = None) -> Any:
        """Call one of its own routes, below ``/_emulator/``.

        :raises RunningError: it does not answer, or refuses what is asked.
        """
        content = None if body is None else json.dumps(body).encode()
        address = f"{self.url}/_emulator/{route}"
        request = urllib.request.Request(address, content, {"content-type": "application/json"}, method=method)  # noqa: S310 - http(s), see `find`
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.url.startswith("https:"):
            trust = ssl.create_default_context(cafile=str(self.data / "ca.pem"))
            handlers.append(urllib.request.HTTPSHandler(context=trust))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise RunningError(_refusal(error.read())) from None
        except (OSError, ValueError) as error:
            raise RunningError(
                f"the emulator at {self.url} does not answer ({error}); if it was killed, start it again"
            ) from None


def find(folder: str) -> RunningEmulator:
    """Find the emulator that serves from a data folder.

    :raises RunningError: none does.
    """
    data = Path(folder).resolve()
    try:
        url, grpc = ((data / name).read_text(encoding="utf-8").strip() for name in ("url", "grpc"))
    except (OSError, ValueError):
        raise RunningError(f"no emulator serves from the data folder {data}: start one, or name its --data") from None
    if not url.startswith(("http://", "https://")):
        raise RunningError(f"{data / 'url'} is no emulator's: start one, or name its --data")
    return RunningEmulator(data, url, grpc)


def _refusal(content: bytes) -> str:
    try:
        return "; ".join(str(json.loads(content)["error"]["message"]).splitlines())
    except (ValueError, LookupError, TypeError):
        return f"it refuses: {content[:200]!r}"
