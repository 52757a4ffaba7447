"""A plan as one HTML page for a review: nothing is fetched, nothing runs, and it prints well.

Whatever stands in names and descriptions is text on it: Jinja escapes it, control characters and bidirectional marks are
shown as escapes, and a policy inside the page forbids all but its own style. The page is ASCII, so that no terminal and no
encoding changes it, and holds nothing that a CI runner takes for a command.

Its size grows with the number of changes, by about a kilobyte for each; what descriptions take is bounded as a whole.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple

from mmsync.html.environment import render_self_contained, stylesheet
from mmsync.plan.guards import CHANGED
from mmsync.plan.model import Action, After, Before, Change, Plan, Signatures
from mmsync.printable import printable
from mmsync.quantities import human_bytes
from mmsync.report.diagnostics import by_model
from mmsync.report.layout import EVIDENCE, display_name, display_path
from mmsync.report.plan_text import unchanged_sentence, unmanaged_sentence
from mmsync.report.text_diff import STEPS, Stretch, compare
from mmsync.types import Diagnostic, Shape

_DIGEST = 12
_LONGEST_TEXT = 20_000  # characters of one description that are compared and shown
_TEXTS = 2_000_000  # characters of all descriptions together; of those after that, the beginning alone
_BEGINNING = 200
_ALL_STEPS = 20 * STEPS  # for all comparisons together: two seconds or so
_COMMON_ENDS = 100  # how much of a long stretch in common stays beside a difference
_COMMON = 3 * _COMMON_ENDS
_MOST_INPUTS = 100  # of one side of a signature
_LONGEST_INPUT = 100
_LONGEST_MESSAGE = 2000

Mark = Literal["", "differs", "faint"]


class Part(NamedTuple):
    """A stretch of text and how it is marked: as what differs, as a remark of ours, or not."""

    text: str
    mark: Mark = ""


class Cell(NamedTuple):
    """The content of one cell; ``title`` is the whole of what is shown shortened."""

    parts: tuple[Part, ...]
    title: str = ""


class Row(NamedTuple):
    """One property of a model: what the server holds and what it is to hold, None where there is no such side."""

    label: str
    before: Cell | None
    after: Cell | None


class Entry(NamedTuple):
    """One change as it is shown."""

    name: str
    action: Action
    engine: str
    reasons: tuple[str, ...]
    rows: tuple[Row, ...]
    where: str  # the manifest's line, or empty
    evidence: str  # how the server's content is known, or empty


class _Room:
    """The room that is left for descriptions: characters to show, and steps to compare."""

    def __init__(self) -> None:
        self.texts = _TEXTS
        self.steps = _ALL_STEPS

    def cut(self, text: str) -> tuple[str, int]:
        """Return as much of a text as may be shown, and how many characters are left out."""
        most = _LONGEST_TEXT if self.texts > 0 else _BEGINNING
        self.texts -= min(len(text), most)
        return text[:most], max(len(text) - most, 0)


def render(plan: Plan, *, digest: str, version: str, show_all: bool = False) -> str:
    """Return the page; ``show_all`` lists the unchanged models, folded, and not only their number."""
    of_model, others = by_model(plan)
    room = _Room()
    entries = [_entry(change, room) for change in plan.changes]
    blocked = set(plan.blocked)
    return render_self_contained(
        "plan.html",
        stylesheet("plan.css"),
        plan=plan,
        counts=plan.summary,
        digest=printable(digest),
        version=version,
        sentence=_sentence(plan),
        server=display_path(plan.server.url),
        domain=printable(plan.server.domain or ""),
        manifests=[display_path(path) for path in plan.manifests],
        selection=_selection(plan),
        drift=[_told(each) for each in others if each.code == CHANGED],
        errors=[_told(each) for each in others if each.severity == "error" and each.code != CHANGED],
        remarks=[_told(each) for each in others if each.severity != "error" and each.code != CHANGED],
        sections=[
            (action, title, [entry for entry in entries if entry.action == action])
            for action, title in (("delete", "To delete"), ("change", "To change"), ("add", "To add"))
        ],
        blocked=[(display_name(name), [_told(each, name) for each in of_model[name]]) for name in plan.blocked],
        unknown=[
            (display_name(name), [_told(each, name) for each in of_model[name]])
            for name in plan.unknown
            if name not in blocked
        ],
        orphans=[display_name(name) for name in plan.kept_orphans],
        unmanaged=unmanaged_sentence(plan) if plan.unmanaged else "",
        unchanged=[display_name(change.name) for change in plan.unchanged] if show_all else [],
    )


class Told(NamedTuple):
    """A diagnostic as it is shown."""

    severity: str
    place: str
    summary: str
    detail: str
    code: str


def _told(diagnostic: Diagnostic, under: str = "") -> Told:
    """``under`` is the model whose name stands above: messages that begin with it do not repeat it."""
    summary = diagnostic.summary.removeprefix(f"{printable(under)}: ") if under else diagnostic.summary
    source = diagnostic.source
    return Told(
        {"error": "error", "warning": "warning", "info": "note"}[diagnostic.severity],
        f"{display_path(source.file)}:{source.line}:{source.column}" if source else "",
        printable(summary, _LONGEST_MESSAGE),
        printable(diagnostic.detail, _LONGEST_MESSAGE),
        diagnostic.code,
    )


def _sentence(plan: Plan) -> str:
    counts = plan.summary
    if not plan.changes:
        return unchanged_sentence(plan)
    return (
        f"{counts.add:,} to add, {counts.change:,} to change, {counts.delete:,} to delete; "
        f"{human_bytes(counts.upload_bytes)} to upload."
    )


def _selection(plan: Plan) -> str:
    return printable(" ".join(plan.selection.flags()), _LONGEST_MESSAGE)


def _entry(change: Change, room: _Room) -> Entry:
    side = change.after or change.before
    return Entry(
        display_name(change.name),
        change.action,
        printable((side and side.engine) or "", 60),
        change.reasons,
        tuple(_rows(change, room)),
        f"{display_path(change.source.file)}:{change.source.line}" if change.source else "",
        EVIDENCE[change.evidence] if "content" in change.reasons else "",
    )


def _rows(change: Change, room: _Room) -> Iterator[Row]:
    before, after = change.before, change.after
    if before and after and "engine" in change.reasons:
        yield Row("Engine", _differing(before.engine or "unknown"), _differing(after.engine))
    if change.uploads or (before and not after):
        yield Row("Content", *_contents(before, after, is_other="content" in change.reasons))
    if before and after:
        if "description" in change.reasons:
            yield Row("Description", *_descriptions(before.description, after.description, room))
    elif (side := before or after) and side.description:
        cell = _text(side.description, room)
        yield Row("Description", cell if before else None, cell if after else None)
    if change.signatures:
        yield from _signatures(change.signatures)
    if after:
        yield Row("File", None, Cell((Part(display_path(after.file)),)))


def _signatures(signatures: Signatures) -> Iterator[Row]:
    """Yield the inputs and the output of both sides, as far as they are known; what differs is marked."""
    differences = signatures.differences
    retyped = {name for name, _, _ in differences.retyped}
    removed, added = ({name for name, _ in side} for side in (differences.removed, differences.added))
    before, after = signatures
    if before == after:
        told = (*_inputs(after, set(), set()).parts, Part(" → "), _type(after.output, ""), Part(" as before", "faint"))
        yield Row("Signature", None, Cell(told))
        return
    if before.inputs is not None or after.inputs is not None:
        # What differs first: of thousands of inputs not all are shown.
        yield Row("Inputs", _inputs(before, removed, retyped), _inputs(after, added, retyped))
    if before.output is not None or after.output is not None:
        mark: Mark = "differs" if differences.output else ""
        yield Row("Output", *(Cell((_type(side.output, mark),)) for side in signatures))


def _inputs(shape: Shape, others: set[str], retyped: set[str]) -> Cell:
    if shape.inputs is None:
        return Cell((Part("unknown", "faint"),))
    if not shape.inputs:
        return Cell((Part("none", "faint"),))
    parts: list[Part] = []
    names = sorted(shape.inputs, key=lambda name: (name not in others and name not in retyped, name))
    for name in names[:_MOST_INPUTS]:
        mark: Mark = "differs" if name in others else ""
        typed = _type(shape.inputs[name], "differs" if name in retyped or mark else "faint")
        parts += [Part(", ")] if parts else []
        parts += [Part(f"{printable(name, _LONGEST_INPUT)} ", mark), typed]
    if len(names) > _MOST_INPUTS:
        parts.append(Part(f" and {len(names) - _MOST_INPUTS:,} more", "faint"))
    return Cell(tuple(parts))


def _type(name: str | None, mark: Mark) -> Part:
    return Part(printable(name, 60), mark) if name else Part("unknown", "faint")


def _differing(text: str) -> Cell:
    return Cell((Part(printable(text, 60), "differs"),))


def _contents(before: Before | None, after: After | None, *, is_other: bool) -> tuple[Cell | None, Cell | None]:
    """Return both contents: the start of each digest, the size, and the whole digest for who asks."""
    mark: Mark = "differs" if is_other else ""
    sizes = {human_bytes(side.size) for side in (before, after) if side and side.size is not None}
    exact = bool(is_other and before and after and before.size != after.size and len(sizes) == 1)
    return _content(before, mark, exact=exact), _content(after, mark, exact=exact)


def _content(side: Before | After | None, mark: Mark, *, exact: bool) -> Cell | None:
    if side is None:
        return None
    measure = () if side.size is None else (f"{side.size:,} B" if exact else human_bytes(side.size),)
    if not side.sha256:
        return Cell((Part("unknown ", "faint"), *(Part(text, mark) for text in measure)))
    digest = printable(side.sha256, 64)
    return Cell((Part(digest[:_DIGEST], mark), *(Part(f" {text}", "faint") for text in measure)), digest)


def _descriptions(old: str | None, new: str | None, room: _Room) -> tuple[Cell, Cell]:
    """Return both descriptions, what differs marked inside them."""
    if not old or not new:
        before, after = (_text(text, room, "differs") if text else _absent(text) for text in (old, new))
        return before, after
    (was, was_more), (now, now_more) = room.cut(old), room.cut(new)
    was, now = _visible(was), _visible(now)
    found = compare(was, now, min(STEPS, max(room.steps, 0)))
    room.steps -= found.steps
    stretches = found.stretches
    if was != now and unicodedata.normalize("NFKC", was) == unicodedata.normalize("NFKC", now):
        # Other forms of the same characters would look alike: what differs is shown by code points.
        stretches = tuple(one if one.is_common else Stretch(*map(_escaped, one)) for one in stretches)
    there = [part for one in stretches for part in _marked(one, one.old)]
    here = [part for one in stretches for part in _marked(one, one.new)]
    return Cell((*there, *_left_out(was_more))), Cell((*here, *_left_out(now_more)))


def _escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _text(text: str, room: _Room, mark: Mark = "") -> Cell:
    shown, more = room.cut(text)
    return Cell((Part(_visible(shown), mark), *_left_out(more)))


def _absent(text: str | None) -> Cell:
    return Cell((Part("none" if text is None else "empty", "faint"),))


def _marked(stretch: Stretch, text: str) -> tuple[Part, ...]:
    """Return one side of a stretch; the middle of a long one that both have is left out of both."""
    if not stretch.is_common:
        return (Part(text, "differs"),) if text else ()
    if len(text) <= _COMMON:
        return (Part(text),)
    # Between words, where there are any.
    first = text.rfind(" ", _COMMON_ENDS // 2, _COMMON_ENDS) + 1 or _COMMON_ENDS
    last = text.find(" ", len(text) - _COMMON_ENDS, len(text) - _COMMON_ENDS // 2)
    last = last if last > 0 else len(text) - _COMMON_ENDS
    between = Part(f" … {last - first:,} characters in common … ", "faint")
    return Part(text[:first].rstrip()), between, Part(text[last:].lstrip())


def _left_out(more: int) -> tuple[Part, ...]:
    return (Part(f" … {more:,} more characters", "faint"),) if more else ()


def _visible(text: str) -> str:
    """Return a text with every character in it seen: line ends marked, others that do not show as escapes."""
    lines = text.replace("\r", r"\r").replace("\t", r"\t").split("\n")
    return "\u21b5\n".join(printable(line, limit=len(line) * 6) for line in lines)
