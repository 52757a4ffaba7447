"""The clients' methods as functions, for a single call: each makes a `Client`, uses it and closes it.

The address, the token and the arguments that the method of that name lacks are those of `create_client_from_token`.
"""

from __future__ import annotations

import os
from typing import Any

from mmsync.client._client import Client
from mmsync.client.auth import create_auth_from_token, get_default_auth_type
from mmsync.client.downloader import FileSystemDownloader
from mmsync.client.error import ProfileError
from mmsync.client.profile import Profile, read_profile_from_file
from mmsync.client.types import Model
from mmsync.client.validator import is_loopback_url
from mmsync.printable import masked_url


def create_client_from_token(
    url: str,
    token: str,
    auth_type: str | None = None,
    download_path: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> Client:
    """Return a `Client` that sends ``token``.

    Args:
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
        path: Where to look first; see `mmsync.client.profile.read_profile_from_file`.
        kwargs: Further keywords of `Client`; ``verify``, ``cert`` and ``proxies`` win over the profile's keys.

    Raises:
        ProfileError: No file, no such profile, a malformed file or value; ``insecure`` for a server that is not on
            this machine.
        ProfileValueRequired: ``url`` or ``token`` is missing.
    """
    values = read_profile_from_file(profile, path=path)
    settings = {**_route_of(values), **kwargs}
    given = {"verify": "cacert", "cert": "client_cert", "proxies": "proxy"}
    settings.setdefault(
        "sources", {name: f"{key} of profile {profile}" for name, key in given.items() if name not in kwargs}
    )
    return create_client_from_token(
        values["url"], values["token"], values["auth_type"], values["download_path"], **settings
    )


def _route_of(values: Profile) -> dict[str, Any]:
    """Return a profile's certificates and proxy as keywords of `Client`."""
    found: dict[str, Any] = {}
    if values.get("insecure"):
        if not is_loopback_url(values["url"]):
            raise ProfileError(f"insecure is for servers on this machine alone, not for {masked_url(values['url'])}")
        if "proxy" in values:
            raise ProfileError("insecure and proxy contradict each other")
        return {"verify": False, "proxies": {"no_proxy": "*"}}
    if "cacert" in values:
        found["verify"] = values["cacert"]
    if "client_cert" in values:
        found["cert"] = (
            (values["client_cert"], values["client_key"]) if "client_key" in values else values["client_cert"]
        )
    if "proxy" in values:
        found["proxies"] = {"http": values["proxy"], "https": values["proxy"]}
    return found


def get_models(url: str, token: str, auth_type: str | None = None, **kwargs: Any) -> list[Model]:
    """Return every model the server lists: `Client.get_models`."""
    with create_client_from_token(url, token, auth_type=auth_type, **kwargs) as client:
        return client.get_models()


def get_model(
    url: str,
    token: str,
    name: str,
    auth_type: str | None = None,
    download_path: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return one model; with ``download_path``, download it there: `Client.get_model`."""
    with create_client_from_token(url, token, auth_type=auth_type, download_path=download_path, **kwargs) as client:
        return client.get_model(name, download_file=bool(download_path))


def find_model(
    url: str,
    token: str,
    name: str,
    auth_type: str | None = None,
    download_path: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> dict[str, Any] | None:
    """Return one model, or None where there is none; otherwise as `get_model`: `Client.find_model`."""
    with create_client_from_token(url, token, auth_type=auth_type, download_path=download_path, **kwargs) as client:
        return client.find_model(name, download_file=bool(download_path))


def add_model(  # noqa: PLR0917 - the official signature
    url: str,
    token: str,
    name: str,
    engine: str,
    model_file: str | os.PathLike[str],
    description: str | None = None,
    auth_type: str | None = None,
    force: bool | None = None,  # noqa: FBT001 - the official signature
    **kwargs: Any,
) -> None:
    """Make the server hold a file as the model ``name``: `Client.add_model`."""
    with create_client_from_token(url, token, auth_type=auth_type, **kwargs) as client:
        client.add_model(name, engine, model_file, description=description, force=force)
