"""The status of a watcher that runs elsewhere, over HTTP."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import requests

from mmsync.errors import MmsyncError
from mmsync.printable import masked_url, printable
from mmsync.status.document import read_document
from mmsync.status.model import Status

_MOST = 256 << 20  # bytes: a hundred thousand models are 30 MB


class WatcherUnreachable(MmsyncError):
    """Nobody answers at a watcher's address."""


def fetch_status(url: str, timeout: float) -> Status:
    """Return the status that the watcher at ``url`` tells; ``timeout`` is in seconds, for each answer to begin.

    Raises `WatcherUnreachable` where nobody answers there, `MmsyncError` where somebody else does.
    """
    base = (url if "://" in url else f"http://{url}").rstrip("/").removesuffix("/api/status")
    where = masked_url(base)
    if urlsplit(base).scheme not in ("http", "https"):
        raise MmsyncError(
            f"{where} is no address of a watcher", "such as http://127.0.0.1:8787, as watch --listen says"
        )
    try:
        with requests.Session() as session:
            session.trust_env = False  # a watcher is not behind a proxy, and .netrc is none of its business
            with session.get(f"{base}/api/status", timeout=timeout, stream=True, allow_redirects=False) as answer:
                body = _body(answer, where)
    except requests.Timeout as error:
        raise MmsyncError(f"{where} does not answer within {timeout:g} s", "give it longer: --timeout") from error
    except requests.ConnectionError as error:
        hint = "it is the address that mmsync watch --listen HOST:PORT says in its log"
        raise WatcherUnreachable(f"no watcher answers at {where}: {_reason(error)}", hint) from error
    except (requests.RequestException, ValueError) as error:
        raise MmsyncError(f"{where} cannot be asked: {printable(str(error))}") from error
    if answer.status_code != requests.codes.ok:
        said = printable(body[:200].decode("utf-8", "replace").strip())
        raise MmsyncError(f"{where} answered {answer.status_code}: {said}", "is a watcher's --listen there?")
    try:
        return read_document(json.loads(body))
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        why = "what answers there is no watcher of mmsync, or one of another version"
        raise MmsyncError(f"{where} answered something else than a status", why) from error


def _body(answer: requests.Response, where: str) -> bytes:
    """Return what is answered; more than any status is read no further, and is none."""
    body = bytearray()
    try:
        for piece in answer.iter_content(1 << 16):
            body += piece
            if len(body) > _MOST:
                break
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise MmsyncError(f"the answer of {where} broke off: {_reason(error)}", "ask again") from error
    return bytes(body)


def _reason(error: requests.RequestException) -> str:
    text = str(error)
    return "connection refused" if "refused" in text else printable(text.rpartition(": ")[2].strip("\"'()"), 120)
