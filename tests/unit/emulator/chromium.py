"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import websocket

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


class NavigatedError(Exception):
    """The page that was asked gave way to another before it answered."""


class Chromium:
    """One browser with one page.

    :param folder: where its profile goes.
    """

    def __init__(self, folder: Path) -> None:
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
        ]
        self._process = subprocess.Popen(
            [str(PROGRAM), *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._next = 0
        self.events: list[dict[str, Any]] = []
        port_file = folder / "DevToolsActivePort"
        self.until(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1)
        port = port_file.read_text().splitlines()[0]
        pages = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=30).json()
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._socket = websocket.create_connection(url, timeout=30, suppress_origin=True)
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(30)

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

    def open(self, url: str) -> None:
        """Go to a page."""
        self.send("Page.navigate", url=url)

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

    def until(self, condition: Any, what: str = "") -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"not within 60 seconds: {what}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element."""
        self.wait_for(f"document.querySelector({selector!r})")
        box = self.value(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'nearest'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.value(f"(document.querySelector({selector!r}) || {{}}).innerText || ''"))

    def faults(self) -> list[str]:
        """Errors, warnings and dialogs since the start; a broken content security policy is among them."""
        self.value("1")
        found = [e["params"]["entry"]["text"] for e in self.events if e["method"] == "Log.entryAdded"]
        found += [json.dumps(e["params"]) for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        found += [e["params"]["message"] for e in self.events if e["method"] == "Page.javascriptDialogOpening"]
        return found
