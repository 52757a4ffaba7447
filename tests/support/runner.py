"""What GitHub's runner takes for a command in a step's output, by its own rules.

They are those of actions/runner, src/Runner.Common/ActionCommand.cs (``TryParseV2``, then ``TryParse``) and
src/Runner.Worker/ActionCommandManager.cs (which names are registered; a stopped runner also waits for its token).
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MARK", "NAMES", "SPACES", "Command", "commands"]

MARK = "mark-of-the-end"
NAMES = frozenset(
    "stop-commands set-env set-output save-state add-mask add-path add-matcher remove-matcher warning error notice "
    f"debug group endgroup echo internal-set-repo-path {MARK}".split()
)
# What Char.IsWhiteSpace, and so String.TrimStart, takes for white space.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


class Command(NamedTuple):
    """A command's name, its properties as they stand, and its value."""

    name: str
    properties: str
    value: str


def commands(output: str) -> list[Command]:
    """Return the commands in what a step wrote, in order. Lines end as for StreamReader: CR, LF or both."""
    found = (_newer(line) or _older(line) for line in re.split("\r\n|\r|\n", output))
    return [command for command in found if command]


def _newer(line: str) -> Command | None:
    line = line.lstrip(SPACES)
    end = line.find("::", 2)
    return _command(line[2:end], line[end + 2 :]) if line.startswith("::") and end >= 0 else None


def _older(line: str) -> Command | None:
    start = line.find("##[")
    end = line.find("]", start)
    return _command(line[start + 3 : end], line[end + 1 :]) if start >= 0 and end >= 0 else None


def _command(head: str, value: str) -> Command | None:
    name, _, properties = head.partition(" ")
    return Command(name, properties, value) if name.lower() in NAMES else None
