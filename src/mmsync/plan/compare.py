"""Desired × observed × evidence → a plan. Pure: the same arguments, in any order, give the same plan."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from mmsync.errors import FileFault, Misfit
from mmsync.files.lfs import pull_command
from mmsync.formats import is_known
from mmsync.patterns import is_glob
from mmsync.plan.guards import refusals
from mmsync.plan.manifest_guards import CHANGED
from mmsync.plan.model import Change, Guards, Plan, Selection
from mmsync.plan.scope import Scope
from mmsync.plan.selected import missed, quoted
from mmsync.plan.sides import Sides, Unchanged, before, change_of
from mmsync.printable import few, printable
from mmsync.states import Content, Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mmsync.plan.model import Reason
    from mmsync.states import Desired, Evidence, Observed, ServerName, Source

__all__ = ["Situation", "compare", "order", "same_engine"]

_NOTHING: Mapping[str, tuple[str, str]] = MappingProxyType({})
_SEVERITIES = ("error", "warning", "info")


class Situation(NamedTuple):
    """Everything a plan is made from.

    Attributes:
        server: The server looked at.
        manifests: The manifests' paths.
        desired: Every entry of every manifest, selected or not.
        contents: For each selected name, what its file holds, or why it cannot be read.
        observed: The server's models by name.
        evidence: For each selected name on the server, whether it holds the content.
        scope: The names the manifests own.
        ambiguous: Names the server lists more than once; they are in no ``observed``.
        kept: By name, a description as it was sent and as the server shows it: no difference.
        notes: Diagnostics from reading and observing, to be passed on.
    """

    server: ServerName
    manifests: Sequence[str]
    desired: Sequence[Desired]
    contents: Mapping[str, Content | FileFault]
    observed: Mapping[str, Observed]
    evidence: Mapping[str, Evidence]
    scope: Scope = Scope(())
    ambiguous: frozenset[str] = frozenset()
    kept: Mapping[str, tuple[str, str]] = _NOTHING
    notes: Sequence[Diagnostic] = ()


def compare(
    situation: Situation, *, selection: Selection = Selection(), guards: Guards = Guards(), prune: bool = False
) -> Plan:
    """Make the plan.

    Args:
        situation: What is wanted and what is there.
        selection: Which names to look at; a partial selection never deletes.
        guards: The limits on deleting.
        prune: Whether orphans are to be deleted.

    Returns:
        The plan, every sequence in it sorted by name. Its ``refusals`` say whether a guard forbids it as a whole.
    """
    changes: list[Change] = []
    unchanged: list[Sides] = []
    blocked: list[str] = []
    unknown: list[str] = []
    notes = list(situation.notes)
    contents, observed, evidences, ambiguous = (
        situation.contents,
        situation.observed,
        situation.evidence,
        situation.ambiguous,
    )
    selection = selection.among({*situation.observed, *(wanted.name for wanted in situation.desired)})
    everything = not selection.is_partial
    for wanted in situation.desired:
        name = wanted.name
        if not (everything or name in selection):
            continue
        content = contents[name]
        fault = _twice(name, wanted.source) if name in ambiguous else _fault(wanted, content)
        if fault or isinstance(content, FileFault):
            blocked.append(name)
            notes += [fault] if fault else []
            continue
        there = observed.get(name)
        evidence = evidences.get(name) if there else None
        reasons = _reasons(wanted, there, evidence, situation.kept) if there else ()
        if there is None or reasons:
            change = change_of(Sides(wanted, content, there, evidence), reasons)
            changes.append(change)
            notes += [_pointer(wanted)] if content.lfs and change.uploads else []
        else:
            unchanged.append(Sides(wanted, content, there, evidence))
        if evidence and evidence.verdict == "unknown":
            unknown.append(name)
            notes.append(_unknown(wanted, evidence))

    listed = {wanted.name for wanted in situation.desired}
    notes += missed(selection, listed, selected=bool(changes or unchanged or blocked))
    others = [name for name in (*situation.observed, *ambiguous) if name not in listed]
    orphans = sorted(name for name in others if name in situation.scope and name in selection)
    refused: tuple[Diagnostic, ...] = ()
    notes += _no_scope() if prune and not situation.scope.globs else ()
    if prune and orphans:
        if selection.is_partial:
            notes.append(_partial_prune(selection))
        else:
            notes += [_twice(name) for name in orphans if name in ambiguous]
            doomed = [name for name in orphans if name not in ambiguous]
            changes += [_delete(situation.observed[name]) for name in doomed]
            notes += [_owned(glob, names) for glob, names in situation.scope.owners(doomed).items() if is_glob(glob)]
            owned = sum(name in situation.scope for name in situation.observed)
            refused = refusals(guards, deletes=len(doomed), owned=owned, listed=len(listed)) if doomed else ()
    notes += _uninspected(changes)
    options = (*selection.flags(), *(("--prune",) if prune else ()))
    if options:
        notes.append(Diagnostic("info", "plan/options", "Planned with options", detail=quoted(options)))
    return Plan(
        server=situation.server,
        manifests=tuple(sorted(situation.manifests)),
        changes=tuple(sorted(changes, key=_by_name)),
        unchanged=Unchanged(sorted(unchanged, key=lambda sides: sides.wanted.name)),
        orphans=tuple(orphans),
        unmanaged=sum(name not in situation.scope for name in others),
        unknown=tuple(sorted(unknown)),
        blocked=tuple(sorted(blocked)),
        refusals=refused,
        diagnostics=order((*refused, *notes)),
        selection=selection,
        prune=prune,
    )


def order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort for reading: errors first, then by place in the manifest; nothing depends on how they were found."""
    return tuple(
        sorted(
            diagnostics,
            key=lambda note: (
                note.code != CHANGED,  # a guard that was lifted is the first thing to know
                _SEVERITIES.index(note.severity),
                note.source or ("", 0, 0),
                note.code,
                note.model,
                note.summary,
            ),
        )
    )


def same_engine(one: str | None, other: str | None) -> bool:
    """Whether two codes name one engine. A server may spell it in its own case; no two engines differ by that alone."""
    return one == other or (one is not None and other is not None and one.casefold() == other.casefold())


def _by_name(change: Change) -> str:
    return change.name


def _fault(wanted: Desired, content: Content | FileFault) -> Diagnostic | None:
    """Why this entry may not be applied, or None."""
    if isinstance(content, FileFault):
        code = "file/unreadable"
        if isinstance(content, Misfit):
            code = "file/incomplete" if content.is_incomplete else "file/misfit"
        return Diagnostic(
            "error",
            code,
            f"{printable(wanted.name)}: {printable(str(content), 600)}",
            content.hint,
            wanted.source,
            wanted.name,
        )
    if wanted.sha256 is not None and wanted.sha256 != content.sha256:
        return Diagnostic(
            "error",
            "plan/pin",
            f"{printable(wanted.name)}: {printable(wanted.file)} holds {content.sha256}, not the pinned {wanted.sha256}",
            "restore the pinned file, or change sha256 in the manifest",
            wanted.source,
            wanted.name,
        )
    return None


def _pointer(wanted: Desired) -> Diagnostic:
    return Diagnostic(
        "warning",
        "plan/lfs-pointer",
        f"{printable(wanted.name)}: {printable(wanted.file)} is a Git LFS pointer; apply will need the model itself",
        f"before applying: {pull_command(wanted.path)}",
        wanted.source,
        wanted.name,
    )


def _twice(name: str, source: Source | None = None) -> Diagnostic:
    return Diagnostic(
        "error",
        "server/ambiguous",
        f"{printable(name)}: the server lists more than one model of this name",
        "delete all but one of them on the server",
        source,
        name,
    )


def _unknown(wanted: Desired, evidence: Evidence) -> Diagnostic:
    return Diagnostic(
        "error" if evidence.why else "warning",
        "plan/unknown-content",
        f"{printable(wanted.name)}: what the server holds is unknown{': ' if evidence.why else ''}{printable(evidence.why)}",
        "its content was left alone; try again" if evidence.why else "--verify auto downloads it and finds out",
        wanted.source,
        wanted.name,
    )


def _partial_prune(selection: Selection) -> Diagnostic:
    return Diagnostic(
        "warning",
        "guard/partial",
        "A partial run never prunes: no orphan is deleted",
        f"run without {quoted(selection.flags())} to prune",
    )


def _uninspected(changes: Sequence[Change]) -> tuple[Diagnostic, ...]:
    passed = {change.name: change.desired for change in changes if change.uploads and change.desired}
    passed = {name: wanted for name, wanted in passed.items() if not (wanted.inspect and is_known(wanted.engine))}
    if not passed:
        return ()
    engines = sorted({printable(wanted.engine, 60) for wanted in passed.values() if wanted.inspect})
    why = [f"no format is known for {', '.join(engines)}"] if engines else []
    why += ["inspect: false"] if not all(wanted.inspect for wanted in passed.values()) else []
    what = f"Sent without knowing them whole ({'; '.join(why)}): {few(sorted(passed))}"
    return (Diagnostic("info", "file/uninspected", what),)


def _no_scope() -> tuple[Diagnostic, ...]:
    what = "Without scope: in the manifest nothing can ever be deleted, so that --prune does nothing"
    return (Diagnostic("warning", "guard/no-scope", what, 'say which names the manifest owns: scope: ["fraud_*"]'),)


def _owned(glob: str, names: Sequence[str]) -> Diagnostic:
    what = f"Through the pattern {printable(glob, 60)} of scope this plan deletes {few(names)}"
    return Diagnostic("info", "plan/scope", what)


def _delete(there: Observed) -> Change:
    return Change(there.name, "delete", (), before(there, None), None, "none", None)


def _reasons(
    wanted: Desired, there: Observed, evidence: Evidence | None, kept: Mapping[str, tuple[str, str]]
) -> tuple[Reason, ...]:
    """Say in which ways the server's model is not the one wanted."""
    # A server that leaves the engine out says nothing about it: that is no difference.
    engine = there.engine is not None and not same_engine(there.engine, wanted.engine)
    content = evidence is not None and evidence.verdict == "different"
    shown = there.description or ""
    description = wanted.description is not None and wanted.description != shown
    description = description and kept.get(wanted.name) != (wanted.description, shown)
    if not (engine or content or description):
        return ()
    found: list[tuple[Reason, bool]] = [("engine", engine), ("content", content), ("description", description)]
    return tuple(reason for reason, differs in found if differs)
