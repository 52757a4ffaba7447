"""A real browser without a window: pages opened and forms sent as people do; tests skip where there is none.

It is spoken to over a pipe, in the browser's own protocol (https://chromedevtools.github.io/devtools-protocol/): no driver is
needed, no port is opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="no Chromium (Debian has it in the package chromium)")


class Browser:
    """One page of a browser."""

    def __init__(self, into: int, out_of: int) -> None:
        self._into, self._out_of = into, out_of
        self._number = 0
        self._session: str | None = None
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        pages = [each for each in self.ask("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        self._session = self.ask("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **values: Any) -> dict[str, Any]:
        """Send a command and return its answer; events that come before it are kept."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        os.write(
            self._into, json.dumps({"id": self._number, "method": method, "params": values, **session}).encode() + b"\0"
        )
        while (message := self._next()).get("id") != self._number:
            self._events.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, url: str) -> None:
        """Open an address, and wait until it is there."""
        self._events = [each for each in self._events if each["method"] != "Page.loadEventFired"]
        self.ask("Page.navigate", url=url)
        self._until_loaded()

    def evaluate(self, expression: str, *, leads_on: bool = False) -> Any:
        """Return what a JavaScript expression comes to; with ``leads_on`` wait for the page that it leads to."""
        self._events = [each for each in self._events if each["method"] != "Page.loadEventFired"]
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        if leads_on:
            self._until_loaded()
        return answer["result"].get("value")

    @property
    def complaints(self) -> list[str]:
        """Return what the browser has complained of so far: what a policy forbade, what failed to load or to run."""
        return [
            each["params"]["entry"]["text"]
            for each in self._events
            if each["method"] == "Log.entryAdded" and each["params"]["entry"]["level"] == "error"
        ] + [str(each["params"]) for each in self._events if each["method"] == "Runtime.exceptionThrown"]

    def _until_loaded(self) -> None:
        while not any(each["method"] == "Page.loadEventFired" for each in self._events):
            self._events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._out_of, 1 << 16)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def browsing(*, width: int = 1280, dark: bool = False) -> Iterator[Browser]:
    """A browser for the length of the ``with``, with nothing in it from another time."""
    (their_in, into), (out_of, their_out) = os.pipe(), os.pipe()
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        for descriptor in (into, out_of):
            stack.callback(os.close, descriptor)
        flags = f"--headless --no-sandbox --disable-gpu --remote-debugging-pipe --user-data-dir={home} about:blank"
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" {flags} 3<&{their_in} 4>&{their_out}', str(PROGRAM)],
            pass_fds=(their_in, their_out),
            env={**os.environ, "TMPDIR": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_in)
        os.close(their_out)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        browser = Browser(into, out_of)
        browser.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = "dark" if dark else "light"
        browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        yield browser
