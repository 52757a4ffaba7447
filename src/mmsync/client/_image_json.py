"""A model's detail read as it comes in, with its base64 bytes decoded on the way instead of kept.

The body is one JSON object. The string at ``image`` → ``image`` may be gigabytes long and may stand anywhere in it;
all else is small. What is not that string is kept, with an empty string in its place, and parsed at the end.
"""

from __future__ import annotations

import binascii
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ImageSplitter", "Malformed"]

# The limit of all that is not the image: the detail of a model with very many clusters is below it.
_MAX_REST = 64 << 20
_TOKEN = re.compile(rb'["{}\[\],:]')
_STRING_MARK = re.compile(rb'["\\]')
_ESCAPES = ((rb"\/", b"/"), (rb"\n", b""), (rb"\r", b""), (rb"\t", b""))
_UNICODE_ESCAPE = re.compile(rb"\\u00([0-7][0-9a-fA-F])")
_LONGEST_ESCAPE = len(rb"\u0041")
_WHITE = b" \t\r\n"
_QUOTE, _BRACE, _COMMA, _PADDING = b'"{,='


class Malformed(ValueError):
    """The body is not JSON, or the image is not base64."""


class ImageSplitter:
    """Takes the body in pieces of any size.

    Args:
        sink: Gets the decoded bytes of the image, in order.

    Attributes:
        found: Whether the image's string was met.
        declared: The image's size as said before its bytes; None where it was not.
    """

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self.found = False
        self.declared: int | None = None
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
        """Take the next piece.

        Raises:
            Malformed: The image is not base64, stands there twice, or what is not the image is over 64 MiB.
        """
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
        """Whether the body began as an object and has not come to its end."""
        return bool(self._stack) or self._in_image or self._string >= 0

    def finish(self) -> Any:
        """Return the value of the body, with an empty string for the image; None for an empty body.

        Raises:
            Malformed: The body is not JSON.
        """
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
                    self.declared = self._declared()
                else:
                    self._string = len(self._rest) - 1
                return at
            if mark in b"{[":
                if self._keys == ["image"]:
                    self._object = len(self._rest) + match.start() - start
                self._stack.append(mark)
                self._keys.append(None)
                self._at_key = mark == _BRACE
            elif mark in b"}]":
                if self._stack:
                    self._stack.pop()
                    self._keys.pop()
                self._at_key = False
            elif mark == _COMMA:
                self._at_key = bool(self._stack) and self._stack[-1] == _BRACE
            else:
                self._at_key = False
        self._rest += piece[start:]
        return len(piece)

    def _declared(self) -> int | None:
        try:
            size = json.loads(self._rest[self._object :] + b'"}').get("size")
        except (ValueError, RecursionError):
            return None
        return size if isinstance(size, int) and not isinstance(size, bool) else None

    def _in_string(self, piece: bytes, start: int) -> int:
        """Go to the end of the open string or of the piece; return where."""
        at = start + self._skip
        self._skip = 0
        while match := _STRING_MARK.search(piece, at):
            at = match.end()
            if piece[match.start()] == _QUOTE:
                self._rest += piece[start:at]
                if self._at_key and len(self._keys) <= 2:  # noqa: PLR2004 - the image is two objects deep
                    self._keys[-1] = self._decoded_key()
                self._string = -1
                return at
            at += 1
        self._skip = max(at - len(piece), 0)
        self._rest += piece[start:]
        return len(piece)

    def _decoded_key(self) -> object:
        try:
            return json.loads(self._rest[self._string :])
        except ValueError:
            return None

    def _image(self, piece: bytes, start: int) -> int:
        """Decode base64 up to the closing quote or the end of the piece; return where."""
        quote = piece.find(b'"', start)
        ended = quote >= 0
        stop = quote if ended else len(piece)
        # One copy of the piece is made here; a second would cost as much as hashing does.
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
        for escape, plain in _ESCAPES:
            text = text.replace(escape, plain)
        text = _UNICODE_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text)
        if b"\\" in text:
            raise Malformed("holds an image that is not base64")
        return text.translate(None, _WHITE)

    def _decode(self, text: memoryview) -> None:
        if not text:
            return
        try:
            # What is left over at the end is no whole group of four; strict mode lets some of that pass.
            if self._padded or len(text) % 4:
                raise Malformed("holds an image that is not base64")
            self._padded = text[-1] == _PADDING
            self._sink(binascii.a2b_base64(text, strict_mode=True))
        except binascii.Error as error:
            raise Malformed("holds an image that is not base64") from error
