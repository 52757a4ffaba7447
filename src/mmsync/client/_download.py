"""A model's detail taken from an answer in constant memory, its bytes handed on as they come."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import pybase64

from mmsync.client._hashing import Sha256
from mmsync.client._responses import body_chunks, length_of, parsed, unexpected
from mmsync.client.downloader import PartialFile
from mmsync.client.error import TransportError, UnexpectedResponse
from mmsync.client.types import ImageContent

if TYPE_CHECKING:
    import requests

# The limit of all that is not the image: the detail of a model with very many clusters is below it.
_MAX_REST = 64 << 20
# Read at a time, of an answer that is long and of any other: few turns of two threads there, steady progress here.
_LONG_ANSWER, _PIECE, _SMALL_PIECE = 64 << 20, 1 << 20, 1 << 17
_TOKEN = re.compile(rb'["{}\[\],:]')
_STRING_MARK = re.compile(rb'["\\]')
_LONGEST_ESCAPE = len(rb"\u0041")
_WHITE = b" \t\r\n"
_QUOTE, _BRACE, _COMMA, _PADDING = b'"{,='


class Malformed(ValueError):
    """The body is not JSON, or the image is not base64."""


class ImageSplitter:
    """Takes the body in pieces of any size; ``sink`` gets the decoded bytes of the image, in order."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self.found = False  # whether the image's string was met
        self.declared: int | None = None  # the image's size where it was said before its bytes
        self._object = 0  # where in the rest the image's object begins
        self._sink = sink
        self._rest = bytearray()
        self._stack: list[int] = []  # the open brackets, as byte values
        self._keys: list[object] = []  # the key last met in each open bracket
        self._at_key = False  # the next string is a key
        self._string = -1  # where in the rest the open string begins
        self._skip = 0  # bytes at the start of the next piece that an escape covers
        self._in_image = False
        self._escape = b""  # the start of an escape that the next piece ends
        self._undecoded = b""  # fewer than four characters of base64
        self._padded = False  # base64 has ended

    def feed(self, piece: bytes) -> None:
        """Take the next piece; `Malformed` if the image is not base64 or there twice, or over 64 MiB are not of it."""
        at = 0
        while at < len(piece):
            if self._in_image:
                at = self._image(piece, at)
            elif self._string >= 0:
                at = self._in_string(piece, at)
            else:
                at = self._structure(piece, at)
        if len(self._rest) > _MAX_REST:
            raise Malformed(f"holds more than {_MAX_REST} bytes besides the image")

    @property
    def is_open(self) -> bool:
        """True where the body began as an object and has not come to its end."""
        return bool(self._stack) or self._in_image or self._string >= 0

    def finish(self) -> Any:
        """Return the body's value, "" being the image, or None if it is empty; raise `Malformed` if it is not JSON."""
        if not self._rest.strip():
            return None
        try:
            return json.loads(self._rest)
        except (ValueError, RecursionError) as error:
            raise Malformed("is not JSON") from error

    def _structure(self, piece: bytes, start: int) -> int:
        """Walk from token to token until a string opens or the piece ends; return where."""
        at = start
        while match := _TOKEN.search(piece, at):
            mark, at = piece[match.start()], match.end()
            if mark == _QUOTE:
                self._rest += piece[start:at]
                if not self._at_key and self._keys == ["image", "image"]:
                    if self.found:
                        raise Malformed("holds the image twice")
                    self.found = self._in_image = True
                    size = (parsed(self._rest[self._object :] + b'"}') or {}).get("size")
                    self.declared = size if isinstance(size, int) and not isinstance(size, bool) else None
                else:
                    self._string = len(self._rest) - 1
                return at
            if mark in b"{[":
                if self._keys == ["image"]:
                    self._object = len(self._rest) + match.start() - start
                self._stack.append(mark)
                self._keys.append(None)
                self._at_key = mark == _BRACE
            else:
                if mark in b"}]" and self._stack:
                    self._stack.pop()
                    self._keys.pop()
                self._at_key = mark == _COMMA and bool(self._stack) and self._stack[-1] == _BRACE
        self._rest += piece[start:]
        return len(piece)

    def _in_string(self, piece: bytes, start: int) -> int:
        """Go to the end of the open string or of the piece; return where."""
        at = start + self._skip
        self._skip = 0
        while match := _STRING_MARK.search(piece, at):
            at = match.end()
            if piece[match.start()] == _QUOTE:
                self._rest += piece[start:at]
                if self._at_key and len(self._keys) <= 2:  # noqa: PLR2004 - the image is two objects deep
                    self._keys[-1] = parsed(self._rest[self._string :])
                self._string = -1
                return at
            at += 1
        self._skip = max(at - len(piece), 0)
        self._rest += piece[start:]
        return len(piece)

    def _image(self, piece: bytes, start: int) -> int:
        """Decode base64 up to the closing quote or the end of the piece; return where."""
        quote = piece.find(b'"', start)
        ended = quote >= 0
        stop = quote if ended else len(piece)
        if self._escape or piece.find(b"\\", start, stop) >= 0:
            text = self._undecoded + self._unescaped(self._escape + piece[start:stop], ended=ended)
        else:
            text = b"".join((self._undecoded, memoryview(piece)[start:stop]))
        whole = len(text) if ended else len(text) & ~3
        self._undecoded = text[whole:]
        self._decode(memoryview(text)[:whole])
        if not ended:
            return len(piece)
        self._in_image = False
        self._rest += b'"'
        return quote + 1

    def _unescaped(self, text: bytes, *, ended: bool) -> bytes:
        self._escape = b""
        if not ended:
            last = text.rfind(b"\\", max(len(text) - _LONGEST_ESCAPE + 1, 0))
            # The piece may end within an escape; a letter u asks for four digits more.
            if last >= 0 and (last == len(text) - 1 or text[last + 1 : last + 2] == b"u"):
                text, self._escape = text[:last], text[last:]
        try:
            plain: str = json.loads(f'"{text.decode()}"', strict=False)
            return plain.encode().translate(None, _WHITE)
        except ValueError as error:
            raise Malformed("holds an image that is not base64") from error

    def _decode(self, text: memoryview) -> None:
        if not text:
            return
        # What is left over at the end is no whole group of four.
        if self._padded or len(text) % 4:
            raise Malformed("holds an image that is not base64")
        try:
            data = pybase64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise Malformed("holds an image that is not base64") from error
        self._padded = text[-1] == _PADDING
        self._sink(data)


# Bytes of an image that are taken before its size must be known, and those dropped that nobody asked for.
_UNDECLARED, _UNASKED = 64 << 20, 1 << 30


class FileTarget:
    """A caller's file, open for writing in binary mode, or nothing at all; `TypeError` for a path and the like."""

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
        if self._file is not None and self._touched:
            if self._start is None:
                return False
            self._file.seek(self._start)
            self._file.truncate()
        return True


def fetch_image(
    response: requests.Response,
    target: FileTarget | PartialFile,
    on_progress: Callable[[int, int], object] | None,
    size_of: Callable[[], object],
) -> tuple[Any, ImageContent | None]:
    """Read a detail with its bytes and write those to ``target``; return it with "" for them, and what they were.

    That is None where there were none. ``on_progress`` is called with (bytes done, bytes in all or an estimate of it);
    ``size_of`` asks the server for the image's size, where neither that nor the answer's length was said. Raises
    `TransportError` if the answer was cut short, `UnexpectedResponse` if it is not JSON, or if the bytes are not
    base64 or not as many as the server says.
    """
    done = 0
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
        _check_size(done, limit, response)
        digest.update(data)
        target.write(data)
        if on_progress is not None:
            on_progress(done, max(total, done))

    splitter = ImageSplitter(take)
    with Sha256() as digest:
        detail = _split(response, splitter)
        if not splitter.found:
            return detail, None
        image = detail["image"]
        if not isinstance(image, dict):
            raise unexpected(response, "holds the image twice")
        _check_size(done, image.get("size"), response, is_all=True)
        return detail, ImageContent(digest.hexdigest(), done, image.get("id"))


def _check_size(done: int, size: object, response: requests.Response, *, is_all: bool = False) -> None:
    """Raise where the server says a size, and sent more bytes than that or, in all, fewer."""
    if isinstance(size, int) and (done != size if is_all else done > size):
        sent = f"{done}" if is_all else f"more than {size}"
        said = f"The server sent {sent} bytes of an image it says has {size}"
        raise UnexpectedResponse(msg=said, status=response.status_code)


class _BytesCame(Exception):
    """Ends the reading of a detail whose bytes were not asked for."""


def fetch_detail(response: requests.Response, *, stop_at_bytes: bool) -> tuple[Any, bool]:
    """Read a detail that should come without its bytes, drop them if they come; return it and whether they came.

    With ``stop_at_bytes`` it gives up, and returns None for the detail, as soon as bytes come. Raises
    `TransportError` if the answer was cut short, `UnexpectedResponse` if it is not JSON.
    """
    done = 0

    def take(data: bytes) -> None:
        nonlocal done
        if stop_at_bytes:
            raise _BytesCame
        done += len(data)
        _check_size(done, _UNASKED if splitter.declared is None else splitter.declared, response)

    splitter = ImageSplitter(take)
    try:
        detail = _split(response, splitter)
    except _BytesCame:
        return None, True
    return detail, splitter.found


def _split(response: requests.Response, splitter: ImageSplitter) -> Any:
    size = _PIECE if length_of(response) > _LONG_ANSWER else _SMALL_PIECE
    try:
        for chunk in body_chunks(response, limit=1 << 62, size=size):  # what is too long, the splitter says
            splitter.feed(chunk)
        if splitter.is_open:
            raise TransportError("The answer was cut short")
        return splitter.finish()
    except Malformed as error:
        raise unexpected(response, str(error)) from None
    finally:
        # Nothing where the body was read to its end; otherwise the connection is not fit for another request.
        response.close()
