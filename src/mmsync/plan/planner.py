"""Desired × observed × evidence → a plan. Pure: the same arguments, in any order, give the same plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from mmsync.errors import FileError, WrongFormat
from mmsync.files.digest import pull_command
from mmsync.formats import is_known
from mmsync.plan.guards import CHANGED, PROTECTED, check_guards, protected_error
from mmsync.plan.model import Change, Guards, Plan, Reason, Selection, Sides, Signatures, Unchanged, before, change_of
from mmsync.plan.selection import Scope, missed, quoted
from mmsync.printable import few, printable
from mmsync.types import Content, Desired, Diagnostic, Evidence, Observed, ServerName, Source, is_glob


class Situation(NamedTuple):
    """Everything a plan is made from."""

    server: ServerName
    manifests: Sequence[str]  # their paths
    desired: Sequence[Desired]  # every entry of every manifest, selected or not
    contents: Mapping[str, Content | FileError]  # for each selected name, what its file holds, or why it cannot be read
    observed: Mapping[str, Observed]  # the server's models by name
    evidence: Mapping[str, Evidence]  # for each selected name on the server, whether it holds the content
    scope: Scope = Scope(())  # the names the manifests own
    ambiguous: frozenset[str] = frozenset()  # names the server lists more than once; they are in no ``observed``
    # by name, a description as it was sent and as the server shows it: no difference
    descriptions: Mapping[str, tuple[str, str]] = MappingProxyType({})
    # by name, digest and size of what models in no manifest are known to hold, as far as no request is needed for it
    known: Mapping[str, tuple[str, int]] = MappingProxyType({})
    diagnostics: Sequence[Diagnostic] = ()  # from reading and observing, to be passed on
    signatures: Mapping[str, Signatures] = MappingProxyType(
        {}
    )  # of changed models, by name, where both sides are known
    breaks: Mapping[str, str] = MappingProxyType({})  # by name, why apply would refuse the new signature, in its words
    protected: Collection[str] = frozenset()  # names that a manifest protected when it was last applied
    is_remembered: bool = True  # whether the ledger is one that has seen an apply, and so what was protected
    latest: Collection[str] = frozenset()  # protected names whose content wanted is the one last verified there


def compare(
    situation: Situation, *, selection: Selection = Selection(), guards: Guards = Guards(), prune: bool = False
) -> Plan:
    """Return the plan, every sequence in it sorted by name; its ``refusals`` say whether a guard forbids it as a whole.

    Only selected names are compared, and a partial selection never deletes; ``prune`` is for orphans to be deleted.
    """
    changes: list[Change] = []
    unchanged: list[Sides] = []
    blocked: list[str] = []
    unknown: list[str] = []
    diagnostics = list(situation.diagnostics)
    observed, ambiguous = situation.observed, situation.ambiguous
    listed = {desired.name for desired in situation.desired}
    selection = selection.among({*observed, *listed})
    everything = not selection.is_partial
    for desired in situation.desired:
        name = desired.name
        if not (everything or name in selection):
            continue
        content = situation.contents[name]
        error = _ambiguous(name, desired.source) if name in ambiguous else _blocking_diagnostic(desired, content)
        if error or isinstance(content, FileError):
            blocked.append(name)
            diagnostics += [error] if error else []
            continue
        there = observed.get(name)
        evidence = situation.evidence.get(name) if there else None
        reasons = _reasons(desired, there, evidence, situation.descriptions) if there else ()
        if there and reasons and (forbidden := _forbidden_change(desired, there, reasons, situation, guards)):
            blocked.append(name)
            diagnostics.append(forbidden)
            continue
        if there is None or reasons:
            changes.append(
                change_of(
                    Sides(desired, content, there, evidence, situation.signatures.get(name)),
                    reasons,
                    guards.allow_protected,
                )
            )
            if content.lfs and changes[-1].uploads:
                what = f"{printable(desired.file)} is a Git LFS pointer; apply will need the model itself"
                hint = f"before applying: {pull_command(desired.path)}"
                diagnostics.append(_of_entry(desired, "warning", "file/lfs-pointer", what, hint))
        else:
            unchanged.append(Sides(desired, content, there, evidence))
        if evidence and evidence.verdict == "unknown":
            unknown.append(name)
            diagnostics.append(_unknown(desired, evidence))

    diagnostics += missed(selection, listed, selected=bool(changes or unchanged or blocked))
    others = [name for name in (*observed, *ambiguous) if name not in listed]
    orphans = sorted(name for name in others if name in situation.scope and name in selection)
    deletes, refused, told = _prune(situation, selection, guards, orphans, len(listed)) if prune else ([], (), [])
    # Without a scope none is an orphan; which model was given another name can be seen all the same.
    earlier = orphans if situation.scope.globs else sorted(name for name in others if name in selection)
    changes = _with_renames(changes, earlier, situation.known) + deletes
    diagnostics += told
    blocked += [one.model for one in told if one.code == PROTECTED]
    diagnostics += _unknown_names(guards, {*listed, *observed, *ambiguous})
    diagnostics += _uninspected(changes)
    options = (*selection.flags(), *(("--prune",) if prune else ()))
    if options:
        diagnostics.append(Diagnostic("info", "plan/options", "Planned with options", detail=quoted(options)))
    return Plan(
        server=situation.server,
        manifests=tuple(sorted(situation.manifests)),
        changes=tuple(sorted(changes, key=lambda change: change.name)),
        unchanged=Unchanged(sorted(unchanged, key=lambda sides: sides.desired.name)),
        orphans=tuple(orphans),
        unmanaged=sum(name not in situation.scope for name in others),
        unknown=tuple(sorted(unknown)),
        blocked=tuple(sorted(blocked)),
        refusals=refused,
        diagnostics=tuple(sorted((*refused, *diagnostics), key=_rank)),
        selection=selection,
        prune=prune,
        has_scope=bool(situation.scope.globs),
        unlisted=tuple(observed.get(name) or Observed(name) for name in sorted(others)),
    )


def _forbidden_change(
    desired: Desired, there: Observed, reasons: Sequence[Reason], situation: Situation, guards: Guards
) -> Diagnostic | None:
    """Return the error that this change may not be made, or None."""
    if "engine" in reasons and (kept := _kept_engine(desired, there, reasons, situation, guards)):
        return kept
    why = situation.breaks.get(desired.name)
    return _of_entry(desired, "error", "signature/break", why, "") if why else None


def _kept_engine(
    desired: Desired, there: Observed, reasons: Sequence[Reason], situation: Situation, guards: Guards
) -> Diagnostic | None:
    """Return the error that a protected model keeps its engine, or None where it may get another."""
    # To put back what was last verified, in place of other content and its engine, is what protects it.
    is_restored = desired.name in situation.latest and "content" in reasons
    if not desired.protect or desired.name in guards.allow_protected or is_restored:
        return None
    what = f"its engine would change from {printable(there.engine or '', 60)} to {printable(desired.engine, 60)}"
    return protected_error(desired.name, what, desired.source)


def _prune(
    situation: Situation, selection: Selection, guards: Guards, orphans: Sequence[str], listed: int
) -> tuple[list[Change], tuple[Diagnostic, ...], list[Diagnostic]]:
    """Return the deletes of the orphans, an error for each guard that forbids them, and what else there is to tell."""
    scope, observed, ambiguous = situation.scope, situation.observed, situation.ambiguous
    if not scope.globs:
        what = "Without scope: in the manifest nothing can ever be deleted, so that --prune does nothing"
        hint = 'say which names the manifest owns: scope: ["fraud_*"]'
        return [], (), [Diagnostic("warning", "guard/no-scope", what, hint)]
    if orphans and selection.is_partial:
        what = "A partial run never prunes: no orphan is deleted"
        hint = f"run without {quoted(selection.flags())} to prune"
        return [], (), [Diagnostic("warning", "guard/partial", what, hint)]
    told = [_ambiguous(name) for name in orphans if name in ambiguous]
    doomed = [name for name in orphans if name not in ambiguous]
    kept = [name for name in doomed if name in situation.protected and name not in guards.allow_protected]
    told += [protected_error(name, "nothing lists it any more: it would be deleted") for name in kept]
    doomed = [name for name in doomed if name not in kept]
    for glob, names in scope.owners(doomed).items():
        if is_glob(glob):
            what = f"Through the pattern {printable(glob, 60)} of scope this plan deletes {few(names)}"
            told.append(Diagnostic("info", "plan/scope", what))
    owned = sum(name in scope for name in observed)
    if doomed and not situation.is_remembered:
        what = (
            "The ledger on this machine knows of no complete apply to this server, so that it cannot tell whether a model to be "
            f"deleted was protected: {few(doomed)}"
        )
        hint = "see that all of them are meant to go; keep the ledger's folder, MMSYNC_CACHE_DIR, from run to run"
        told.append(Diagnostic("warning", "plan/new-ledger", what, hint))
    refused = check_guards(guards, deletes=len(doomed), owned=owned, listed=listed) if doomed else ()
    deletes = [
        Change(
            name,
            "delete",
            (),
            before(observed[name], None, situation.known.get(name, (None, None))),
            None,
            "none",
            None,
            protection="lifted" if name in situation.protected else "",
        )
        for name in doomed
    ]
    return deletes, refused, told


def _with_renames(changes: list[Change], earlier: Sequence[str], known: Mapping[str, tuple[str, int]]) -> list[Change]:
    """Return the changes; an add says which earlier model holds its content, if one alone does and no other add has it."""
    old: dict[str, list[str]] = {}
    for name in earlier:
        if name in known:
            old.setdefault(known[name][0], []).append(name)
    if not old:
        return changes
    new = Counter(change.after.sha256 for change in changes if change.action == "add" and change.after)
    return [
        replace(change, renamed_from=old[change.after.sha256][0])
        if change.action == "add"
        and change.after
        and new[change.after.sha256] == len(old.get(change.after.sha256, ())) == 1
        else change
        for change in changes
    ]


def _unknown_names(guards: Guards, known: Collection[str]) -> list[Diagnostic]:
    """Return a warning for each name of --allow-protected that no model has."""
    return [
        Diagnostic(
            "warning",
            "plan/allow-protected",
            f"no model is named {printable(repr(name), 100)}, which --allow-protected gives",
            "it takes names letter for letter, no patterns",
        )
        for name in sorted(guards.allow_protected - set(known))
    ]


def _rank(diagnostic: Diagnostic) -> tuple[bool, int, tuple[str, int, int], str, str, str]:
    """Return the key to sort by: errors first, then by place in the manifest; how they were found does not matter."""
    return (
        diagnostic.code != CHANGED,  # a guard that was lifted is the first thing to know
        ("error", "warning", "info").index(diagnostic.severity),
        diagnostic.source or ("", 0, 0),
        diagnostic.code,
        diagnostic.model,
        diagnostic.summary,
    )


def same_engine(one: str, other: str) -> bool:
    """Return whether two codes name one engine: a server may use a case of its own, and no two differ by that alone."""
    return one == other or one.casefold() == other.casefold()


def _blocking_diagnostic(desired: Desired, content: Content | FileError) -> Diagnostic | None:
    """Return why this entry may not be applied, or None."""
    if isinstance(content, FileError):
        code = "file/unreadable"
        if isinstance(content, WrongFormat):
            code = "file/incomplete" if content.is_incomplete else "file/misfit"
        return _of_entry(desired, "error", code, printable(str(content), 600), content.hint)
    if desired.sha256 is not None and desired.sha256 != content.sha256:
        what = f"{printable(desired.file)} holds {content.sha256}, not the pinned {desired.sha256}"
        hint = "restore the pinned file, or change sha256 in the manifest"
        return _of_entry(desired, "error", "plan/pin", what, hint)
    return None


def _of_entry(desired: Desired, severity: Literal["error", "warning"], code: str, what: str, hint: str) -> Diagnostic:
    """Return a diagnostic of one entry of the manifest, which begins with its name."""
    return Diagnostic(severity, code, f"{printable(desired.name)}: {what}", hint, desired.source, desired.name)


def _ambiguous(name: str, source: Source | None = None) -> Diagnostic:
    what = f"{printable(name)}: the server lists more than one model of this name"
    return Diagnostic("error", "server/ambiguous", what, "delete all but one of them on the server", source, name)


def _unknown(desired: Desired, evidence: Evidence) -> Diagnostic:
    what, code = "what the server holds is unknown", "plan/unknown-content"
    if not evidence.why:
        return _of_entry(desired, "warning", code, what, "--verify auto downloads it and finds out")
    what += f": {printable(evidence.why)}"
    return _of_entry(desired, "error", code, what, "its content was left alone; try again")


def _uninspected(changes: Sequence[Change]) -> tuple[Diagnostic, ...]:
    passed = {change.name: change.desired for change in changes if change.uploads and change.desired}
    passed = {name: desired for name, desired in passed.items() if not (desired.inspect and is_known(desired.engine))}
    if not passed:
        return ()
    engines = sorted({printable(desired.engine, 60) for desired in passed.values() if desired.inspect})
    why = [f"mmsync knows no format of {', '.join(engines)}"] if engines else []
    why += ["inspect: false says so"] if not all(desired.inspect for desired in passed.values()) else []
    what = f"Sent as they are, without a check that the files are whole ({'; '.join(why)}): {few(sorted(passed))}"
    return (Diagnostic("info", "file/uninspected", what),)


def _reasons(
    desired: Desired, there: Observed, evidence: Evidence | None, descriptions: Mapping[str, tuple[str, str]]
) -> tuple[Reason, ...]:
    """Say in which ways the server's model is not the one wanted."""
    found: list[Reason] = []
    # A server that leaves the engine out says nothing about it: that is no difference.
    if there.engine is not None and not same_engine(there.engine, desired.engine):
        found.append("engine")
    if evidence is not None and evidence.verdict == "different":
        found.append("content")
    shown = there.description or ""
    if desired.description not in (None, shown) and descriptions.get(desired.name) != (desired.description, shown):
        found.append("description")
    return tuple(found)
