"""Names, paths and contents as reports show them, and the signs and words that stand for actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.printable import printable
from mmsync.report.layout import Piece
from mmsync.report.sizes import human_bytes

if TYPE_CHECKING:
    from mmsync.plan.model import Action, After, Before, Change
    from mmsync.report.layout import Paint, Style
    from mmsync.states import Source

__all__ = [
    "EVIDENCE",
    "SIGNS",
    "STYLES",
    "as_before",
    "content_side",
    "contents",
    "place",
    "shown_engine",
    "shown_name",
    "shown_path",
    "signed",
]

SIGNS: dict[Action, str] = {"add": "+", "change": "~", "delete": "-", "none": "="}
STYLES: dict[Action, Style] = {"add": "add", "change": "change", "delete": "delete", "none": "faint"}
EVIDENCE = {
    "ledger": "the ledger",
    "size": "the size of the server's image",
    "download": "the image, downloaded and hashed",
    "none": "",
}
# Names and paths are shown whole, as they will be copied; only what no file system or person makes is cut.
_LONGEST_NAME = 1024
_LONGEST_PATH = 4096
_LONGEST_ENGINE = 60
_DIGEST = 12  # as many digits as tell any two models apart


def shown_name(name: str) -> str:
    """Return a name safe for a terminal; in quotes where its ends could not be seen otherwise."""
    shown = printable(name, _LONGEST_NAME)
    return shown if shown and shown == shown.strip() else f'"{shown}"'


def shown_path(path: str) -> str:
    """Return a path safe for a terminal."""
    return printable(path, _LONGEST_PATH)


def shown_engine(engine: str) -> str:
    """Return an engine's code safe for a terminal."""
    return printable(engine, _LONGEST_ENGINE)


def signed(sign: str, style: Style, name: str, paint: Paint) -> Piece:
    """Return a sign and a name as one piece: a name never stands on a line without its sign."""
    return Piece(f"{paint(sign, style)} {paint(shown_name(name), 'name')}")


def place(source: Source) -> str:
    """Return ``file:line``, which editors and terminals open."""
    return f"{shown_path(source.file)}:{source.line}"


def content_side(sha256: str | None, size: int | None, *, exact: bool = False) -> str:
    """Return one content in a few characters: the start of its digest and its size, as far as they are known."""
    measure = "" if size is None else f"{size:,} B" if exact else human_bytes(size)
    if not sha256:
        return measure or "unknown"
    return printable(sha256, _DIGEST + 1)[:_DIGEST] + (f" ({measure})" if measure else "")


def contents(before: Before, after: After) -> tuple[str, str]:
    """Return both contents; sizes that differ by less than rounding shows are given to the byte."""
    exact = (
        before.size is not None and before.size != after.size and human_bytes(before.size) == human_bytes(after.size)
    )
    old, new = (content_side(side.sha256, side.size, exact=exact) for side in (before, after))
    return old, new


def as_before(change: Change) -> str:
    """Return what to add where the same content is uploaded again, as a new engine needs it."""
    same = change.before and change.after and change.before.sha256 == change.after.sha256
    return ", as before" if same else ""
