"""Whether a server keeps a text the way it was sent."""

from __future__ import annotations

import unicodedata

__all__ = ["is_respelled"]


def is_respelled(sent: str, shown: str) -> bool:
    """Whether what a server shows is what it was sent, put its own way: trimmed, cut short, or in another case.

    Such a server shows the same again however often the text is sent. Limits of descriptions are not published.
    """
    before, after = _bare(sent), _bare(shown)
    return sent != shown and bool(after) and before.startswith(after)


def _bare(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
