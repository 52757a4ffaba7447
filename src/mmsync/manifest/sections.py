"""A manifest file to its root node, or to the one error that keeps it from being read."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.nodes import (
    KEEP_OR_EMPTY,
    KEEP_OUT,
    boolean,
    described,
    engine_error,
    items,
    pairs,
    pattern_error,
    text,
)
from mmsync.manifest.types import ServerSettings
from mmsync.manifest.yaml_loader import (
    NULL,
    TOO_DEEP,
    NotYaml,
    Page,
    TooDeep,
    TooMany,
    compose,
    end_of,
    expands_too_far,
    explain,
)
from mmsync.printable import printable
from mmsync.types import MOST_GLOBS, is_glob

if TYPE_CHECKING:
    from yaml.nodes import Node

# Paths stay text, as the user gave them: Path would rewrite them, and costs ten times the look-up.
# ruff: noqa: PTH112, PTH115, PTH120, PTH123


MAX_BYTES = 64 * 2**20
"""The largest manifest that is read; 100,000 models with a line of description take about a quarter of it."""

# The lines of marks of Git, Mercurial and Subversion; nothing in a block or quoted text of a manifest begins a line so.
_CONFLICT = re.compile(rb"^(?:<{7}|>{7}) \S", re.MULTILINE)
_ODD_BREAK = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")

# It begins with the star, which the regular expression engine can leap to: a class first would try every byte.
_ALIAS = re.compile(rb"\*(?<=[\s\[{,:-]\*)[^\s,\]}]")


def read_document(page: Page) -> Node | None:
    """Return the root node of the manifest ``page.file``, or None once the error is noted on the page."""
    data = _read(page)
    if data is None:
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")  # Windows editors write this mark; it says nothing
    if not _is_utf8(page, data):
        return None
    if conflict := _CONFLICT.search(data):
        source = end_of(page, data[: conflict.start()].decode())
        page.add_error(
            source, "merge-conflict", "a merge conflict was left in", "settle it, and remove the lines of marks"
        )
        return None
    if _ODD_BREAK.search(data):
        page.number_lines(data.decode())
    try:
        root = compose(data, page.budget.check)
    except TooDeep as deep:
        page.add_error(deep.parent, *TOO_DEEP)
        return None
    except TooMany:
        page.add_error(None, "too-large", "the manifest holds more than any could", "is it the right file?")
        return None
    except NotYaml as error:
        explain(page, error.reason, data.decode())
        return None
    if root is None or (root.tag == NULL and not root.value):  # nothing, or nothing behind `---`
        page.add_error(None, "empty", "the manifest is empty", "write `version: 1` and `models:` with a list under it")
        return None
    # No alias without an anchor, whose sign few manifests hold.
    if b"&" in data and (alias := _ALIAS.search(data)) and expands_too_far(root):
        source = end_of(page, data[: alias.end() - 2].decode("utf-8", "ignore"))
        page.add_error(
            source, "alias-bomb", "aliases that repeat too much or contain themselves", "write the entries out"
        )
        return None
    return root


def _read(page: Page) -> bytes | None:
    try:
        # O_NONBLOCK: opening a FIFO nobody writes to would otherwise wait for ever.
        descriptor = os.open(page.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                page.add_error(None, "not-a-file", "the manifest is not a regular file", "name a YAML file")
                return None
            if page.confined and not _is_inside(descriptor, page.file):
                hint = "put the manifest itself there; elsewhere than in CI links are followed"
                page.add_error(None, "outside", "the manifest is a link that leads out of its folder", hint)
                return None
            data = b"" if status.st_size > MAX_BYTES else file.read(MAX_BYTES + 1)
            if status.st_size > MAX_BYTES or (data is not None and len(data) > MAX_BYTES):
                page.add_error(
                    None,
                    "too-large",
                    f"the manifest is larger than {MAX_BYTES // 2**20} MiB",
                    "is it the right file? Several manifests can be given with -f",
                )
                return None
            return data
    except FileNotFoundError:
        page.add_error(None, "missing", "there is no such manifest", "name it with -f, or make one with `mmsync init`")
    except ValueError:
        page.add_error(None, "missing", "a path cannot hold a NUL character", "name the manifest with -f")
    except OSError as error:
        hint = "check its permissions" if error.errno in (errno.EACCES, errno.EPERM) else "check the path and disk"
        reason = (error.strerror or "unknown error").lower()
        page.add_error(None, "unreadable", f"the manifest cannot be read: {reason}", hint)
    return None


def _is_inside(descriptor: int, path: str) -> bool:
    """Return whether an opened file lies where its path says: below the working folder if that is where the path leads."""
    is_below = not path.startswith("/") and ".." not in path.split("/")
    folder = os.path.realpath("." if is_below else os.path.dirname(path) or "/")
    real = os.readlink(f"/proc/self/fd/{descriptor}") if os.path.isdir("/proc/self/fd") else os.path.realpath(path)
    return real.startswith(folder.rstrip("/") + "/")


def _is_utf8(page: Page, data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        source = end_of(page, data[: error.start].decode())
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = "UTF-16, not UTF-8" if wide else f"not UTF-8: byte 0x{data[error.start]:02x}"
        page.add_error(source, "encoding", f"the text is {what}", "save the file as UTF-8")
        return False
    return True


_SERVER_KEYS = ("url", "profile", "auth_type", "domain")
_DEFAULTS_KEYS = ("engine", "description", "allow_signature_change", "inspect")
_AUTH_TYPES = ("standalone", "bearer")
_USERINFO = re.compile(r"^(?:[^/?#]*:)?/*[^/?#]*@")
_SECRET_KEY = re.compile("token|passw|secret|key|auth|sig", re.IGNORECASE)
_MAX_URL = 2_000  # characters; longer ones are no addresses of servers


class Defaults(NamedTuple):
    """Defaults of models that do not say."""

    engine: str | None = None
    description: str | None = None
    allow_signature_change: bool = False
    inspect: bool = True


def read_version(page: Page, root: Node, version: Node | None) -> None:
    """Check the format's version: 1 is the only one there is."""
    if version is None:
        page.add_warning(
            root, "version", "the manifest does not say its version; it is read as 1", "write `version: 1`"
        )
    elif not (version.tag.endswith(":int") and version.value == "1"):
        is_number = version.tag.endswith((":int", ":float"))
        shown = printable(version.value, 20) if is_number else described(version)
        page.add_error(version, "version", f"version must be the number 1, but this is {shown}", "write `version: 1`")


def read_server(page: Page, node: Node) -> ServerSettings:
    """Read ``server``; anything that is or may be a secret is refused without being repeated."""
    if node.tag == NULL:
        page.add_error(node, "wrong-type", "server is empty", "give it a profile or a url, or leave it out")
        return ServerSettings()
    found = pairs(page, node, _SERVER_KEYS, "server", secretive=True)
    values: dict[str, str] = {}
    for key in _SERVER_KEYS:
        if key not in found:
            continue
        at = found[key].value
        value = text(page, at, f"server {key}", secret=True)
        if value is None:
            continue
        if error := _setting_error(key, value):
            page.add_error(at, *error)
        else:
            values[key] = value
    return ServerSettings(**values, source=page.place(node))


def _setting_error(key: str, value: str) -> tuple[str, str, str] | None:
    if not value.strip() or value != printable(value, len(value)):
        return "bad-setting", f"server {key} is empty or holds control characters", "write it on one line"
    if key == "auth_type" and value not in _AUTH_TYPES:
        return "bad-setting", f"server {key} is neither {' nor '.join(_AUTH_TYPES)}", "choose one of them"
    if len(value) > _MAX_URL:
        return "bad-setting", f"server {key} is {len(value):,} characters long", f"at most {_MAX_URL:,} are taken"
    if key != "url":
        return None
    if _holds_secret(value):
        return "secret", "the url holds a secret", KEEP_OUT
    if not re.match(r"https?://[^/?#\s]+|local:.", value, re.IGNORECASE):
        return "bad-setting", "server url is not an address", "write https://host/path"
    return None


def _holds_secret(url: str) -> bool:
    """Return whether an address has a user, or a key in its query or fragment that sounds like a secret."""
    if _USERINFO.search(url) and not url.lower().startswith("local:"):
        return True
    # Part by part: one expression for all would go back and forth over a long one.
    parts = re.split("[?&;#]", url)[1:]
    return any("=" in part and _SECRET_KEY.search(part.partition("=")[0]) for part in parts)


def read_scope(page: Page, node: Node) -> tuple[str, ...]:
    """Read the globs of names that the manifest owns."""
    found: list[str] = []
    for item in items(page, node, "scope", 'write a list of patterns: ["fraud_*"]'):
        glob = text(page, item, "a pattern of scope")
        if glob is None:
            continue
        if error := pattern_error(glob):
            page.add_error(item, "bad-scope", *error)
        else:
            found.append(glob)
    if len(globs := [glob for glob in found if is_glob(glob)]) > MOST_GLOBS:
        summary = f"scope has {len(globs):,} patterns with * ? or ["
        page.add_error(node, "bad-scope", summary, f"at most {MOST_GLOBS:,} are taken; plain names are not counted")
        return ()
    if node.value == []:
        page.add_error(
            node, "bad-scope", "scope is empty, so no name is inside it", "add a pattern, or leave scope out"
        )
    return tuple(found)


def read_defaults(page: Page, node: Node) -> Defaults:
    """Read what models get where they do not say."""
    if node.tag == NULL:
        page.add_error(node, "wrong-type", "defaults is empty", "add a key, or leave it out")
        return Defaults()
    found = pairs(page, node, _DEFAULTS_KEYS, "defaults")
    engine = text(page, found["engine"].value, "engine") if "engine" in found else None
    if engine is not None and (error := engine_error(engine)):
        page.add_error(found["engine"].value, "bad-engine", *error)
        engine = None
    description = None
    if "description" in found:
        description = text(page, found["description"].value, "description", if_empty=KEEP_OR_EMPTY)
    allow = "allow_signature_change" in found and boolean(
        page, found["allow_signature_change"].value, "allow_signature_change"
    )
    inspect = "inspect" not in found or boolean(page, found["inspect"].value, "inspect")
    return Defaults(engine, description, allow, inspect)
