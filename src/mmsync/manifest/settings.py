"""The parts of a manifest that are not models: version, server, scope, defaults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mmsync.manifest.loader import NULL
from mmsync.manifest.model import ServerSettings
from mmsync.manifest.nodes import KEEP_OR_EMPTY, KEEP_OUT, boolean, described, items, pairs, text
from mmsync.manifest.wording import engine_fault, pattern_fault
from mmsync.patterns import MOST_GLOBS, is_glob
from mmsync.printable import printable

if TYPE_CHECKING:
    from yaml.nodes import Node

    from mmsync.manifest.page import Page

__all__ = ["Defaults", "read_defaults", "read_scope", "read_server", "read_version"]

_SERVER_KEYS = ("url", "profile", "auth_type", "domain")
_DEFAULTS_KEYS = ("engine", "description", "allow_signature_change", "inspect")
_AUTH_TYPES = ("standalone", "bearer")
_USERINFO = re.compile(r"^(?:[^/?#]*:)?/*[^/?#]*@")
_SECRET_KEY = re.compile("token|passw|secret|key|auth|sig", re.IGNORECASE)
_MAX_URL = 2_000  # characters; longer ones are no addresses of servers


class Defaults(NamedTuple):
    """What a model gets where it does not say."""

    engine: str | None = None
    description: str | None = None
    allow_signature_change: bool = False
    inspect: bool = True


def read_version(page: Page, root: Node, version: Node | None) -> None:
    """Check the format's version: 1 is the only one there is."""
    if version is None:
        page.warn(root, "version", "the manifest does not say its version; it is read as 1", "write `version: 1`")
    elif not (version.tag.endswith(":int") and version.value == "1"):
        is_number = version.tag.endswith((":int", ":float"))
        shown = printable(version.value, 20) if is_number else described(version)
        page.fault(version, "version", f"version must be the number 1, but this is {shown}", "write `version: 1`")


def read_server(page: Page, node: Node) -> ServerSettings:
    """Read ``server``; anything that is or may be a secret is refused without being repeated."""
    if node.tag == NULL:
        page.fault(node, "wrong-type", "server is empty", "give it a profile or a url, or leave it out")
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
        if fault := _setting_fault(key, value):
            page.fault(at, *fault)
        else:
            values[key] = value
    return ServerSettings(**values, source=page.place(node))


def _setting_fault(key: str, value: str) -> tuple[str, str, str] | None:
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
    """Whether an address has a user, or a key in its query or fragment that sounds like a secret."""
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
        if fault := pattern_fault(glob):
            page.fault(item, "bad-scope", *fault)
        else:
            found.append(glob)
    if len(globs := [glob for glob in found if is_glob(glob)]) > MOST_GLOBS:
        summary = f"scope has {len(globs):,} patterns with * ? or ["
        page.fault(node, "bad-scope", summary, f"at most {MOST_GLOBS:,} are taken; plain names are not counted")
        return ()
    if node.value == []:
        page.fault(node, "bad-scope", "scope is empty, so no name is inside it", "add a pattern, or leave scope out")
    return tuple(found)


def read_defaults(page: Page, node: Node) -> Defaults:
    """Read what models get where they do not say."""
    if node.tag == NULL:
        page.fault(node, "wrong-type", "defaults is empty", "add a key, or leave it out")
        return Defaults()
    found = pairs(page, node, _DEFAULTS_KEYS, "defaults")
    engine = text(page, found["engine"].value, "engine") if "engine" in found else None
    if engine is not None and (fault := engine_fault(engine)):
        page.fault(found["engine"].value, "bad-engine", *fault)
        engine = None
    description = None
    if "description" in found:
        description = text(page, found["description"].value, "description", if_empty=KEEP_OR_EMPTY)
    allow = "allow_signature_change" in found and boolean(
        page, found["allow_signature_change"].value, "allow_signature_change"
    )
    inspect = "inspect" not in found or boolean(page, found["inspect"].value, "inspect")
    return Defaults(engine, description, allow, inspect)
