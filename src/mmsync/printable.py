"""Text from elsewhere made safe for a terminal, a log line, a Markdown table or the runner of a CI job."""

from __future__ import annotations

import re
from collections.abc import Sequence

# C0 and C1 controls, the bidirectional overrides that can disguise a name, line separators, and lone surrogates
# (how Python carries the bytes of a file name that is not UTF-8; they cannot be encoded again for output).
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

# What a CI runner takes for a command: GitHub's, ``::name::value`` where a line begins, after any white space, and
# ``##[name]value`` anywhere in it; Azure's, ``##vso[…]``. Lines end as the runner ends them, at CR and LF.
# https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
_COMMAND = re.compile(r"((?:^|(?<=\r))[^\S\r\n]*:):|(##(?:vso)?)\[", re.MULTILINE)


def harmless(text: str) -> str:
    r"""Return ``text`` with nothing in it that a CI runner would take for a command.

    The last character of what begins a command becomes its JSON escape: a JSON document keeps its value.

    >>> harmless('{"name": "##[error]"}')
    '{"name": "##\\u005berror]"}'
    """
    return _COMMAND.sub(lambda match: f"{match[1]}\\u003a" if match[1] else f"{match[2]}\\u005b", text)


def printable(text: str, limit: int = 300) -> str:
    r"""Return ``text`` on one line, without control characters, at most ``limit`` characters long.

    Each run of white space or line ends becomes one space; any other unsafe character becomes its escape
    (``\x1b``), so that nothing disappears without a trace; what is cut off is marked with an ellipsis.

    >>> printable("red\x1b[31m\nalert")
    'red\\x1b[31m alert'
    """
    if not _UNSAFE.search(text) and len(text) <= limit:
        return text
    # Cut before escaping as well: a hostile server may send megabytes.
    spaced = re.sub(r"[ \t\r\n]*[\t\r\n][ \t\r\n]*", " ", text[: limit * 4])
    escaped = _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), spaced)
    if len(escaped) > limit or len(text) > limit * 4:
        return escaped[: max(limit - 1, 0)] + "…"
    return escaped


def few(names: Sequence[str], most: int = 10) -> str:
    """Return names for a sentence, safe to print: the first ``most`` of them, and how many more there are.

    >>> few(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(printable(name, 60) for name in names[:most]) + more


def masked_url(url: str) -> str:
    """Return an address for a message: user, password, query and fragment masked, whatever its form.

    >>> masked_url("http://me:pass/word@host/path?token=abc")
    'http://***@host/path?***'
    """
    # By hand, and up to the last @: it may be in a message because it cannot be parsed.
    scheme, separator, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    user, at, rest = rest.rpartition("@")
    place = re.split("[?#]", rest, maxsplit=1)
    query = f"{rest[len(place[0])]}***" if len(place) > 1 and place[1] else ""
    return printable(f"{scheme}{separator}{'***' if user else ''}{at}{place[0]}{query}")
