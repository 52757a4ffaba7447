"""A real browser, headless Chromium, driven over a pipe: two file descriptors and JSON, nothing to install."""

from __future__ import annotations

import base64
import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

__all__ = ["Browser", "Page", "chromium", "needs_chromium"]

# Chromium reads from descriptor 3 and writes to 4.
_ON_3_AND_4 = """
import os, sys
read, write = (os.dup(os.dup(os.dup(int(each)))) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 30.0  # seconds; only a failing test waits that long


def chromium():
    """Return the command of Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


# For a file's ``pytestmark``.
needs_chromium = pytest.mark.skipif(chromium() is None, reason="Chromium is not installed (Debian's package chromium)")


class Browser:
    """One process; a page in it is its own window, with its own cookies."""

    def __init__(self, command):
        self._folder = tempfile.TemporaryDirectory(prefix="mmsync-browser-", ignore_cleanup_errors=True)
        to_read, write = os.pipe()
        read, to_write = os.pipe()
        words = [
            command,
            "--headless",
            "--no-sandbox",  # it shows our own pages alone, and refuses to start as root without
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--remote-debugging-pipe",
            f"--user-data-dir={self._folder.name}",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ON_3_AND_4, str(to_read), str(to_write), *words],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "TMPDIR"), self._folder.name)},
        )
        os.close(to_read)
        os.close(to_write)
        self._write, self._read = os.fdopen(write, "wb", buffering=0), os.fdopen(read, "rb", buffering=0)
        self._numbers = itertools.count(1)
        self._answers = {}
        self._news = threading.Condition()
        self._pages = {}
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def call(self, method, session=None, **parameters):
        """Send a command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        with self._news:
            self._write.write(json.dumps(message).encode() + b"\0")
            assert self._news.wait_for(lambda: number in self._answers, PATIENCE), f"no answer to {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def page(self, **options):
        """Open an empty page."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, target)
        page.begin(**options)
        return page

    def close(self):
        """End it, and whatever it left on the disk."""
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)
        self._write.close()
        self._read.close()
        self._folder.cleanup()

    def _listen(self):
        rest = b""
        while piece := self._read.read(1 << 16):
            *whole, rest = (rest + piece).split(b"\0")
            for text in whole:
                message = json.loads(text)
                with self._news:
                    if "id" in message:
                        self._answers[message["id"]] = message
                    elif (page := self._pages.get(message.get("sessionId"))) is not None:
                        page.events.put(message)
                    self._news.notify_all()


class Page:
    """One page. What the browser complains of (errors of scripts, violations of the policy) is kept in ``complaints``."""

    def __init__(self, browser, session, target):
        self._browser = browser
        self._session = session
        self._target = target
        self.events = queue.SimpleQueue()
        self.complaints = []

    def call(self, method, **parameters):
        return self._browser.call(method, self._session, **parameters)

    def begin(self, *, width=1280, height=900, dark=False, scripts=True):
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        self.resize(width, height)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url):
        """Go to an address; return when the page and its styles are there and its scripts have begun."""
        loader = self.call("Page.navigate", url=url)["loaderId"]
        self._until_loaded(loader)

    def evaluate(self, expression):
        """Return what an expression of JavaScript comes to, a promise's value where it is one."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        self._sort_events()
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, patience=PATIENCE):
        """Wait until an expression is true; return its value."""
        deadline = time.monotonic() + patience
        while not (value := self._evaluate_unless_leaving(expression)):
            assert time.monotonic() < deadline, f"{expression} did not become true: {self.text()[:2000]}"
            time.sleep(0.02)
        return value

    def _evaluate_unless_leaving(self, expression):
        try:
            return self.evaluate(expression)
        except AssertionError as error:
            if "navigated" not in str(error):
                raise
            return None  # the page was on its way to the next

    def text(self):
        return self.evaluate("document.body.innerText")

    def press(self, key, code=0, text=None):
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **extra)

    def type(self, text):
        for character in text:
            self.press(character, text=character)

    def screenshot(self, path, *, whole=True):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _until_loaded(self, loader):
        """Wait for this navigation's own end: that of the one before may still be in the queue."""
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self.events.get(timeout=max(deadline - time.monotonic(), 0.001))
            self._note(message)
            of = message["params"]
            if message["method"] == "Page.lifecycleEvent" and (of["loaderId"], of["name"]) == (loader, "load"):
                return

    def _sort_events(self):
        while not self.events.empty():
            self._note(self.events.get())

    def _note(self, message):
        if message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(message["params"]["exceptionDetails"])
        elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.complaints.append(message["params"]["entry"]["text"])
        elif message["method"] == "Runtime.consoleAPICalled" and message["params"]["type"] == "error":
            self.complaints.append(message["params"]["args"])
