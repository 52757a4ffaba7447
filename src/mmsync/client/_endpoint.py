"""Endpoints: the address of each request, in the two generations of servers."""

from __future__ import annotations

import abc
from urllib.parse import quote

from mmsync.client.error import ModelManagerError
from mmsync.client.validator import is_valid_url
from mmsync.printable import masked_url


class EndpointRenderer(abc.ABC):
    """The addresses of one server.

    Attributes:
        url: The server's address, without a trailing slash.
        wrong_generation: What to do where this server answers 404.
    """

    wrong_generation: str

    def __init__(self, url: str) -> None:
        if not is_valid_url(url):
            raise ModelManagerError(
                msg=f"Invalid url: '{masked_url(str(url))}'",
                hint="it looks like https://HOST/mlmodelmanager, without a query",
            )
        self.url = url.rstrip("/")

    @abc.abstractmethod
    def models(self) -> str:
        """Return the address of the list, which is also where a model is saved."""

    def model(self, name: str) -> str:
        """Return the address of one model; every reserved character of ``name`` is percent-encoded, ``/`` too.

        Raises:
            ModelManagerError: The name is empty, or cannot be part of an address.
        """
        # A path of dots is resolved away by every HTTP library, percent-encoded or not: it would address the list.
        if not name or name in (".", ".."):
            raise ModelManagerError(msg=f"Invalid name: '{name}'")
        try:
            return f"{self.models()}/{quote(name, safe='')}"
        except UnicodeError as error:
            raise ModelManagerError(msg=f"Invalid name: {name!a}") from error

    def image_upload(self) -> str:
        """Return the address that takes a model's file for review."""
        return f"{self.models()}/images/upload"


class LatestEndpointRenderer(EndpointRenderer):
    """The addresses of a server 2.4.0 or later: the domain comes from the token."""

    wrong_generation = (
        "check the path of the address; if that is right, the server may be older than 2.4.0: name the domain "
        "(--domain DOMAIN; in Python, LegacyClient(url, domain, auth))"
    )

    def models(self) -> str:
        """Return ``{url}/models``."""
        return f"{self.url}/models"


class LegacyEndpointRenderer(EndpointRenderer):
    """The addresses of a server before 2.4.0, which stand under a domain.

    Attributes:
        domain: The domain, as given.
    """

    wrong_generation = (
        "check the path of the address and the domain; if those are right, the server may be 2.4.0 or later: leave "
        "out the domain (--domain; in Python, Client(url, auth))"
    )

    def __init__(self, url: str, domain: str) -> None:
        super().__init__(url)
        if not domain or domain in (".", ".."):
            raise ModelManagerError(msg=f"Invalid domain: '{domain}'")
        self.domain = domain

    def models(self) -> str:
        """Return ``{url}/domains/{domain}/models``."""
        return f"{self.url}/domains/{quote(self.domain, safe='')}/models"
