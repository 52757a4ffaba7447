"""The plan as a value: ordered changes, a summary and everything a report needs to say."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, overload

from mmsync.types import (
    Content,
    Desired,
    Diagnostic,
    Evidence,
    EvidenceSource,
    Observed,
    Patterns,
    ServerName,
    Shape,
    Source,
    Verify,
)

Action = Literal["add", "change", "delete", "none"]
Reason = Literal["engine", "content", "description"]
Protection = Literal["", "protected", "lifted"]
"""Whether a model is protected (``protect: true``), and whether ``--allow-protected`` lifts that for the run."""


class Before(NamedTuple):
    """A model as the server holds it; what is unknown is None. Dates are epoch milliseconds, sizes bytes."""

    id: int | str | None
    engine: str | None
    description: str | None
    image_id: int | str | None
    update_date: int | None
    sha256: str | None
    size: int | None


class After(NamedTuple):
    """A model as it is to be. ``file`` is relative to its manifest; a None description leaves the server's."""

    engine: str
    description: str | None
    file: str
    sha256: str
    size: int


class SignatureDifferences(NamedTuple):
    """The ways in which one signature is another than the one before; inputs by name, a type that is not known is None.

    Two sides are compared as far as both say something: what only one of them knows is no difference.
    """

    added: tuple[tuple[str, str | None], ...] = ()  # inputs, with their types
    removed: tuple[tuple[str, str | None], ...] = ()  # inputs, with the types they had
    retyped: tuple[tuple[str, str, str], ...] = ()  # inputs, with the type before and the type after
    output: tuple[str, str] | None = None  # the output type before and after, where it changed


class Signatures(NamedTuple):
    """The signatures of a changed model, as the server holds it and as its new file declares it."""

    before: Shape
    after: Shape

    @property
    def differences(self) -> SignatureDifferences:
        """The differences; equal to the empty `SignatureDifferences` where there are none."""
        was, now = self.before.inputs, self.after.inputs
        added, removed, retyped = [], [], []
        if was is not None and now is not None:
            # By name: servers and exporters list inputs in orders of their own.
            added = [(name, now[name]) for name in sorted(now.keys() - was.keys())]
            removed = [(name, was[name]) for name in sorted(was.keys() - now.keys())]
            types = [(name, was[name], now[name]) for name in sorted(was.keys() & now.keys())]
            retyped = [(name, old, new) for name, old, new in types if old and new and old != new]
        old, new = self.before.output, self.after.output
        output = (old, new) if old is not None and new is not None and old != new else None
        return SignatureDifferences(tuple(added), tuple(removed), tuple(retyped), output)


@dataclass(frozen=True, slots=True)
class Change:
    """One model's change, or with action ``none`` its being as it should.

    Attributes:
        name: The model.
        action: add, change, delete or none.
        reasons: Why, in the order engine, content, description; empty for add, delete and none.
        before: The server's side; None for an add.
        after: The manifest's side; None for a delete.
        evidence: How the server's content is known; ``none`` for an add or a delete, which need no evidence.
        source: The manifest's entry; None for a delete.
        desired: The manifest's entry itself, for apply; None for a delete.
        content: What the model file held when the plan was made, for apply; None for a delete.
        signatures: What the model takes and answers before and after, of a change that sends other bytes or names
            another engine; None where one side is not known.
        renamed_from: Of an add, the orphan that alone holds the same content: most likely it was given another name.
            Without a scope, any model that no manifest lists.
        protection: Whether the model is protected.
    """

    name: str
    action: Action
    reasons: tuple[Reason, ...]
    before: Before | None
    after: After | None
    evidence: EvidenceSource
    source: Source | None
    desired: Desired | None = field(default=None, compare=False)
    content: Content | None = field(default=None, compare=False)
    signatures: Signatures | None = field(default=None, compare=False)
    renamed_from: str | None = None
    protection: Protection = ""

    @property
    def uploads(self) -> bool:
        """Return whether the change sends the model's bytes: all but deletes and mere changes of description do."""
        return self.action == "add" or (self.action == "change" and self.reasons != ("description",))


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of the manifest a run looks at.

    Attributes:
        target: Names and globs of names; empty means every name.
        exclude: Names and globs of names to leave out.
        shard: ``(i, n)``, 1 ≤ i ≤ n: only names whose hash falls in the i-th of n parts; None means all.
    """

    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    _targets: Patterns = field(init=False, repr=False, compare=False)
    _excludes: Patterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._know(())

    def among(self, names: Collection[str]) -> Selection:
        """Return the same selection for when there are these names: a pattern that is one of them is no glob."""
        selection = replace(self)
        selection._know(names)  # noqa: SLF001 - its own
        return selection

    def _know(self, names: Collection[str]) -> None:
        object.__setattr__(self, "_targets", Patterns(self.target, names))
        object.__setattr__(self, "_excludes", Patterns(self.exclude, names))

    def __contains__(self, name: str) -> bool:
        if (self.target and name not in self._targets) or name in self._excludes:
            return False
        if self.shard is None:
            return True
        index, count = self.shard
        # A hash of the name alone: adding or removing one model moves no other to another shard.
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % count == index - 1

    @property
    def is_partial(self) -> bool:
        """Return whether anything is left out; a partial plan never deletes."""
        return bool(self.target or self.exclude or self.shard)

    def flags(self) -> tuple[str, ...]:
        """The command-line flags that ask for this selection."""
        words = [word for glob in self.target for word in ("--target", glob)]
        words += [word for glob in self.exclude for word in ("--exclude", glob)]
        words += ["--shard", "{}/{}".format(*self.shard)] if self.shard else []
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits on deletes; each has its own flag and lifts nothing else.

    Attributes:
        max_delete: At most this many deletes (``--max-delete``).
        max_delete_percent: At most this share of the owned models, where there are ten or more
            (``--max-delete-percent``).
        allow_empty: Whether a manifest that lists nothing may prune (``--allow-empty``).
        allow_protected: The names, letter for letter, of protected models that may be deleted, or replaced by another
            engine or signature (``--allow-protected``).
    """

    max_delete: int = 5
    max_delete_percent: int = 30
    allow_empty: bool = False
    allow_protected: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a plan.

    Attributes:
        selection: Which models to look at.
        guards: The limits on deleting.
        prune: Whether orphans are to be deleted.
        verify: How far to go to find out what the server holds; ``always`` reads every model file again as well.
        jobs: How many models to ask about, or to carry out, at a time.
    """

    selection: Selection = Selection()
    guards: Guards = Guards()
    prune: bool = False
    verify: Verify = "auto"
    jobs: int = 8


class Summary(NamedTuple):
    """Counts of models; ``upload_bytes`` in bytes.

    ``add``, ``change`` and ``delete`` count what apply would do; ``blocked`` models are in none of them.
    """

    add: int = 0
    change: int = 0
    delete: int = 0
    unchanged: int = 0
    unmanaged: int = 0
    orphans: int = 0
    blocked: int = 0
    unknown: int = 0
    upload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: the changes apply would make, and what was seen on the way.

    Attributes:
        server: The server it is for.
        manifests: The manifests' paths, as given, sorted.
        changes: Adds, changes and deletes, by name.
        unchanged: Models that are as they should be, by name, with action ``none``.
        orphans: Names on the server inside the scope and in no manifest, sorted, whether deleted or not.
        unmanaged: How many models on the server are outside the scope and in no manifest.
        unlisted: The models on the server that are in no manifest, orphans among them, by name.
        unknown: Names whose content on the server could not be established, sorted.
        blocked: Names that may not be applied (a pin that does not match, an error of the file), sorted.
        refusals: Guards that forbid the whole plan, each an error naming the guard and the flag that lifts it.
        diagnostics: Everything to tell the user, errors first, then by place; includes the refusals.
        selection: Which part of the manifest it covers.
        prune: Whether orphans were to be deleted.
        manifest_guards: The manifest's own guards, to be remembered once it is applied.
        protected: Names that the manifest protects, to be remembered as soon as it is applied.
        unprotected: Names that it lists, and protected before.
        has_scope: Whether the manifests own any names; without, ``unmanaged`` are all that they do not list.
    """

    server: ServerName
    manifests: tuple[str, ...]
    changes: tuple[Change, ...]
    unchanged: Sequence[Change] = ()
    orphans: tuple[str, ...] = ()
    unmanaged: int = 0
    unknown: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    refusals: tuple[Diagnostic, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    selection: Selection = Selection()
    prune: bool = False
    manifest_guards: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    unlisted: tuple[Observed, ...] = field(default=(), compare=False, repr=False)
    protected: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    unprotected: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    has_scope: bool = field(default=True, compare=False, repr=False)

    @property
    def summary(self) -> Summary:
        """The counts."""
        actions = Counter(change.action for change in self.changes)
        return Summary(
            add=actions["add"],
            change=actions["change"],
            delete=actions["delete"],
            unchanged=len(self.unchanged),
            unmanaged=self.unmanaged,
            orphans=len(self.orphans),
            blocked=len(self.blocked),
            unknown=len(self.unknown),
            upload_bytes=sum(change.after.size for change in self.changes if change.after and change.uploads),
        )

    @property
    def kept_orphans(self) -> tuple[str, ...]:
        """The orphans that are not deleted, sorted."""
        going = {change.name for change in self.changes if change.action == "delete"}
        return tuple(name for name in self.orphans if name not in going)

    @property
    def has_errors(self) -> bool:
        """Return whether the run that made this plan failed in part: exit 1 even where nothing was to be done."""
        return any(diagnostic.severity == "error" for diagnostic in self.diagnostics)


class Sides(NamedTuple):
    """One model from both sides."""

    desired: Desired
    content: Content
    there: Observed | None
    evidence: Evidence | None
    signatures: Signatures | None = None


def before(there: Observed, evidence: Evidence | None, known: tuple[str | None, int | None] = (None, None)) -> Before:
    """Return the server's side as a change shows it; without evidence, content and size are those ``known``."""
    sha256, size = (evidence.sha256, evidence.size) if evidence else known
    return Before(there.id, there.engine, there.description, there.image_id, there.update_date, sha256, size)


def change_of(sides: Sides, reasons: tuple[Reason, ...], lifted: Collection[str] = ()) -> Change:
    """Return the add, the change for these reasons, or with none of them the unchanged model.

    ``lifted`` are the names whose protection is lifted.
    """
    desired, content, there, evidence, signatures = sides
    action: Action = "add" if there is None else "change" if reasons else "none"
    was = before(there, evidence) if there else None
    after = After(desired.engine, desired.description, desired.file, content.sha256, content.size)
    source = evidence.source if evidence else "none"
    protection: Protection = "" if not desired.protect else "lifted" if desired.name in lifted else "protected"
    return Change(
        desired.name,
        action,
        reasons,
        was,
        after,
        source,
        desired.source,
        desired,
        content,
        signatures,
        protection=protection,
    )


class Unchanged(Sequence[Change]):
    """The changes of action ``none``, made when they are looked at: most plans only count ten thousand of them."""

    def __init__(self, sides: list[Sides]) -> None:
        self._sides = sides

    def __len__(self) -> int:
        return len(self._sides)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(index, slice):
            return tuple(change_of(sides, ()) for sides in self._sides[index])
        return change_of(self._sides[index], ())

    def contents(self) -> Iterator[tuple[str, Content]]:
        """Yield each model's name and content, which takes a tenth of the time of the changes themselves."""
        return ((sides.desired.name, sides.content) for sides in self._sides)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(sides.desired.name for sides in self._sides))
