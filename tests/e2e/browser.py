"""Headless Chromium over its DevTools protocol: open a page, wait for its text, take a picture.

https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Emulation), tried with Chromium 130 and newer.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import websocket
from PIL import Image

from dags_examples.demo.processes import Processes
from dags_examples.demo.rest import get_json
from dags_examples.demo.stack import environment

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
START_SECONDS = 60
TEXT_SECONDS = 30


def find() -> str | None:
    """Where Chromium is; None when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class NavigatedError(Exception):
    """The page that was asked gave way to another before it answered."""


class Browser:
    """One page of a headless Chromium with a profile of its own."""

    def __init__(self, program: str, folder: Path, *, width: int, height: int) -> None:
        self._processes = Processes(folder / "logs")
        self._port_file = folder / "profile" / "DevToolsActivePort"
        argv = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        argv += ["--remote-debugging-port=0", "--remote-allow-origins=*"]
        argv += [f"--user-data-dir={folder / 'profile'}", "--disable-background-networking", "about:blank"]
        self._processes.start("chromium", argv, env=environment())
        self._size = {"width": width, "height": height}
        self._last_id = 0

    def __enter__(self) -> Browser:
        try:
            self._processes.until(self._written, "port of Chromium", START_SECONDS)
            port = self._port_file.read_text().split()[0]
            page = next(page for page in get_json(f"http://127.0.0.1:{port}/json") if page["type"] == "page")
            self._socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=TEXT_SECONDS)
            self._call("Emulation.setDeviceMetricsOverride", **self._size, deviceScaleFactor=1, mobile=False)
        except BaseException:
            self._processes.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
        self._processes.stop()

    def open(self, url: str, *texts: str) -> None:
        """Open a page and return once all of these texts are in it."""
        self._call("Page.navigate", url=url)
        self.wait_for(*texts)

    def wait_for(self, *texts: str) -> None:
        """Return once all of these texts are in the page."""
        deadline = time.monotonic() + TEXT_SECONDS
        while missing := [text for text in texts if text not in (shown := self._text())]:
            if time.monotonic() > deadline:
                raise AssertionError(f"the page does not show {missing}; it shows:\n{shown}")
            time.sleep(0.2)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def _written(self) -> bool:
        # Two lines, the port and a path: the file is there before its content.
        return self._port_file.exists() and len(self._port_file.read_text().split()) == 2

    def _text(self) -> str:
        try:
            return str(self.evaluate("document.body ? document.body.innerText : ''"))
        except NavigatedError:
            return ""

    def picture(self, file: Path) -> None:
        """Write what is in the window as a PNG; 256 colours are enough for a page, and half of the bytes."""
        file.parent.mkdir(parents=True, exist_ok=True)
        png = base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
        Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(file, optimize=True)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._last_id:
                if "navigated" in message.get("error", {}).get("message", ""):
                    raise NavigatedError(message)
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
