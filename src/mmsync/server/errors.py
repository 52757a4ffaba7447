"""A request that is answered with an error."""

from __future__ import annotations

import errno


class ApiError(Exception):
    """The request is answered with this HTTP ``status`` and the contract's *Error* object.

    ``msg`` says what is wrong, as the client's user will read it. ``code`` is the contract's error code: the HTTP
    status unless the contract gives another (5: bad token). ``allow`` holds the methods that would do, for a 405.
    """

    def __init__(self, status: int, msg: str, code: int | None = None, allow: str = "") -> None:
        super().__init__(msg)
        self.status = status
        self.msg = msg
        self.code = status if code is None else code
        self.allow = allow


def from_os_error(error: OSError) -> ApiError:
    """A disk error as an answer: 507 where it is full, else 500; names no path of the machine."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return ApiError(507, "The server's disk is full")
    return ApiError(500, f"The server's disk failed: {error.strerror or 'I/O error'}")
