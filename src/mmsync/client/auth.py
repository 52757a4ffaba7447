"""Authentication: a token in one of two headers.

Any callable that takes a `requests.PreparedRequest` and returns it may stand in for the classes here.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Self

from requests import PreparedRequest

from mmsync.client.error import ModelManagerError

__all__ = [
    "BEARER",
    "STANDALONE",
    "AuthCallable",
    "HttpDevoBearerTokenAuth",
    "HttpDevoStandAloneTokenAuth",
    "HttpDevoTokenAuth",
    "create_auth_from_token",
    "get_default_auth_type",
    "validate_auth_type",
]

AuthCallable = Callable[[PreparedRequest], PreparedRequest]
"""What authenticates: it gets a request about to be sent and returns it with what the server wants to see."""

BEARER = "bearer"
"""``Authorization: Bearer TOKEN``."""

STANDALONE = "standalone"
"""``standAloneToken: TOKEN``, Devo's own header; the default."""


def get_default_auth_type() -> str:
    """Return the scheme used where none is named: `STANDALONE`."""
    return STANDALONE


def validate_auth_type(auth_type: str) -> bool:
    """Return whether ``auth_type`` names a scheme: `BEARER` or `STANDALONE`."""
    return auth_type in (BEARER, STANDALONE)


def create_auth_from_token(token: str, auth_type: str = STANDALONE) -> HttpDevoTokenAuth:
    """Return the authentication for ``token`` under the scheme named.

    Raises:
        ValueError: ``auth_type`` names no scheme.
    """
    if not validate_auth_type(auth_type):
        raise ValueError(f"Invalid auth type: '{auth_type}'")
    return HttpDevoBearerTokenAuth(token) if auth_type == BEARER else HttpDevoStandAloneTokenAuth(token)


class HttpDevoTokenAuth(abc.ABC):
    """A scheme that sends a token.

    Its ``repr`` masks the token, and a pickle leaves it out: an unpickled one refuses to authenticate. Copies
    within the process keep it.

    Attributes:
        token: The token. Whoever reads it is responsible for where it goes.
    """

    def __init__(self, token: str) -> None:
        self.token = token

    @abc.abstractmethod
    def __call__(self, req: PreparedRequest) -> PreparedRequest:
        """Add what the server wants to see to ``req``, and return it."""

    def usable_token(self) -> str:
        """Return the token.

        Raises:
            ModelManagerError: There is none, or it holds what no header can carry. The message never shows it.
        """
        if not isinstance(self.token, str):
            raise ModelManagerError(msg="There is no token: it does not travel with a pickled object")
        if not self.token.isascii() or not self.token.isprintable():
            raise ModelManagerError(
                msg="The token holds a line end or another character that cannot be sent",
                hint="take it again from where it was issued, without line ends or quotation marks around it",
            )
        return self.token

    def __repr__(self) -> str:
        return f"{type(self).__name__}('***')"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.token))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "token": None}

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self.__copy__()


class HttpDevoStandAloneTokenAuth(HttpDevoTokenAuth):
    """Sends the token as ``standAloneToken: TOKEN``."""

    def __call__(self, req: PreparedRequest) -> PreparedRequest:
        """Add the header to ``req``, and return it."""
        req.headers["standAloneToken"] = self.usable_token()
        return req


class HttpDevoBearerTokenAuth(HttpDevoTokenAuth):
    """Sends the token as ``Authorization: Bearer TOKEN``."""

    def __call__(self, req: PreparedRequest) -> PreparedRequest:
        """Add the header to ``req``, and return it."""
        req.headers["Authorization"] = f"Bearer {self.usable_token()}"
        return req
