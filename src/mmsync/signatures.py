"""Signatures of the models a plan changes: as the server holds them, as the files declare them, and what of it is refused.

Only changed models are looked at. The file's side comes from the inspection where the file was just read, else from
the file itself, of which a few kilobytes are read; of a Git LFS pointer, from the ledger. The server's side comes from
the ledger, else from the detail that the evidence was found in, else from one request for the detail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mmsync.apply.preconditions import SignatureGuard, breaks, declared_shape
from mmsync.client import Client
from mmsync.client.error import ModelManagerError, TokenError
from mmsync.errors import FileError
from mmsync.evidence import Found
from mmsync.files.inspection import shape_of
from mmsync.formats import FormatError, Signature
from mmsync.ledger import Ledger, VerifiedContent
from mmsync.observe import image_id
from mmsync.parallel import parallel_map
from mmsync.plan import Signatures
from mmsync.plan.planner import same_engine
from mmsync.printable import printable
from mmsync.types import Content, Desired, Diagnostic, FileKey, Observed, ServerName, Shape


class Compared(NamedTuple):
    """The signatures of the changed models, as far as they were found."""

    known: dict[str, Signatures]  # by name, where both sides are known
    breaks: dict[str, str]  # by name, why apply would refuse the model, in its words
    diagnostics: list[Diagnostic]  # warnings of what apply may refuse, once the server has reviewed the upload


class _Changed(NamedTuple):
    """A model whose bytes would be sent in place of others."""

    desired: Desired
    content: Content
    found: Found
    verified: Sequence[VerifiedContent]  # the contents once verified under its name, the latest first
    after: Shape  # the signature its file declares

    def remembered(self) -> VerifiedContent | None:
        """Return what the ledger knows of the content the server holds."""
        there = self.found.evidence.sha256
        return next((each for each in self.verified if there and each.sha256 == there), None)


def compare_signatures(
    models: Iterable[Desired],
    contents: Mapping[str, Content | FileError],
    found: Mapping[str, Found],
    client: Client,
    server: ServerName,
    ledger: Ledger,
    *,
    results: Mapping[tuple[FileKey, str], FormatError | Signature],
    jobs: int = 8,
) -> Compared:
    """Compare the signatures of the models that would be sent in place of others.

    ``results`` are those of an inspection of files in this run. At most one request is made for each such model of which
    neither the ledger nor the evidence tells the signature. Raises `TokenError` where the server refuses the token.
    """
    changed = [
        _Changed(desired, content, answer, verified, after)
        for desired in models
        if (answer := found.get(desired.name)) and _is_sent(desired, answer)
        if isinstance(content := contents[desired.name], Content) and desired.sha256 in (None, content.sha256)
        for verified in [ledger.verified(server, desired.name)]
        if (after := _declared(desired, content, verified, results)).is_known
    ]
    compared = Compared({}, {}, [])
    for each, displayed in parallel_map(lambda each: _displayed(each, client), changed, jobs=jobs):
        _compare(each, displayed, compared)
    return compared


def _is_sent(desired: Desired, found: Found) -> bool:
    engine = found.observed.engine
    return found.evidence.verdict == "different" or (engine is not None and not same_engine(engine, desired.engine))


def _declared(
    desired: Desired,
    content: Content,
    verified: Sequence[VerifiedContent],
    results: Mapping[tuple[FileKey, str], FormatError | Signature],
) -> Shape:
    """Return the signature of the file to be sent, as it declares it."""
    if isinstance(result := results.get((content.key, desired.engine)), Signature):
        return shape_of(result)
    if content.lfs:
        return next((each.declared for each in verified if each.sha256 == content.sha256), Shape())
    return declared_shape(desired.path, desired.engine, content)


def _displayed(changed: _Changed, client: Client) -> Shape:
    """Return the signature the server displays; an empty one where the ledger knows enough to do without, or none tells."""
    if (shape := changed.found.displayed) is not None:
        return shape
    if (known := changed.remembered()) and (known.displayed.is_known or known.declared.is_known):
        return known.displayed
    observed = changed.found.observed
    try:
        detail = client.find_detail(observed.name)
    except TokenError:
        raise
    except ModelManagerError:
        return Shape()  # to know more than the plan needs is not worth a failure
    return Shape.of(detail) if detail is not None and _is_of(observed, image_id(detail)) else Shape()


def _is_of(observed: Observed, image: int | str | None) -> bool:
    return None in (observed.image_id, image) or str(image) == str(observed.image_id)


def _compare(changed: _Changed, displayed: Shape, compared: Compared) -> None:
    """Note what is found of one model."""
    desired, content, found, verified, after = changed
    known = changed.remembered()
    # The file's own words where they are known: a server may name inputs and types its own way.
    before = known.declared if known and known.declared.is_known else displayed
    if before.is_known:
        compared.known[desired.name] = Signatures(before, after)
    if desired.allow_signature_change:
        return
    is_pinned = desired.sha256 is not None
    guard = SignatureGuard(verified, content.sha256, found.evidence.sha256, after, displayed, is_pinned=is_pinned)
    if why := guard.before_upload():
        compared.breaks[desired.name] = why
    elif (what := breaks(before, after)) and guard.is_unverified:
        compared.diagnostics.append(_may_break(desired, what))


def _may_break(desired: Desired, what: Sequence[str]) -> Diagnostic:
    summary = (
        f"{printable(desired.name)}: {'; '.join(what)}, as far as the file and what the server displays can be compared; "
        "apply will refuse it after the upload if the server's review says the same"
    )
    hint = "allow_signature_change: true on the model permits it"
    return Diagnostic("warning", "signature/may-break", summary, hint, desired.source, desired.name)
