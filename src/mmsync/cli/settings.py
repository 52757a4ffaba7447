"""Which server, with which token: flag > environment > manifest, and where caches and locks live."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.connection import LOCAL, Target
from mmsync.errors import SettingsError

if TYPE_CHECKING:
    from mmsync.client.profile import Profile
    from mmsync.manifest import ServerSettings

__all__ = ["ServerOptions", "cache_folder", "lock_folder", "read_token", "resolve"]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The server options as given by flags and environment; None where neither gives one."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    auth_type: str | None = None
    domain: str | None = None
    profile: str | None = None
    profiles_path: str | None = None
    timeout: float | None = None
    max_list_bytes: int | None = None


def resolve(given: ServerOptions, manifest: ServerSettings | None) -> Target:
    """Settle which server to talk to.

    A profile gives URL, token and auth type at once; a token or auth type given by flag or environment wins over
    the profile's.

    Raises:
        SettingsError: Nothing names a server or a token, or the profile or the token file cannot be read.
    """
    url, profile = given.url, given.profile
    auth_type, domain = given.auth_type, given.domain
    if manifest is not None:
        if url is None and profile is None:
            url, profile = manifest.url, manifest.profile
        auth_type = auth_type or manifest.auth_type
        domain = manifest.domain if domain is None else domain
    token = read_token(given)
    if profile is not None and url is None:
        values = _profile(profile, given.profiles_path)
        url = values["url"]
        token = token or values["token"]
        auth_type = auth_type or values["auth_type"]
    if not url:
        raise SettingsError(
            "no server is named",
            "give --url or --profile, set MMSYNC_URL, or name one under server: in the manifest; "
            "--url local:FOLDER runs an embedded one",
        )
    if url.startswith(LOCAL):
        if not url.removeprefix(LOCAL):
            raise SettingsError("--url local: needs a folder", "for example --url local:.model-manager")
    elif not token:
        raise SettingsError(
            f"no token for {_without_secrets(url)}", "set MMSYNC_TOKEN, or give --token-file or --profile"
        )
    return Target(url, token or "", auth_type or "standalone", domain or None, given.timeout, given.max_list_bytes)


def cache_folder() -> Path:
    """Return the folder of the ledger: MMSYNC_CACHE_DIR, or the platform's cache folder for this user."""
    given = os.environ.get("MMSYNC_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_cache_path  # noqa: PLC0415 - not needed where the variable is set

    return user_cache_path("mmsync", appauthor=False)


def lock_folder() -> Path:
    """Return the folder of the locks: one for all of this user's mmsyncs on the machine, whatever their ledgers."""
    given = os.environ.get("MMSYNC_LOCK_DIR")
    if given:
        return Path(given).expanduser()
    # Not the cache folder: two ledgers must still take turns. gettempdir() would follow TMPDIR, which differs
    # between a shell and a service, so the machine's own folder comes first.
    shared = Path("/tmp")  # noqa: S108 - the folder made in it is this user's alone, and checked to be
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return (shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())) / f"mmsync-locks-{user}"


def _profile(name: str, place: str | None) -> Profile:
    """Read a profile; a place that was named must be there, where the library goes on to the usual ones."""
    from mmsync.client.error import ProfileError, ProfileValueRequired  # noqa: PLC0415 - imports the HTTP library
    from mmsync.client.profile import read_profile_from_file  # noqa: PLC0415 - the same

    searched = "modelmanager.ini, here or in the home folder" if place is None else place
    if place is not None:
        path = Path(place).expanduser()
        if not (path.exists() or (path.name == place and (Path.home() / place).exists())):
            raise SettingsError(f"no profiles in {place}: there is no such file or folder", "correct --profiles-path")
    try:
        return read_profile_from_file(name, place)
    except ProfileValueRequired as fault:
        raise SettingsError(f"profile {name} has no {fault.msg.strip(chr(39))}", f"add it in {searched}") from fault
    except ProfileError as fault:
        if fault.searched:
            # A named place that is a file was found above: what is missing has the usual name.
            raise SettingsError(
                f"no profile file: looked for modelmanager.ini in {', '.join(fault.searched)}",
                "--profiles-path names another place; --url and MMSYNC_TOKEN do without a profile",
            ) from fault
        way_on = fault.hint or f"profiles are read from {searched}; --profiles-path names another place"
        raise SettingsError(f"profile {name}: {fault.msg}", way_on) from fault


def read_token(given: ServerOptions) -> str | None:
    """Return the token that flags and environment give, or None.

    Raises:
        SettingsError: The token file cannot be read, or what it or the flag gives cannot be a token.
    """
    if given.token is not None:
        return _clean(given.token, "the token")
    if given.token_file is None:
        return None
    path = Path(given.token_file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not text"
        way_on = "correct --token-file, or set MMSYNC_TOKEN"
        raise SettingsError(f"cannot read the token file {path}: {reason}", way_on) from fault
    return _clean(text, f"the token file {path}")


def _clean(text: str, what: str) -> str:
    token = text.strip()
    if not token:
        raise SettingsError(f"{what} is empty", "put the server's access token there")
    if not (token.isascii() and token.isprintable()):
        # The token itself is not shown: only that it cannot be one.
        raise SettingsError(
            f"{what} holds characters that a token cannot have", "it must be one line of printable ASCII"
        )
    return token


def _without_secrets(url: str) -> str:
    # By hand: whether it can be parsed at all is found out later.
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}".partition("?")[0]
