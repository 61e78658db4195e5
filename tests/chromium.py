"""A headless Chromium, driven over its DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Emulation), tried with Chromium 130 and newer.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import websocket
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: None where there is none.
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
#: How long to wait for anything.
SECONDS = 60


class NavigatedError(Exception):
    """The page that was asked gave way to another before it answered."""


class Chromium:
    """One browser with one page.

    :param folder: where its profile goes.
    :param width: of the page, in pixels.
    :param height: of the page, in pixels.
    """

    def __init__(self, folder: Path, *, width: int, height: int) -> None:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        self._process = subprocess.Popen(
            [str(CHROMIUM), *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._next = 0
        self.events: list[dict[str, Any]] = []
        try:
            self._socket = websocket.create_connection(
                self._page(folder / "profile" / "DevToolsActivePort"), timeout=120, suppress_origin=True
            )
        except BaseException:
            self._end()
            raise
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def _page(self, port_file: Path) -> str:
        # Two lines, the port and a path: the file is there before its content.
        self.until(lambda: port_file.exists() and len(port_file.read_text().split()) == 2, "port of Chromium")
        port = port_file.read_text().split()[0]
        pages = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=120).json()
        return next(str(page["webSocketDebuggerUrl"]) for page in pages if page["type"] == "page")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(120)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what happens meanwhile goes to ``events``."""
        self._next += 1
        self._socket.send(json.dumps({"id": self._next, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._next:
                if "navigated" in message.get("error", {}).get("message", ""):
                    raise NavigatedError(message)
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def open(self, url: str, *texts: str) -> None:
        """Go to a page, and return once all of these texts are in it."""
        self.send("Page.navigate", url=url)
        self.wait_for_texts(*texts)

    def wait_for_texts(self, *texts: str) -> None:
        """Wait until all of these texts are in the page."""
        deadline = time.monotonic() + SECONDS
        while missing := [text for text in texts if text not in (shown := self._shown())]:
            assert time.monotonic() < deadline, f"the page does not show {missing}; it shows:\n{shown}"
            time.sleep(0.05)

    def _shown(self) -> str:
        try:
            return str(self.value("document.body ? document.body.innerText : ''"))
        except NavigatedError:
            return ""

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true, perhaps in a page that comes meanwhile."""

        def holds() -> bool:
            try:
                return bool(self.value(f"Boolean({expression})"))
            except NavigatedError:
                return False

        self.until(holds, expression)

    def until(self, condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} seconds: {what}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element."""
        self.click_element(f"document.querySelector({selector!r})")

    def click_element(self, expression: str) -> None:
        """Click with the mouse on the middle of the element that an expression finds."""
        self.wait_for(expression)
        box = self.value(
            f"(() => {{ const e = {expression}; e.scrollIntoView({{block: 'nearest'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.value(f"(document.querySelector({selector!r}) || {{}}).innerText || ''"))

    def picture(self, file: Path) -> None:
        """Write what is in the window as a PNG; 256 colours are enough for a page, and half of the bytes."""
        file.parent.mkdir(parents=True, exist_ok=True)
        png = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(file, optimize=True)

    def faults(self) -> list[str]:
        """Errors, warnings and dialogs since the start; a broken content security policy is among them."""
        self.value("1")
        found = [e["params"]["entry"]["text"] for e in self.events if e["method"] == "Log.entryAdded"]
        found += [json.dumps(e["params"]) for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        found += [e["params"]["message"] for e in self.events if e["method"] == "Page.javascriptDialogOpening"]
        return found
