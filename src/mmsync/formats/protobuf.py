"""Protocol Buffers on the wire: walk the fields of a message without its schema, and without copying it.

A message is a run of fields, each a tag (number and wire type) and a value; messages nest by length. Lengths that lead
outside, unknown wire types and endless varints show that bytes are no such message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mmsync.formats.types import Window

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_LIMIT = 10  # bytes
_TEXT_LIMIT = 1 << 20  # bytes
_FIELDS_LIMIT = 2_000_000


class NotProtobuf(Exception):
    """The bytes are no message."""


class TooManyFields(Exception):
    """The message has more fields than are worth the time."""


class Span(NamedTuple):
    """Bytes ``start`` to ``end`` (exclusive) of the file: a text, or a message within the message."""

    start: int
    end: int


class Walker:
    """Walks messages in ``data``; refuses to walk for ever."""

    def __init__(self, data: Window) -> None:
        self._data = data
        self._left = _FIELDS_LIMIT

    def fields(self, message: Span) -> Iterator[tuple[int, int | Span]]:
        """The number and the value of each field, in order: an int for a varint, a `Span` for anything else.

        Raises:
            NotProtobuf: The bytes are no message.
            TooManyFields: All walks together met more of them than any usual model has.
        """
        at, end = message
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise TooManyFields
            tag, at = self._varint(at, end)
            number, wire_type = tag >> 3, tag & 7
            if not number:
                raise NotProtobuf(f"the field at byte {at} has the number 0")
            if wire_type == _VARINT:
                value, at = self._varint(at, end)
                yield number, value
                continue
            size = 8 if wire_type == _FIXED64 else 4
            if wire_type == _BYTES:
                size, at = self._varint(at, end)
            elif wire_type not in (_FIXED64, _FIXED32):
                raise NotProtobuf(f"the field at byte {at} has the unknown wire type {wire_type}")
            if size > end - at:
                raise NotProtobuf(f"the field at byte {at} reaches beyond the end")
            yield number, Span(at, at + size)
            at += size

    def numbers(self, value: int | Span) -> Iterator[int]:
        """The elements of a repeated varint, packed or not."""
        if isinstance(value, int):
            yield value
            return
        at, end = value
        while at < end:
            element, at = self._varint(at, end)
            yield element

    def text(self, span: int | Span) -> str:
        """The text in ``span``, as far as it is UTF-8; empty for a number."""
        if not isinstance(span, Span):
            return ""
        return self._data[span.start : min(span.end, span.start + _TEXT_LIMIT)].decode("utf-8", "replace")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        data = self._data[at : min(at + _VARINT_LIMIT, end)]
        for place, byte in enumerate(data):
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:  # noqa: PLR2004  # the high bit says that more follows
                return value, at + place + 1
        if len(data) < _VARINT_LIMIT:
            raise NotProtobuf("it ends within a number")
        raise NotProtobuf(f"the number at byte {at} does not end")
