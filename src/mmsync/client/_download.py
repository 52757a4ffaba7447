"""A model's detail taken from an answer in constant memory, its bytes handed on as they come."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, BinaryIO

from mmsync.client._answers import body_chunks, length_of, unexpected
from mmsync.client._image_json import ImageSplitter, Malformed
from mmsync.client.error import TransportError, UnexpectedResponse
from mmsync.client.shapes import ImageContent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    import requests

    class Target(Protocol):
        """What downloaded bytes are written to."""

        def write(self, data: bytes, /) -> object:
            """Take the next bytes."""

        def rewind(self) -> bool:
            """Forget what was written, so that a download can start again; return whether that is possible."""


__all__ = ["FileTarget", "fetch_detail", "fetch_image"]

_CHUNK = 1 << 17
_UNLIMITED = 1 << 62
# Bytes of an image that are taken before its size must be known, and those dropped that nobody asked for.
_UNDECLARED, _UNASKED = 64 << 20, 1 << 30


class FileTarget:
    """A caller's file, or nothing at all, as what a download is written to.

    Args:
        file: Opened for writing in binary mode, or None.

    Raises:
        TypeError: It is a path, or anything else that bytes cannot be written to.
    """

    def __init__(self, file: BinaryIO | None) -> None:
        if file is not None and not hasattr(file, "write"):
            kind = type(file).__name__
            raise TypeError(f"file must be a binary file open for writing, such as open(path, 'wb'), not {kind}")
        self._file = file
        self._start = file.tell() if file is not None and file.seekable() else None
        self._touched = False

    def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        if self._file is None:
            return
        self._touched = True
        rest = memoryview(data)
        while rest:
            # A raw file may take less than it is given, and None or 0 where it would block.
            rest = rest[self._file.write(rest) or 0 :]

    def rewind(self) -> bool:
        """Cut the file back to where the download began; False where it cannot seek."""
        if self._file is None or not self._touched:
            return True
        if self._start is None:
            return False
        self._file.seek(self._start)
        self._file.truncate()
        return True


def fetch_image(
    response: requests.Response,
    target: Target,
    on_progress: Callable[[int, int], object] | None = None,
    size_of: Callable[[], object] = lambda: None,
) -> tuple[Any, ImageContent | None]:
    """Read a detail with its bytes; write those to ``target``.

    Args:
        response: The answer, its body unread.
        target: Gets the bytes.
        on_progress: Called with (bytes done, bytes in all or an estimate of it).
        size_of: Asks the server for the image's size, where neither that nor the answer's length was said.

    Returns:
        The detail, with an empty string for the bytes, and what they were; None for them where there were none.

    Raises:
        TransportError: The answer was cut short.
        UnexpectedResponse: It is not JSON, the bytes are not base64, or not as many as the server says.
    """
    digest, done = hashlib.sha256(), 0
    total = length_of(response) * 3 // 4
    limit: object = None

    def take(data: bytes) -> None:
        nonlocal done, limit, total
        done += len(data)
        if limit is None and splitter.declared is not None:
            limit = total = splitter.declared
        elif limit is None and not total and done > _UNDECLARED:
            limit = size_of()
            if not isinstance(limit, int):
                raise UnexpectedResponse(msg="The server does not say how large the image is", status=200)
        _stop_past(limit, done, response)
        digest.update(data)
        target.write(data)
        if on_progress is not None:
            on_progress(done, max(total, done))

    splitter = ImageSplitter(take)
    detail = _split(response, splitter)
    if not splitter.found:
        return detail, None
    image = detail["image"]
    if not isinstance(image, dict):
        raise unexpected(response, "holds the image twice")
    size = image.get("size")
    if isinstance(size, int) and size != done:
        raise _another_size(done, size, response)
    return detail, ImageContent(digest.hexdigest(), done, image.get("id"))


def _stop_past(limit: object, done: int, response: requests.Response) -> None:
    if isinstance(limit, int) and done > limit:
        raise _another_size(f"more than {limit}", limit, response)


def _another_size(sent: object, size: int, response: requests.Response) -> UnexpectedResponse:
    said = f"The server sent {sent} bytes of an image it says has {size}"
    return UnexpectedResponse(msg=said, status=response.status_code)


class _BytesCame(Exception):
    """Ends the reading of a detail whose bytes were not asked for."""


def fetch_detail(response: requests.Response, *, stop_at_bytes: bool) -> tuple[Any, bool]:
    """Read a detail that should come without its bytes; drop them where they come all the same.

    Args:
        response: The answer, its body unread.
        stop_at_bytes: Give up, and return None for the detail, as soon as bytes come.

    Returns:
        The detail, and whether bytes came.

    Raises:
        TransportError: The answer was cut short.
        UnexpectedResponse: It is not JSON.
    """
    done = 0

    def take(data: bytes) -> None:
        nonlocal done
        if stop_at_bytes:
            raise _BytesCame
        done += len(data)
        _stop_past(_UNASKED if splitter.declared is None else splitter.declared, done, response)

    splitter = ImageSplitter(take)
    try:
        detail = _split(response, splitter)
    except _BytesCame:
        return None, True
    return detail, splitter.found


def _split(response: requests.Response, splitter: ImageSplitter) -> Any:
    try:
        for chunk in body_chunks(response, _UNLIMITED, size=_CHUNK):
            splitter.feed(chunk)
        if splitter.is_open:
            raise TransportError("The answer was cut short")
        return splitter.finish()
    except Malformed as error:
        raise unexpected(response, str(error)) from None
    finally:
        # Nothing where the body was read to its end; otherwise the connection is not fit for another request.
        response.close()
