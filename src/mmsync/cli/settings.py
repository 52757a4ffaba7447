"""Settings: the server and its token (flag > environment > manifest), the folders of caches and locks."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync.cli import output
from mmsync.cli.route import is_in_working_folder, refuse_other_than_address, route_to
from mmsync.connection import LOCAL, Target, expanded
from mmsync.errors import SettingsError, TokenSettingsError
from mmsync.manifest.types import ServerSettings
from mmsync.printable import masked_url, printable

if TYPE_CHECKING:
    from mmsync.client.profile import Profile
    from mmsync.ledger import Ledger

_PORTS = {"http": "80", "https": "443"}
# Only what every reader of addresses reads alike: two that disagree on the host would let a token out.
_AUTHORITY = r"(?P<host>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
_ADDRESS = re.compile(rf"(?P<scheme>https?)://{_AUTHORITY}(?:/[^\\\s]*)?", re.IGNORECASE | re.ASCII)
_PATTERN = re.compile(
    rf"(?:(?P<scheme>https?)://)?(?P<any>\*\.)?{_AUTHORITY.replace('[0-9]{1,5}', '[0-9]{1,5}|[*]')}/?",
    re.IGNORECASE | re.ASCII,
)


def origin(url: str) -> str | None:
    """Return scheme, host and port of an address, the usual port left out; None where it is no plain address."""
    if (parts := _parts(url)) is None:
        return None
    scheme, host, port = parts
    return f"{scheme}://{host}" + (f":{port}" if port != _PORTS[scheme] else "")


def _parts(url: str) -> tuple[str, str, str] | None:
    if (found := _ADDRESS.fullmatch(url)) is None:
        return None
    scheme = found["scheme"].lower()
    return scheme, found["host"].lower(), found["port"] or _PORTS[scheme]


class AllowedServers:
    """The origins the operator allows beyond what flags and environment name.

    Each pattern is ``[SCHEME://]HOST[:PORT]``; one of another form raises `SettingsError`. Without a scheme https is
    meant, without a port the scheme's usual one; ``*`` as port is any, and ``*.`` before the host any host below it.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns: list[tuple[str, bool, str, str]] = []
        for pattern in re.findall(r"[^\s,]+", " ".join(patterns)):
            found = _PATTERN.fullmatch(pattern)
            if found is None:
                hint = "write https://HOST, https://HOST:PORT or https://*.DOMAIN"
                raise SettingsError(f"--allow-server {printable(pattern)}: not the origin of a server", hint)
            scheme = (found["scheme"] or "https").lower()
            self._patterns.append((scheme, bool(found["any"]), found["host"].lower(), found["port"] or _PORTS[scheme]))

    def __contains__(self, url: str) -> bool:
        scheme, host, port = _parts(url) or ("", "", "")  # what is no plain address is in no pattern
        return any(
            scheme == its_scheme
            and its_port in ("*", port)
            and (host.endswith(f".{its_host}") if below else host == its_host)
            for its_scheme, below, its_host, its_port in self._patterns
        )


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
    cacert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    insecure: bool | None = None
    sources: Mapping[str, str] = field(
        default_factory=dict, compare=False
    )  # the flag or variable of each that is given
    # patterns (see `AllowedServers`) of what may get the token although a manifest, a saved plan or a profile names it
    allowed: tuple[str, ...] = ()

    def source(self, name: str) -> str:
        """Return the flag or variable that gives this option."""
        return self.sources.get(name, f"--{name.replace('_', '-')}")

    def with_token(self) -> ServerOptions:
        """Return the same with the token file read (a pipe can be read only once); raises what `read_token` raises."""
        if self.token_file is None:
            return self
        sources = {**self.sources, "token": self.source("token_file")}
        return replace(self, token=read_token(self), token_file=None, sources=sources)


def resolve(given: ServerOptions, manifest: ServerSettings | None, warn: Callable[[str], None] = output.warn) -> Target:
    """Settle which server to talk to, and that the token may go there.

    A token given by flag or environment goes to the URL that flag or environment gives, a profile's token to the
    profile's URL; to any other only if its origin is allowed. The same holds for what a manifest says of the tenant
    and of how the token is sent.

    Raises `SettingsError` if nothing names a server or a token, the profile or the token file cannot be read, or the
    token may not go to the server.
    """
    allowed = AllowedServers(given.allowed)
    token = read_token(given, warn)
    manifest = manifest or ServerSettings()
    url, profile, auth_type, domain = given.url, given.profile, given.auth_type, given.domain
    named_by_manifest = url is None and profile is None  # or by a saved plan
    if named_by_manifest:
        url, profile = manifest.url, manifest.profile
    place = str(manifest.source or "")
    origins = _origins(given, manifest)
    values: Profile | None = None
    whose, trusted = "", True
    if profile is not None and url is None:
        file = _profile_file(given.profiles_path)
        values = _profile(profile, file, origins, warn)
        whose, trusted = f"{_display(file)} [{profile}]", given.profiles_path is None or not is_in_working_folder(file)
        origins |= dict.fromkeys({"url", "token", "auth_type"} - (origins.keys() - {"url"}), whose)
        url = values["url"]
        if token:
            _may_be_told(url, f"profile {profile} names it", allowed, profile=True)
        token = token or values["token"]
        auth_type = auth_type or values["auth_type"]
    elif named_by_manifest and url and url[: len(LOCAL)].lower() == LOCAL:
        url = _confined(url, place, manifest.source.file if manifest.source else "")
    elif named_by_manifest and url and token:
        _may_be_told(url, f"{place} names it", allowed)
    if not url:
        hint = "give --url or --profile, set MMSYNC_URL, or name one under server: in the manifest"
        hint += "; --url local:FOLDER runs an embedded one (mmsync help connecting)"
        raise SettingsError("no server is named", hint)
    if url.startswith(LOCAL):
        if not url.removeprefix(LOCAL):
            raise SettingsError("--url local: needs a folder", "for example --url local:.model-manager")
    else:
        refuse_other_than_address(url, origins.get("url", "--url"))
    if not token and not url.startswith(LOCAL):
        hint = "set MMSYNC_TOKEN, or give --token-file or --profile"
        raise TokenSettingsError(f"no token for {masked_url(url)}", hint)
    if token and not named_by_manifest and url not in allowed:
        _same(url, place, "auth_type", auth_type or "standalone", None if auth_type else manifest.auth_type)
        _same(url, place, "domain", "none", manifest.domain if domain is None else None)
    auth_type = auth_type or manifest.auth_type or "standalone"
    domain = manifest.domain if domain is None else domain
    route = route_to(url, given, values, whose, trusted=trusted)
    return Target(url, token or "", auth_type, domain or None, given.timeout, given.max_list_bytes, route, origins)


def _origins(given: ServerOptions, manifest: ServerSettings) -> dict[str, str]:
    """Return who gives each of the settings, a profile's own aside."""
    named_by_manifest = given.url is None and given.profile is None
    found: dict[str, str] = {}
    for name in ("url", "profile", "auth_type", "domain"):
        if getattr(given, name) is not None:
            found[name] = given.source(name)
        elif getattr(manifest, name) is not None and (named_by_manifest or name in ("auth_type", "domain")):
            found[name] = str(manifest.source or "the manifest")
    for name in ("token_file", "token"):
        if getattr(given, name) is not None:
            found["token"] = given.source(name)
    if given.timeout is not None:
        found["timeout"] = given.source("timeout")
    return found


def _may_be_told(url: str, who: str, allowed: AllowedServers, *, profile: bool = False) -> None:
    if url in allowed:
        return
    place = origin(url)
    shown = masked_url(url)
    if place is None:
        why = f"the token is not sent to {shown}: {who}, not you, and it is not a plain address"
        raise TokenSettingsError(why, "if the server is yours, give its address as --url or MMSYNC_URL")
    hint = "unset MMSYNC_TOKEN to use the profile's own token" if profile else f"set MMSYNC_URL={shown}"
    raise TokenSettingsError(
        f"the token that flag or environment give is not sent to {shown}: {who}, and not flag or environment",
        f"if that server is yours, {hint}, or allow it with --allow-server {place} or MMSYNC_ALLOWED_SERVERS={place}",
    )


def _same(url: str, where: str, what: str, ours: str, theirs: str | None) -> None:
    if theirs is None or theirs == ours:
        return
    place = origin(url)
    allow = f", or allow the manifest to say so with --allow-server {place}" if place else ""
    raise SettingsError(
        f"{where}: {what} {printable(theirs)} is not what flags and environment say ({ours}) for {masked_url(url)}",
        f"if it is right, give --{what.replace('_', '-')} {printable(theirs)}{allow}",
    )


def _confined(url: str, where: str, file: str) -> str:
    """Return the ``local:`` of a manifest or plan with its folder made absolute, if it is inside the file's own."""
    home = Path(file).parent
    folder = (home / url[len(LOCAL) :]).resolve()
    if not folder.is_relative_to(home.resolve()):
        why = f"{where}: the server's folder {printable(url)} is outside the folder of {file}"
        raise SettingsError(why, "if you want it there, give it as --url")
    return f"{LOCAL}{folder}"


def in_ci() -> bool:
    """Return whether this is a job of a CI service, whose checkout may be a stranger's."""
    return os.environ.get("GITHUB_ACTIONS") == "true" or os.environ.get("CI", "").lower() in ("1", "true")


def cache_folder() -> Path | None:
    """Return the folder of the ledger: MMSYNC_CACHE_DIR, or the platform's cache folder for this user.

    None where nothing tells which that is: a user id without a name or a home, as containers give.
    """
    if given := os.environ.get("MMSYNC_CACHE_DIR"):
        return expanded(given)
    from platformdirs import user_cache_path  # noqa: PLC0415 - 5 ms, for nothing where the variable is set

    try:
        folder = user_cache_path("mmsync", appauthor=False)
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None


def trace_folder() -> Path:
    """Return the folder for the trace of an internal error: that of the ledger, or a temporary one."""
    return cache_folder() or Path(tempfile.mkdtemp(prefix="mmsync-"))


def open_ledger(warn: Callable[[str], None]) -> Ledger:
    """Open this user's ledger, or one that lasts for this run only where no folder is known, with a warning."""
    from mmsync.ledger import Ledger  # noqa: PLC0415 - SQLite, which commands without a ledger do without

    folder = cache_folder()
    if folder is None:
        warn("no home folder is known, so nothing is remembered for the next run; set MMSYNC_CACHE_DIR to a folder")
    else:
        _warn_if_shared(folder, "MMSYNC_CACHE_DIR", warn)
    return Ledger(folder / "ledger.sqlite" if folder else None, warn=warn, now=int(time.time()))


def lock_folder(warn: Callable[[str], None] = output.warn) -> Path:
    """Return the folder of the locks: one for all of this user's mmsyncs on the machine, whatever their ledgers."""
    if given := os.environ.get("MMSYNC_LOCK_DIR"):
        _warn_if_shared(expanded(given), "MMSYNC_LOCK_DIR", warn)
        return expanded(given)
    # Not the cache folder: two ledgers must still take turns. gettempdir() would follow TMPDIR, which differs
    # between a shell and a service, so the machine's own folder comes first.
    shared = Path("/tmp")  # noqa: S108 - the folder made in it is this user's alone, and checked to be
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return (shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())) / f"mmsync-locks-{user}"


def _profile_file(place: str | None) -> Path:
    """Return the profile file at the place named, or else in the home folder: never of a folder one happens to be in."""
    from mmsync.client import profile as profiles  # noqa: PLC0415 - 100 ms, and few have profiles

    if place is None:
        file = expanded("~") / profiles.PROFILES_FILE
    else:
        file = expanded(place)
        if file.name == place and not file.exists():
            file = expanded("~") / place
        if not file.exists():
            raise SettingsError(f"no profiles in {place}: there is no such file or folder", "correct --profiles-path")
        if file.is_dir():
            file /= profiles.PROFILES_FILE
    return file


def _profile(name: str, file: Path, origins: Mapping[str, str], warn: Callable[[str], None]) -> Profile:
    from mmsync.client import error as errors, profile as profiles  # noqa: PLC0415 - 100 ms, and few have profiles

    if not file.is_file():
        hint = (
            "mmsync help connecting shows one; --profiles-path names another place, --url and MMSYNC_TOKEN do without"
        )
        raise SettingsError(f"no profile file {_display(file)}", hint)
    _warn_if_open(file, "the profile file", warn)
    for key, meant in profiles.misspelt_keys(name, str(file)):
        warn(f"profile {name} of {_display(file)} has no key '{printable(key, 60)}' (did you mean {meant}?)")
    try:
        return profiles.read_profile(name, str(file))
    except errors.ProfileValueRequired as error:
        why = f"profile {name} has no {error.msg.strip(chr(39))}"
        raise SettingsError(why, f"add it in {_display(file)}") from error
    except errors.ProfileError as error:
        hint = error.hint or "--profiles-path names another place"
        what = error.msg.replace(f"Missing profile '{name}'", "there is no such profile")
        named_by = origins.get("profile", "")
        by = "" if named_by.startswith(("--", "MMSYNC_")) else f", named by {named_by}"
        at = "" if str(file) in what else f" of {_display(file)}"
        raise SettingsError(f"profile {name}{at}{by}: {what}", hint) from error


def _display(file: Path) -> str:
    home = os.environ.get("HOME")
    return f"~/{file.relative_to(home)}" if home and file.is_relative_to(home) else str(file)


def read_token(given: ServerOptions, warn: Callable[[str], None] = output.warn) -> str | None:
    """Return the token that flags and environment give, or None.

    Raises `SettingsError` if the token file cannot be read, or what it or the flag gives cannot be a token.
    """
    token, what = given.token, "the token"
    if token is None:
        if given.token_file is None:
            return None
        path = expanded(given.token_file)
        what = f"the token file {path}"
        try:
            _warn_if_open(path, "the token file", warn)
            token = path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise TokenSettingsError(
                f"cannot read {what}: {reason}", "correct --token-file, or set MMSYNC_TOKEN"
            ) from error
    token = token.strip()
    if not token:
        raise TokenSettingsError(f"{what} is empty", "put the server's access token there")
    if not (token.isascii() and token.isprintable()):
        # The token itself is not shown: only that it cannot be one.
        why = f"{what} holds characters that a token cannot have"
        raise TokenSettingsError(why, "it must be one line of printable ASCII")
    return token


@cache  # said once, though a watch reads the file again and again
def _warn_if_open(path: Path, what: str, warn: Callable[[str], None]) -> None:
    """Warn of a file with a token in it that every user of the machine can read."""
    with contextlib.suppress(OSError):
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o007:
            warn(f"{what} {path} can be read by every user of this machine; chmod go= {path}")


@cache
def _warn_if_shared(folder: Path, variable: str, warn: Callable[[str], None]) -> None:
    """Warn of a folder whose files every user of the machine can replace."""
    with contextlib.suppress(OSError):
        if folder.stat().st_mode & stat.S_IWOTH:
            warn(f"every user of this machine can write in {folder}; give {variable} one that is yours alone")
