"""Errors of the client.

::

    MmsyncError
    └── ModelManagerError            the server, or the way to it
        ├── TokenError               the server refuses the token (its code 5)
        ├── ModelNotFound            no model of that name
        ├── ModelAlreadyExists       there is one, and ``force`` was not given
        ├── ProfileError             a profile file or one of its values is wrong
        ├── ProfileValueRequired     a profile lacks a value it must have
        ├── ModelRefused             the server reviewed the file and says it is not valid
        ├── UnknownEngine            the server knows no such engine
        ├── FileChanged              the file is not the one expected; no complete request was sent
        ├── TransportError           the network: the request may or may not have arrived
        ├── UnexpectedResponse       a success whose body is not what the contract says
        ├── RedirectRefused          the server points to another origin, down to http, or a write elsewhere
        └── EndpointNotFound         404 or 405: this server does not offer that, perhaps another generation

The first six are those of the official client, with its ``code``, ``msg`` and ``str``. All of them can be pickled;
none carries a token.
"""

from __future__ import annotations

from copyreg import __newobj__  # type: ignore[attr-defined]  # typeshed lacks it
from typing import Any

from mmsync.errors import MmsyncError

__all__ = [
    "EndpointNotFound",
    "FileChanged",
    "ModelAlreadyExists",
    "ModelManagerError",
    "ModelNotFound",
    "ModelRefused",
    "ProfileError",
    "ProfileValueRequired",
    "RedirectRefused",
    "TokenError",
    "TransportError",
    "UnexpectedResponse",
    "UnknownEngine",
]

_TRANSIENT = frozenset({429, 502, 503, 504})
_CURABLE = frozenset({401, 403, 404, 405, 408, 425, 429})


class ModelManagerError(MmsyncError):
    """Any error of a Model Manager or of the way to it.

    Args:
        code: The server's error code; 0 where there is none.
        msg: What happened.
        status: The HTTP status, where an answer came.
        cid: The server's correlation id, to quote to whoever runs it; empty where none was sent.
        hint: What the reader can do about it; empty where nothing is known.
        retry_after: Seconds the server asks to wait (``Retry-After``), where it did.
    """

    _permanent: bool | None = None  # what `permanent` is whatever the status; None goes by that

    def __init__(
        self,
        code: int | None = None,
        msg: str | None = None,
        *,
        status: int | None = None,
        cid: str = "",
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(msg)
        self.code = code or 0
        self.msg = msg or ""
        self.status, self.cid, self.hint, self.retry_after = status, cid, hint, retry_after

    @classmethod
    def from_code(cls, code: int, msg: str | None = None) -> ModelManagerError:
        """Return the error a server's code stands for: 5 is a `TokenError`, any other one of this class."""
        return TokenError() if code == TOKEN_CODE else cls(code=code, msg=msg)

    @property
    def permanent(self) -> bool:
        """Return whether trying the same again is pointless until something of the request changes."""
        if self._permanent is not None:
            return self._permanent
        return self.status is not None and 400 <= self.status < 500 and self.status not in _CURABLE  # noqa: PLR2004 - the range HTTP gives to errors of the request

    @property
    def transient(self) -> bool:
        """Return whether the same request may well succeed a moment later: 429, 502, 503, 504, or the network."""
        return self.status in _TRANSIENT

    def __str__(self) -> str:
        return f"{self.code}: {self.msg}" if self.code else self.msg

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses differ in what their constructors take; none of that needs to be called again.
        return __newobj__, (type(self), *self.args), self.__dict__


TOKEN_CODE = 5
"""The code by which the server says that a token is invalid or expired (seen with HTTP 403)."""


class TokenError(ModelManagerError):
    """The access token is invalid or expired."""

    def __init__(self) -> None:
        super().__init__(code=TOKEN_CODE, msg="Token invalid or expired")
        self.hint = "renew the token, and check that the authentication type is the one it was made for"


class ModelNotFound(ModelManagerError):
    """The server has no model of that name."""

    def __init__(self, model: str) -> None:
        super().__init__(msg=f"'{model}'")


class ModelAlreadyExists(ModelManagerError):
    """The server has a model of that name already."""

    _permanent = True  # only ``force`` or another name helps

    def __init__(self, model: str) -> None:
        super().__init__(msg=f"'{model}'")


class ProfileError(ModelManagerError):
    """A profile file is missing, malformed, or holds a value that cannot be right.

    Attributes:
        searched: The folders looked in, where none has the file; else empty.
    """

    def __init__(self, msg: str) -> None:
        super().__init__(msg=msg)
        self.searched: tuple[str, ...] = ()


class ProfileValueRequired(ModelManagerError):
    """A profile lacks a value it must have, or has it empty."""

    def __init__(self, option: str) -> None:
        super().__init__(msg=f"'{option}'")


class ModelRefused(ModelManagerError):
    """The server took the file, reviewed it and found it not valid; nothing was saved."""

    _permanent = True  # the same bytes are refused again


class UnknownEngine(ModelManagerError):
    """The server knows no engine of that name (its HTTP 500 with ``No enum constant``); nothing was saved."""

    _permanent = True  # the same engine is refused again


class FileChanged(ModelManagerError):
    """The file is not, or is no longer, the one expected; the server never saw a complete request.

    Attributes:
        path: The file, as it was named.
        reason: What was noticed, without the path.
    """

    def __init__(
        self, path: str, reason: str, hint: str = "nothing was saved; run again once nobody writes the file"
    ) -> None:
        super().__init__(msg=f"{path}: {reason}")
        self.path, self.reason, self.hint = path, reason, hint


class TransportError(ModelManagerError):
    """The request or its answer was lost on the way.

    Attributes:
        sent: False where it is certain that the server never had the whole request; True where it may have.
        connected: False where no connection to the server could be made.
        timed_out: True where the server was given up for its silence.
    """

    _permanent = False  # networks recover

    def __init__(
        self,
        msg: str,
        *,
        sent: bool = True,
        connected: bool = True,
        timed_out: bool = False,
        again: bool = True,
        hint: str = "",
    ) -> None:
        super().__init__(msg=msg, hint=hint)
        self.sent, self.connected, self.timed_out, self._again = sent, connected, timed_out, again

    @property
    def transient(self) -> bool:
        """False for what another try cannot mend, such as a certificate that is not trusted."""
        return self._again


class UnexpectedResponse(ModelManagerError):
    """A success whose body is not what the contract says: a login page, say, or a list that is no list."""


class RedirectRefused(ModelManagerError):
    """The server points somewhere the token must not go, or a write may not follow."""

    _permanent = False  # the address is wrong, not the request


class EndpointNotFound(ModelManagerError):
    """The server answers 404 or 405: it does not offer that request, or the address is another generation's."""
