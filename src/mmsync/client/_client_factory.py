"""Clients made in one step: from a token, or from a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmsync.client._client import Client
from mmsync.client.auth import create_auth_from_token, get_default_auth_type
from mmsync.client.downloader import FileSystemDownloader
from mmsync.client.profile import read_profile_from_file

if TYPE_CHECKING:
    import os

__all__ = ["create_client_from_profile", "create_client_from_token"]


def create_client_from_token(
    url: str,
    token: str,
    auth_type: str | None = None,
    download_path: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> Client:
    """Return a `Client` that sends ``token``.

    Args:
        url: The server's address.
        token: The token.
        auth_type: `BEARER` or `STANDALONE` of `mmsync.client.auth`; the latter if None.
        download_path: The folder downloads go to; the current directory if None.
        kwargs: Further keywords of `Client`.

    Raises:
        ModelManagerError: The address is not valid.
        ValueError: ``auth_type`` names no scheme.
    """
    auth = create_auth_from_token(token, auth_type=auth_type or get_default_auth_type())
    downloader = FileSystemDownloader(download_path) if download_path else None
    return Client(url, auth, downloader=downloader, **kwargs)


def create_client_from_profile(profile: str, path: str | os.PathLike[str] | None = None, **kwargs: Any) -> Client:
    """Return a `Client` as a profile describes it.

    Args:
        profile: The profile's name.
        path: Where to look first; see `mmsync.client.profile.read_profile_from_file`.
        kwargs: Further keywords of `Client`.

    Raises:
        ProfileError: No file, no such profile, a malformed file or value.
        ProfileValueRequired: ``url`` or ``token`` is missing.
    """
    found = read_profile_from_file(profile, path=path)
    return create_client_from_token(
        found["url"],
        found["token"],
        auth_type=found["auth_type"],
        download_path=found["download_path"],
        **kwargs,
    )
