"""The way to the server: certificates and proxy, of flags and environment first, then of the profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mmsync.connection import LOCAL, NO_PROXY_WORD, Route, expanded, refuse_unchecked
from mmsync.errors import SettingsError
from mmsync.printable import masked_url

if TYPE_CHECKING:
    from mmsync.cli.settings import ServerOptions
    from mmsync.client.profile import Profile

_KEYS = ("cacert", "client_cert", "client_key", "proxy", "insecure")


def refuse_other_than_address(url: str, origin: str) -> None:
    """Raise `SettingsError` for what can be no server's address, before anything else is asked for it."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return
    except ValueError:
        pass
    hint = "it looks like https://HOST/mlmodelmanager, without a query; local:FOLDER runs an embedded one"
    if "$" in url:
        hint = "variables are not filled in here: give the address itself, or let the shell fill it in"
    elif url.lower().startswith(LOCAL):
        hint = f"{LOCAL} is written in lower case"
    elif "://" not in url:
        hint = "https:// is missing before it, or http://, or local: before a folder"
    raise SettingsError(f"{origin}: Invalid url: '{masked_url(url)}'", hint)


def route_to(url: str, given: ServerOptions, profile: Profile | None, origin: str, *, trusted: bool) -> Route:
    """Return how to reach ``url``; ``origin`` names the profile, ``trusted`` says whether its file may decide this.

    Raises `SettingsError` for a profile in the working folder that would change whom mmsync trusts, a key without its
    certificate, and certificates left unchecked anywhere but on this machine.
    """
    of_profile = {key: value for key, value in (profile or {}).items() if key in _KEYS}
    if of_profile and not trusted:
        keys = ", ".join(of_profile)
        raise SettingsError(
            f"{origin}: {keys} in a profile of the working folder could lead a token astray, and is not used",
            f"give --{min(of_profile).replace('_', '-')} yourself, or keep the profile in your home folder",
        )
    values: dict[str, str | None] = {}
    sources: dict[str, str] = {}
    for key in ("cacert", "client_cert", "client_key", "proxy"):
        own = getattr(given, key)
        # A key belongs to its certificate: one of the profile is not tried with another's.
        if own is None and not (key == "client_key" and given.client_cert is not None):
            value, source = of_profile.get(key), f"{key} in {origin}"
        else:
            value, source = own, given.source(key)
        values[key] = None if value is None else str(value)
        if value is not None:
            sources[key] = source
    if values["client_key"] is not None and values["client_cert"] is None:
        raise SettingsError(f"{sources['client_key']}: a key without its certificate", "give --client-cert as well")
    insecure = given.insecure if given.insecure is not None else bool(of_profile.get("insecure"))
    if insecure:
        source = given.source("insecure") if given.insecure is not None else f"insecure in {origin}"
        refuse_unchecked(url, source)
        if values["proxy"] not in (None, NO_PROXY_WORD):
            why = f"{source} and {sources['proxy']} contradict each other: with a proxy between, the server is not here"
            raise SettingsError(why, "give one of them")
        sources["insecure"] = source
    files = {
        key: None if (path := values[key]) is None else str(expanded(path))
        for key in ("cacert", "client_cert", "client_key")
    }
    return Route(**files, proxy=values["proxy"], insecure=insecure, sources=tuple(sources.items()))


def is_in_working_folder(file: Path) -> bool:
    """Return whether a file lies in the folder mmsync is started in, where a stranger's checkout may be."""
    return file.resolve().is_relative_to(Path.cwd())
