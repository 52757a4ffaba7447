"""The log of requests, ``mmsync.client``: one record a request at DEBUG, retries at INFO, waits that are felt at NOTICE.

Never in it: headers, bodies, the user in an address, values of a query.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from mmsync.printable import printable

if TYPE_CHECKING:
    import requests

LOG = logging.getLogger("mmsync.client")
NOTICE = 25
"""Between INFO and WARNING: where nobody configured logging, Python itself would write a warning to stderr."""

LONG_WAIT = 2.0  # seconds: a shorter wait is over before it is read about
SILENCE = 10.0  # seconds without a byte of an answer, after each of which that is said


class _Current(threading.local):
    attempt = 1  # the number of the attempt that this thread is at
    request = "a request"  # the one it waits for


current = _Current()


def request_text(method: str, url: str) -> str:
    """Return a request in words: method and path, of a query its names alone."""
    parts = urlsplit(url)
    names = "&".join(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return printable(f"{method.upper()} {parts.path or '/'}" + (f"?{names}" if names else ""), 300)


class RequestRecord:
    """One request, from when it is sent to the last byte of its answer; logged once."""

    def __init__(self, method: str, url: str) -> None:
        self._request = request_text(method, url)
        self._began = time.monotonic()
        self._attempt = current.attempt
        self._is_open = True
        self.sent = 0  # bytes of its body

    def failed(self, error: Exception) -> None:
        """Log that no answer came."""
        self._log(f"failed ({printable(str(error), 200)})", "")

    def ended(self, response: requests.Response) -> None:
        """Log that the answer was read, or given up."""
        received = 0
        with contextlib.suppress(AttributeError, OSError, ValueError):  # a stand-in's, or closed
            received = response.raw.tell()
        self._log(str(response.status_code), f", received {received:,} bytes")

    def _log(self, outcome: str, received: str) -> None:
        if self._is_open:
            self._is_open = False
            took = (time.monotonic() - self._began) * 1000
            what = "%s: %s in %.0f ms, sent %s bytes%s, attempt %d"
            LOG.debug(what, self._request, outcome, took, f"{self.sent:,}", received, self._attempt)


def begin(method: str, url: str) -> RequestRecord | None:
    """Return the record of a request that is about to be sent; None where nobody would read it."""
    return RequestRecord(method, url) if LOG.isEnabledFor(logging.DEBUG) else None


def end(response: requests.Response) -> None:
    """Log that the answer was read, or given up, where its request is being recorded."""
    record = getattr(response, "mmsync_record", None)
    if record is not None:
        record.ended(response)
