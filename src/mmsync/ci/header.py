"""The hidden first line of a comment or an issue of ours: what it is about, and which run wrote it.

It is an HTML comment with JSON in it. Nothing from outside is in it as it is: names are part of a hash, the rest are
numbers, hex digits and words of ours.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

State = Literal["planned", "failed", "cancelled", "applying", "applied", "not-applied", "drift", "in-sync"]
"""What a comment or an issue says of its plan."""

BEFORE_MERGE = ("planned", "failed", "cancelled")
"""What is said before a merge; the rest is said by what applies."""

_START, _END = "<!-- mmsync ", " -->"
_LONGEST = 2000
_HEX = re.compile(r"[0-9a-f]{0,64}")
_TIME = re.compile(r"[0-9TZ:-]{0,20}")


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a comment or an issue.

    Attributes:
        key: Names what is planned, as `comment_key` does.
        state: What became of the plan.
        digest: The digest of the plan in the body; "" where there is none that could be approved.
        plan_commit: The head of the pull request that this plan was made of.
        commit: The commit that the state is about.
        run: The id of the run that wrote it.
        attempt: The attempt of that run.
        time: When it was written, in UTC.
        since: Of drift, when it was first seen; otherwise "".
    """

    key: str
    state: State
    digest: str = ""
    plan_commit: str = ""
    commit: str = ""
    run: int = 0
    attempt: int = 1
    time: str = ""
    since: str = ""


def comment_key(
    kind: Literal["plan", "drift"],
    *,
    manifests: Sequence[str],
    server: str,
    domain: str,
    selection: Sequence[str],
    environment: str = "",
) -> str:
    """Return the key of the comment for these manifests on this server, 32 hex digits.

    It is made of what a workflow is given and not of what is found: it is the same where a manifest is wrong or no
    server can be reached.

    Args:
        kind: Whether for plans or for drift.
        manifests: Their paths as given.
        server: The address or the profile as given; "" where the manifest names it.
        domain: The domain as given, or "".
        selection: The flags that select models.
        environment: The name a workflow gives to what it plans for, or "".
    """
    address = server.rstrip("/")
    paths = sorted(re.sub(r"^(?:\./)+", "", path) for path in manifests)
    essence = json.dumps([kind, paths, address, domain, sorted(selection), environment])
    return hashlib.sha256(essence.encode()).hexdigest()[:32]


def dump_header(header: Header) -> str:
    """Return the header as one line, which nothing in it can end early."""
    values = {name: value for name, value in asdict(header).items() if value != ""}
    text = json.dumps({"format": 1, **values}, separators=(",", ":"))
    # "--" would end an HTML comment for some readers, ">" for others.
    return f"{_START}{text.replace('--', '-' + chr(92) + 'u002d').replace('>', chr(92) + 'u003e')}{_END}"


def read_header(body: object) -> Header | None:
    """Return the header that a body begins with; None where it has none of ours, or one that is malformed."""
    if not isinstance(body, str) or not body.startswith(_START):
        return None
    line = body[:_LONGEST].splitlines()[0]
    if not line.endswith(_END):
        return None
    try:
        values = json.loads(line[len(_START) : -len(_END)])
        if values.pop("format") != 1:
            return None
        header = Header(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    texts = (header.key, header.digest, header.plan_commit, header.commit, header.time, header.since)
    if not all(isinstance(text, str) for text in texts) or header.state not in get_args(State):
        return None
    if not all(isinstance(number, int) and 0 <= number < 2**63 for number in (header.run, header.attempt)):
        return None
    hexadecimal = all(_HEX.fullmatch(text) for text in texts[:4])
    return header if hexadecimal and all(_TIME.fullmatch(text) for text in texts[4:]) else None
