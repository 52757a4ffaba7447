r"""Characters that JSON writes as two escapes, ``\ud83d\udca5``: libyaml refuses either half.

Each half is given to the parser as another escape of the same length, that of a character for private use, so that
every line and column stays what it is; in what was read, the halves take its place again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Searched for as text first: hardly a manifest holds one.
_SIGN = b"\\u"
# Any escape, so that the second of two backslashes begins none; the groups are of one that is half a character.
_ESCAPE = re.compile(rb"\\(?:u([dD])([89a-fA-F])|.)", re.DOTALL)
# The stand-ins are from U+E000 to U+EFFF; of a text that holds any of these, nobody could tell which are.
_TAKEN = re.compile(rb"\xee|\\(?:u|U0000)[eE]")
_FIRST = {b"d": b"e", b"D": b"E"}
_SECOND = dict(zip("89abcdefABCDEF", "01234567ABCDEF", strict=True))
_THERE = bytes.maketrans("".join(_SECOND).encode(), "".join(_SECOND.values()).encode())
_FIRST_BACK = {"e": "d", "E": "D"}
_SECOND_BACK = {there: here for here, there in _SECOND.items()}
_UNREAD = re.compile(r"\\u([eE])([0-7A-F])")
_STAND_IN = re.compile("[\ue000-\uefff]")
_PAIR_OR_HALF = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def with_stand_ins(data: bytes) -> bytes:
    """Return YAML in UTF-8 with the stand-ins; ``data`` itself where it needs none, or cannot have any."""
    if _SIGN not in data or _TAKEN.search(data) or not any(found[1] for found in _ESCAPE.finditer(data)):
        return data
    return _ESCAPE.sub(
        lambda found: _SIGN + _FIRST[found[1]] + found[2].translate(_THERE) if found[1] else found[0], data
    )


def restored(value: str, *, unescaped: bool) -> str | None:
    """Return the value of a scalar as it would be without stand-ins; None where a half is without the other.

    ``unescaped`` tells that the scalar stood in double quotes: elsewhere escapes are text.
    """
    if not unescaped:
        return _UNREAD.sub(lambda found: f"\\u{_FIRST_BACK[found[1]]}{_SECOND_BACK[found[2]]}", value)
    if value.isascii():
        return value
    try:
        return _STAND_IN.sub(_half, value).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return None


def _half(found: re.Match[str]) -> str:
    code = ord(found[0]) - 0x1000
    return chr(
        code | 0x800
    )  # D000 to D7FF stand for D800 to DFFF in digits and small letters, the others for themselves


def half_alone(lines: Sequence[str], line: int, column: int) -> tuple[int, int, str] | None:
    """Return line, column and text of the first escape, in a double-quoted scalar, that is half a character.

    The scalar begins in this line and column; all are from 0. None where none is found.
    """
    for number in range(line, len(lines)):
        for found in _PAIR_OR_HALF.finditer(lines[number], column if number == line else 0):
            if found[1]:
                return number, found.start(), found[0]
    return None
