"""Profiles: servers and tokens kept in an INI file.

::

    [testing]
    url = https://HOST/mlmodelmanager
    token = TOKEN
    auth_type = standalone
    download_path = ~/models
    cacert = ~/company-ca.pem
    client_cert = ~/me.pem
    client_key = ~/me.key
    proxy = http://HOST:PORT
    insecure = no
"""

# ruff: noqa: PTH111, PTH112, PTH113, PTH118, PTH119 - paths stay the strings they are given as, and ~ without a home is no error
from __future__ import annotations

import configparser
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from mmsync.client.auth import get_default_auth_type, validate_auth_type
from mmsync.client.error import ProfileError, ProfileValueRequired
from mmsync.client.validator import is_valid_url
from mmsync.printable import masked_url
from mmsync.suggestions import nearest

__all__ = [
    "PROFILES_FILE",
    "Profile",
    "get_required_profile_value",
    "read_profile",
    "read_profile_from_file",
    "resolve_profile_file",
]

PROFILES_FILE = "modelmanager.ini"


class Profile(TypedDict):
    """A profile's values; ``download_path`` with ``~`` expanded, None where it is not given.

    The keys that the official client does not know are left out where they are not given. Their files are made
    absolute: ``~`` is expanded, and what is relative is so to the profile's file.
    """

    url: str
    token: str
    auth_type: str
    download_path: str | None
    cacert: NotRequired[str]
    client_cert: NotRequired[str]
    client_key: NotRequired[str]
    proxy: NotRequired[str]
    insecure: NotRequired[bool]


_KEYS = frozenset(Profile.__annotations__)


def read_profile_from_file(profile: str, path: str | os.PathLike[str] | None = None) -> Profile:
    """Return the profile of that name from the first file found.

    Searched are ``path``, the current directory and the home directory, in this order, for ``modelmanager.ini``,
    or for the file ``path`` names. ``path`` may be a folder, a file, or the mere name of a file; ``~`` is expanded.
    Whoever may write in the current directory so decides which server gets the token: where that is not the caller,
    name the file. (The command line never reads profiles from the current directory unless told to.)

    Raises:
        ProfileError: No file, no such profile, a malformed file, an invalid address or authentication type.
        ProfileValueRequired: ``url`` or ``token`` is missing or empty.
    """
    start = os.path.expanduser(path or "")
    folders = [".", os.path.expanduser("~")]
    is_file = os.path.isfile(start) or (start.endswith(".ini") and not os.path.isdir(start))
    is_name = os.path.basename(start) == start and any(os.path.isfile(os.path.join(each, start)) for each in folders)
    folder, name = os.path.split(start) if is_file or is_name else (start, None)
    if folder:
        folders = list(dict.fromkeys([folder, *folders]))
    return read_profile(profile, resolve_profile_file(folders, name or None))


def read_profile(profile: str, file: str) -> Profile:
    """Return the profile of that name from this file; nothing else is looked at.

    Raises:
        ProfileError: No such profile, a malformed file, an invalid address or authentication type.
        ProfileValueRequired: ``url`` or ``token`` is missing or empty.
    """
    config = configparser.ConfigParser()
    try:
        with Path(file).open(encoding="utf-8-sig") as lines:
            config.read_file(lines, source=file)
        if profile not in config:
            missing = ProfileError(f"Missing profile '{profile}'")
            missing.hint = _those_there(profile, config.sections())
            raise missing
        values = config[profile]
        _refuse_quotes(values)
        url = get_required_profile_value(values, "url")
        if not is_valid_url(url):
            raise ProfileError(f"Invalid url: '{masked_url(url)}'")
        token = get_required_profile_value(values, "token")
        auth_type = values.get("auth_type", get_default_auth_type())
        if not validate_auth_type(auth_type):
            raise ProfileError(f"Invalid auth type '{auth_type}'")
        folder = values.get("download_path")
        found = Profile(url=url, token=token, auth_type=auth_type, download_path=folder and os.path.expanduser(folder))
        return _with_route(found, values, str(Path(file).absolute().parent))
    except configparser.Error as error:
        numbers = [number for number, _ in getattr(error, "errors", ())] or [getattr(error, "lineno", None)]
        places = "".join(f", line {number}" for number in numbers if number)
        malformed = ProfileError(f"{file}: malformed ({type(error).__name__}{places})")
        if isinstance(error, configparser.InterpolationError):
            malformed.hint = "a percent sign is written twice"
    except (OSError, UnicodeError) as error:
        raise ProfileError(f"Cannot read {file}: {error}") from error
    # Not raised from the parser's error: that quotes the line or the value, which may be the token's.
    raise malformed


def _those_there(profile: str, there: Sequence[str]) -> str:
    """Return what a missing profile was probably meant to be."""
    if meant := nearest(profile, there):
        return f"did you mean {meant}?"
    return f"there are: {', '.join(there)}" if there else "the file holds none"


def misspelt_keys(profile: str, file: str) -> list[tuple[str, str]]:
    """Return the keys of a profile that are none, each with the one that was probably meant; [] if it cannot be read."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        with Path(file).open(encoding="utf-8-sig") as lines:
            config.read_file(lines)
    except (configparser.Error, OSError, UnicodeError):
        return []
    if profile not in config:
        return []
    given = config[profile].keys()
    unknown = [key for key in given if key not in _KEYS]
    return [(key, meant) for key in unknown if (meant := nearest(key, _KEYS - given))]


def _refuse_quotes(values: configparser.SectionProxy) -> None:
    """Raise `ProfileError` for a value in quotes: an INI file has none, they would be part of it."""
    for key in ("url", "token", "cacert", "client_cert", "client_key", "proxy"):
        value = values.get(key, "")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            quoted = ProfileError(f"{key} is in quotes")
            quoted.hint = "write it without them"
            raise quoted


def _with_route(found: Profile, values: configparser.SectionProxy, folder: str) -> Profile:
    """Return the profile with the keys that say how the server is reached; `ProfileError` for a value that cannot be."""
    for key in ("cacert", "client_cert", "client_key"):
        if path := values.get(key):
            found[key] = os.path.join(folder, os.path.expanduser(path))
    if "client_key" in found and "client_cert" not in found:
        raise ProfileError("client_key is given without client_cert")
    if proxy := values.get("proxy"):
        found["proxy"] = proxy
    try:
        insecure = values.getboolean("insecure")
    except ValueError:
        raise ProfileError("insecure must be yes or no") from None
    if insecure:
        found["insecure"] = True
    return found


def get_required_profile_value(section: configparser.SectionProxy, key: str) -> str:
    """Return the value of ``key``.

    Raises:
        ProfileValueRequired: It is missing or empty.
    """
    value = section.get(key)
    if not value:
        raise ProfileValueRequired(key)
    return value


def resolve_profile_file(paths: Sequence[str | os.PathLike[str]], file_name: str | None = None) -> str:
    """Return the first file called ``file_name`` (default ``modelmanager.ini``) in the folders ``paths``.

    Raises:
        ProfileError: None of them has one.
    """
    for path in paths:
        file = os.path.join(path, file_name or PROFILES_FILE)
        if os.path.isfile(file):
            return file
    missing = ProfileError(f"File not found in paths: {list(paths)}")  # the official client's words
    missing.searched = tuple(os.fspath(path) for path in paths)
    raise missing
