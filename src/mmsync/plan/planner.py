"""Desired × observed × evidence → a plan. Pure: the same arguments, in any order, give the same plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mmsync.errors import FileError, WrongFormat
from mmsync.files.digest import pull_command
from mmsync.formats import is_known
from mmsync.plan.guards import CHANGED, check_guards
from mmsync.plan.model import Change, Guards, Plan, Reason, Selection, Sides, Unchanged, before, change_of
from mmsync.plan.selection import Scope, missed, quoted
from mmsync.printable import few, printable
from mmsync.types import Content, Desired, Diagnostic, Evidence, Observed, ServerName, Source, is_glob

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
    contents: Mapping[str, Content | FileError]
    observed: Mapping[str, Observed]
    evidence: Mapping[str, Evidence]
    scope: Scope = Scope(())
    ambiguous: frozenset[str] = frozenset()
    descriptions: Mapping[str, tuple[str, str]] = _NOTHING
    diagnostics: Sequence[Diagnostic] = ()


def compare(
    situation: Situation, *, selection: Selection = Selection(), guards: Guards = Guards(), prune: bool = False
) -> Plan:
    """Make the plan.

    Args:
        situation: What is wanted and what is there.
        selection: Which names to look at; a partial selection never deletes.
        prune: Whether orphans are to be deleted.

    Returns:
        The plan, every sequence in it sorted by name. Its ``refusals`` say whether a guard forbids it as a whole.
    """
    changes: list[Change] = []
    unchanged: list[Sides] = []
    blocked: list[str] = []
    unknown: list[str] = []
    diagnostics = list(situation.diagnostics)
    contents, observed, evidences, ambiguous = (
        situation.contents,
        situation.observed,
        situation.evidence,
        situation.ambiguous,
    )
    selection = selection.among({*situation.observed, *(desired.name for desired in situation.desired)})
    everything = not selection.is_partial
    for desired in situation.desired:
        name = desired.name
        if not (everything or name in selection):
            continue
        content = contents[name]
        error = _twice(name, desired.source) if name in ambiguous else _blocking_diagnostic(desired, content)
        if error or isinstance(content, FileError):
            blocked.append(name)
            diagnostics += [error] if error else []
            continue
        there = observed.get(name)
        evidence = evidences.get(name) if there else None
        reasons = _reasons(desired, there, evidence, situation.descriptions) if there else ()
        if there is None or reasons:
            change = change_of(Sides(desired, content, there, evidence), reasons)
            changes.append(change)
            diagnostics += [_pointer(desired)] if content.lfs and change.uploads else []
        else:
            unchanged.append(Sides(desired, content, there, evidence))
        if evidence and evidence.verdict == "unknown":
            unknown.append(name)
            diagnostics.append(_unknown(desired, evidence))

    listed = {desired.name for desired in situation.desired}
    diagnostics += missed(selection, listed, selected=bool(changes or unchanged or blocked))
    others = [name for name in (*situation.observed, *ambiguous) if name not in listed]
    orphans = sorted(name for name in others if name in situation.scope and name in selection)
    refused: tuple[Diagnostic, ...] = ()
    diagnostics += _no_scope() if prune and not situation.scope.globs else ()
    if prune and orphans:
        if selection.is_partial:
            diagnostics.append(_partial_prune(selection))
        else:
            diagnostics += [_twice(name) for name in orphans if name in ambiguous]
            doomed = [name for name in orphans if name not in ambiguous]
            changes += [_delete(situation.observed[name]) for name in doomed]
            diagnostics += [
                _owned(glob, names) for glob, names in situation.scope.owners(doomed).items() if is_glob(glob)
            ]
            owned = sum(name in situation.scope for name in situation.observed)
            refused = check_guards(guards, deletes=len(doomed), owned=owned, listed=len(listed)) if doomed else ()
    diagnostics += _uninspected(changes)
    options = (*selection.flags(), *(("--prune",) if prune else ()))
    if options:
        diagnostics.append(Diagnostic("info", "plan/options", "Planned with options", detail=quoted(options)))
    return Plan(
        server=situation.server,
        manifests=tuple(sorted(situation.manifests)),
        changes=tuple(sorted(changes, key=_by_name)),
        unchanged=Unchanged(sorted(unchanged, key=lambda sides: sides.desired.name)),
        orphans=tuple(orphans),
        unmanaged=sum(name not in situation.scope for name in others),
        unknown=tuple(sorted(unknown)),
        blocked=tuple(sorted(blocked)),
        refusals=refused,
        diagnostics=order((*refused, *diagnostics)),
        selection=selection,
        prune=prune,
    )


def order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort for reading: errors first, then by place in the manifest; nothing depends on how they were found."""
    return tuple(
        sorted(
            diagnostics,
            key=lambda diagnostic: (
                diagnostic.code != CHANGED,  # a guard that was lifted is the first thing to know
                _SEVERITIES.index(diagnostic.severity),
                diagnostic.source or ("", 0, 0),
                diagnostic.code,
                diagnostic.model,
                diagnostic.summary,
            ),
        )
    )


def same_engine(one: str | None, other: str | None) -> bool:
    """Return whether two codes name one engine. A server may spell it in its own case; no two engines differ by that alone."""
    return one == other or (one is not None and other is not None and one.casefold() == other.casefold())


def _by_name(change: Change) -> str:
    return change.name


def _blocking_diagnostic(desired: Desired, content: Content | FileError) -> Diagnostic | None:
    """Return why this entry may not be applied, or None."""
    if isinstance(content, FileError):
        code = "file/unreadable"
        if isinstance(content, WrongFormat):
            code = "file/incomplete" if content.is_incomplete else "file/misfit"
        return Diagnostic(
            "error",
            code,
            f"{printable(desired.name)}: {printable(str(content), 600)}",
            content.hint,
            desired.source,
            desired.name,
        )
    if desired.sha256 is not None and desired.sha256 != content.sha256:
        return Diagnostic(
            "error",
            "plan/pin",
            f"{printable(desired.name)}: {printable(desired.file)} holds {content.sha256}, not the pinned {desired.sha256}",
            "restore the pinned file, or change sha256 in the manifest",
            desired.source,
            desired.name,
        )
    return None


def _pointer(desired: Desired) -> Diagnostic:
    return Diagnostic(
        "warning",
        "plan/lfs-pointer",
        f"{printable(desired.name)}: {printable(desired.file)} is a Git LFS pointer; apply will need the model itself",
        f"before applying: {pull_command(desired.path)}",
        desired.source,
        desired.name,
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


def _unknown(desired: Desired, evidence: Evidence) -> Diagnostic:
    return Diagnostic(
        "error" if evidence.why else "warning",
        "plan/unknown-content",
        f"{printable(desired.name)}: what the server holds is unknown{': ' if evidence.why else ''}{printable(evidence.why)}",
        "its content was left alone; try again" if evidence.why else "--verify auto downloads it and finds out",
        desired.source,
        desired.name,
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
    passed = {name: desired for name, desired in passed.items() if not (desired.inspect and is_known(desired.engine))}
    if not passed:
        return ()
    engines = sorted({printable(desired.engine, 60) for desired in passed.values() if desired.inspect})
    why = [f"no format is known for {', '.join(engines)}"] if engines else []
    why += ["inspect: false"] if not all(desired.inspect for desired in passed.values()) else []
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
    desired: Desired, there: Observed, evidence: Evidence | None, descriptions: Mapping[str, tuple[str, str]]
) -> tuple[Reason, ...]:
    """Say in which ways the server's model is not the one wanted."""
    # A server that leaves the engine out says nothing about it: that is no difference.
    engine = there.engine is not None and not same_engine(there.engine, desired.engine)
    content = evidence is not None and evidence.verdict == "different"
    shown = there.description or ""
    description = desired.description is not None and desired.description != shown
    description = description and descriptions.get(desired.name) != (desired.description, shown)
    if not (engine or content or description):
        return ()
    found: list[tuple[Reason, bool]] = [("engine", engine), ("content", content), ("description", description)]
    return tuple(reason for reason, differs in found if differs)
