"""Checksums of what a server holds of the manifests' models, in the form that ``sha256sum --check`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmsync.apply.outcome import Outcome
from mmsync.plan import Plan

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})


class Checksums(NamedTuple):
    """Lines of a digest and a name, by name, and the models that have none."""

    text: str
    unknown: tuple[str, ...]  # names of selected models of whose content on the server mmsync cannot be sure, sorted


def render_checksums(plan: Plan, outcomes: Sequence[Outcome]) -> Checksums:
    """Return the checksums after a plan was carried out.

    The content of a model is established where the plan found the server to hold it, or where it was sent and the
    read-back verified it.
    """
    unknown = {*plan.unknown, *plan.blocked}
    digests = {
        change.name: change.after.sha256 for change in plan.unchanged if change.after and change.name not in unknown
    }
    for outcome in outcomes:
        name, after = outcome.change.name, outcome.change.after
        if after is None:
            continue
        # A description can be verified where the content below it is not known.
        if outcome.status == "verified" and (outcome.uploaded or name not in unknown):
            digests[name] = after.sha256
            unknown.discard(name)
        else:
            unknown.add(name)
    lines = [checksum_line(digests[name], name) for name in sorted(digests)]
    return Checksums("".join(lines), tuple(sorted(unknown)))


def checksum_line(sha256: str, name: str) -> str:
    r"""Return one line; a backslash in front of it says that the name has escapes, as coreutils writes it.

    >>> checksum_line("00", "a\\b")
    '\\00  a\\\\b\n'
    """
    escaped = name.translate(_ESCAPES)
    return f"{'' if escaped == name else chr(92)}{sha256}  {escaped}\n"
