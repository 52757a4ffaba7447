"""A manifest file to its root node, and its sections but models and discover: version, server, scope, defaults."""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from mmsync.files.allowed_paths import OPEN_FLAGS
from mmsync.files.near_misses import manifest_hint, not_expanded
from mmsync.manifest.nodes import (
    KEEP_OUT,
    boolean,
    described,
    description_text,
    engine_text,
    given,
    items,
    pairs,
    pattern_error,
    text,
)
from mmsync.manifest.plain_entries import Row, are_neighbours, set_aside
from mmsync.manifest.syntax_errors import explained
from mmsync.manifest.types import ServerSettings
from mmsync.manifest.yaml_loader import (
    MAP,
    NULL,
    STR,
    NotYaml,
    Page,
    Unreadable,
    compose,
    end_of,
    expands_too_far,
)
from mmsync.printable import printable
from mmsync.types import MOST_GLOBS, is_glob

if TYPE_CHECKING:
    from yaml.nodes import Node

# Paths stay text, as the user gave them: Path would rewrite them, and costs ten times the look-up.
# ruff: noqa: PTH112, PTH115, PTH120, PTH123

# The largest manifest that is read; 100,000 models with a line of description take about a quarter of it.
_MAX_BYTES = 64 * 2**20

# From here on entries are set aside: below, the parser is as quick as what looks for them.
_MANY_BYTES = 32 * 1024

# The lines of marks of Git, Mercurial and Subversion; nothing in a block or quoted text of a manifest begins a line so.
_CONFLICT = re.compile(rb"^(?:<{7}|>{7}) \S", re.MULTILINE)
_CONFLICT_SIGNS = (b"<<<<<<< ", b">>>>>>> ")
_ODD_BREAKS = tuple(character.encode() for character in "\x85\u2028\u2029")

# It begins with the star, which the regular expression engine can leap to: a class first would try every byte.
_ALIAS = re.compile(rb"\*(?<=[\s\[{,:-]\*)[^\s,\]}]")


class Document(NamedTuple):
    """A manifest file's text, parsed."""

    root: Node
    rows: list[Row]  # the models that are not in ``root``, because they were set aside


def read_document(page: Page) -> Document:
    """Return the manifest ``page.file`` parsed; raises `Unreadable` where that cannot be."""
    data = _read(page).removeprefix(b"\xef\xbb\xbf")  # Windows editors write this mark; it says nothing
    try:
        decoded = data.decode()
    except UnicodeDecodeError as error:
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        summary = f"the text is {'UTF-16, not UTF-8' if wide else f'not UTF-8: byte 0x{data[error.start]:02x}'}"
        source = end_of(page, data[: error.start].decode())
        raise Unreadable(source, "encoding", summary, "save the file as UTF-8") from error
    page.text = decoded
    # Searched for as text first, which is fifty times as quick, and hardly a manifest holds any.
    if any(sign in data for sign in _CONFLICT_SIGNS) and (conflict := _CONFLICT.search(data)):
        source = end_of(page, data[: conflict.start()].decode())
        hint = "settle it, and remove the lines of marks"
        raise Unreadable(source, "merge-conflict", "a merge conflict was left in", hint)
    if is_odd := any(mark in data for mark in _ODD_BREAKS):
        page.number_lines(decoded)
    # No alias without an anchor, whose sign few manifests hold.
    alias = _ALIAS.search(data) if b"&" in data else None
    if len(data) >= _MANY_BYTES and not is_odd and not alias and (document := _without_plain_entries(page, decoded)):
        return document
    try:
        root = compose(data, page.budget.check)
    except NotYaml as error:
        raise explained(page, error.args[0], decoded) from error
    if root is None or (root.tag == NULL and not root.value):  # nothing, or nothing behind `---`
        hint = "write `version: 1` and `models:` with a list under it"
        raise Unreadable(None, "empty", "the manifest is empty", hint)
    if alias and expands_too_far(root):
        source = end_of(page, data[: alias.end() - 2].decode("utf-8", "ignore"))
        summary = "aliases that repeat too much or contain themselves"
        raise Unreadable(source, "alias-bomb", summary, "write the entries out")
    return Document(root, [])


def _without_plain_entries(page: Page, decoded: str) -> Document | None:
    """Return the document with its plain entries set aside; None where it has none, or must be parsed as a whole."""
    rest, rows = set_aside(decoded)
    nodes = sum(1 + 2 * len(entry.fields) for row in rows for entry in row.entries)
    try:
        root = compose(rest.encode(), page.budget.check, nodes=nodes) if rows else None
    except NotYaml:
        return None
    if root is None or root.tag != MAP or isinstance(root.value, str):
        return None
    models = [value for key, value in root.value if key.value == "models"]
    return Document(root, rows) if len(models) == 1 and are_neighbours(models[0], rows) else None


def _read(page: Page) -> bytes:
    try:
        descriptor = os.open(page.file, OPEN_FLAGS)
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(None, "not-a-file", "the manifest is not a regular file", "name a YAML file")
            if page.confined and not _is_inside(descriptor, page.file):
                hint = "put the manifest itself there; elsewhere than in CI links are followed"
                raise Unreadable(None, "outside", "the manifest is a link that leads out of its folder", hint)
            data = b"" if status.st_size > _MAX_BYTES else file.read(_MAX_BYTES + 1)
            if max(status.st_size, len(data)) > _MAX_BYTES:
                summary = f"the manifest is larger than {_MAX_BYTES // 2**20} MiB"
                hint = "is it the right file? Several manifests can be given with -f"
                raise Unreadable(None, "too-large", summary, hint)
            return data
    except FileNotFoundError as error:
        near = printable(manifest_hint(page.file), 200)
        hint = f"did you mean {near}? Name it with -f" if near else "name it with -f, or make one with `mmsync init`"
        raise Unreadable(None, "missing", "there is no such manifest", hint) from error
    except ValueError as error:
        hint = "name the manifest with -f"
        raise Unreadable(None, "missing", "a path cannot hold a NUL character", hint) from error
    except OSError as error:
        hint = "check its permissions" if error.errno in (errno.EACCES, errno.EPERM) else "check the path and disk"
        reason = (error.strerror or "unknown error").lower()
        raise Unreadable(None, "unreadable", f"the manifest cannot be read: {reason}", hint) from error


def _is_inside(descriptor: int, path: str) -> bool:
    """Tell whether an opened file lies where its path says: below the working folder if the path leads there."""
    is_below = not path.startswith("/") and ".." not in path.split("/")
    folder = os.path.realpath("." if is_below else os.path.dirname(path) or "/")
    real = os.readlink(f"/proc/self/fd/{descriptor}") if os.path.isdir("/proc/self/fd") else os.path.realpath(path)
    return real.startswith(folder.rstrip("/") + "/")


SERVER_KEYS = ("url", "profile", "auth_type", "domain")
_DEFAULTS_KEYS = ("engine", "description", "allow_signature_change", "inspect", "protect")
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
    protect: bool = False


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
    if node.tag == STR and isinstance(node.value, str):
        # What is no plain word may be a secret.
        name = node.value if re.fullmatch("[a-z][a-z_-]{0,24}", node.value, re.IGNORECASE) else "NAME"
        hint = f"write `server: {{profile: {name}}}`"
        if "/" in node.value:
            hint = "write `server: {url: https://host/path}`"
        page.add_error(node, "wrong-type", "server must be a mapping, but this is text", hint, is_private=True)
        return ServerSettings()
    before = len(page.found)
    found = pairs(page, node, SERVER_KEYS, "server", secretive=True, extensible=False)
    values: dict[str, str] = {}
    for key in SERVER_KEYS:
        value = text(page, found[key], f"server {key}", secret=True) if key in found else None
        if value is None:
            continue
        if error := _setting_error(key, value):
            page.add_error(found[key], *error)
        else:
            values[key] = value
    page.private.update(diagnostic.source for diagnostic in page.found[before:] if diagnostic.source)
    return ServerSettings(**values, source=page.place(node))


def _setting_error(key: str, value: str) -> tuple[str, str, str] | None:
    if not value.strip() or value != printable(value, len(value)):
        return "bad-setting", f"server {key} is empty or holds control characters", "write it on one line"
    if key == "auth_type" and value not in _AUTH_TYPES:
        return "bad-setting", f"server {key} is neither {' nor '.join(_AUTH_TYPES)}", "choose one of them"
    if len(value) > _MAX_URL:
        return "bad-setting", f"server {key} is {len(value):,} characters long", f"at most {_MAX_URL:,} are taken"
    if key == "url" and _holds_secret(value):
        return "secret", "the url holds a secret", KEEP_OUT
    if said := not_expanded(value.removeprefix("local:")):
        way = (
            "write it out, or leave it to --url or MMSYNC_URL"
            if key == "url"
            else "write it out, or give it as an option"
        )
        return "bad-setting", f"server {key}: {said}", way
    if key != "url":
        return None
    if not re.match(r"https?://[^/?#\s]+|local:.", value, re.IGNORECASE):
        scheme = value.partition("://")[0] if "://" in value[:20] else ""
        if scheme.isalnum():
            hint = "write https://host/path, or local:DIR for an embedded server"
            return "bad-setting", f"server url: {scheme}:// is not supported", hint
        return "bad-setting", "server url is not an address", "write https://host/path"
    return None


def _holds_secret(url: str) -> bool:
    """Tell whether an address has a user, or a key in its query or fragment that sounds like a secret."""
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
    return Defaults(
        given(page, found, "engine", engine_text, None),
        given(page, found, "description", description_text, None),
        given(page, found, "allow_signature_change", boolean, otherwise=False),
        given(page, found, "inspect", boolean, otherwise=True),
        given(page, found, "protect", boolean, otherwise=False),
    )
