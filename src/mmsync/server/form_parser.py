"""The multipart form of an upload, fed piece by piece. It holds views of what it was fed until they are taken."""

from __future__ import annotations

import logging

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from mmsync.server.errors import ApiError

# The parser logs every malformed body as a warning; its sender is told, and nobody else needs to be.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

_FIELD_LIMIT = 4096  # bytes of the engine's name
_PARTS_LIMIT = 64


class UploadForm:
    """The parts ``engine`` and ``fileName``, in either order; others are passed over."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise ApiError(400, "An upload must be multipart/form-data with a boundary")
        self.engine: str | None = None  # its name once its part has ended
        self.file_name = ""  # what the client calls the file; for display only
        self.waiting_size = 0  # bytes of the file not yet taken
        self._waiting: list[memoryview] = []
        self._has_file = False  # whether the part ``fileName`` has begun
        self._parts = 0
        self._header = self._value = self._disposition = self._part = self._engine = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._extend_header,
                    "on_header_value": self._extend_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                },
            )
        except FormParserError as error:
            raise ApiError(400, "The multipart boundary is too long") from error

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of the body; raises `ApiError` 400 if it is not the form it should be."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise ApiError(400, f"The multipart body is malformed: {error}") from error

    def take(self) -> list[memoryview]:
        """The bytes of the file that came since they were last taken."""
        taken, self._waiting, self.waiting_size = self._waiting, [], 0
        return taken

    def finish(self) -> str:
        """Return the engine's name, the body being over; raises `ApiError` 400 if it broke off or lacks a part."""
        if self._parser.state != MultipartState.END:
            raise ApiError(400, "The multipart body ends before its closing boundary")
        if self.engine is None:
            raise ApiError(400, "The field 'engine' is required")
        if not self._has_file:
            raise ApiError(400, "The part 'fileName' with the model's file is required")
        return self.engine

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _PARTS_LIMIT:
            raise ApiError(400, f"An upload may have {_PARTS_LIMIT} parts at most")
        self._part = self._disposition = b""

    def _extend_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _extend_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._part = options.get(b"name", b"")
        if self._part == b"fileName":
            if self._has_file:
                raise ApiError(400, "An upload may have one part 'fileName' only")
            self._has_file = True
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        elif self._part == b"engine":
            self._engine = b""

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == b"fileName":
            self._waiting.append(memoryview(data)[start:end])
            self.waiting_size += end - start
        elif self._part == b"engine":
            self._engine += data[start:end]
            if len(self._engine) > _FIELD_LIMIT:
                raise ApiError(400, "The field 'engine' is too long")

    def _end_part(self) -> None:
        if self._part == b"engine":
            self.engine = self._engine.decode("utf-8", "replace").strip()
        self._part = b""
