"""What is wrong with a manifest's model files, found without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmsync.apply.outcome import Progress
from mmsync.errors import FileFault
from mmsync.files import digest_file, misfit, pull_command, read_contents
from mmsync.files.lfs import MAX_POINTER_BYTES
from mmsync.printable import printable
from mmsync.states import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from mmsync.apply.outcome import Event
    from mmsync.files import DigestCache
    from mmsync.manifest import Manifest
    from mmsync.states import Content, Desired

__all__ = ["check_files"]


def check_files(
    manifest: Manifest, cache: DigestCache, *, now_ns: int, on_event: Callable[[Event], None] | None = None
) -> list[Diagnostic]:
    """Look into every model file and return what is wrong, in the order of file, line and column.

    A few kilobytes of each are read, and the whole of those that have a pin, unless the cache knows them.

    Args:
        manifest: Read with its files looked at.
        cache: Digests of files seen before.
        now_ns: The time, ns since the epoch.
        on_event: Called with ``Progress`` while pinned files are hashed, from any thread.
    """

    def progress(name: str, done: int, total: int) -> None:
        if on_event:
            on_event(Progress(name, "hashing", done, total))

    pinned = [wanted for wanted in manifest.models if wanted.sha256]
    contents = read_contents(pinned, manifest.stats, cache, now_ns=now_ns, on_progress=progress)
    found: list[Diagnostic] = []
    seen: dict[tuple[str, str, bool], _Finding | None] = {}
    for wanted in manifest.models:
        which = wanted.path, wanted.engine, wanted.inspect
        if which not in seen:
            seen[which] = _looked_into(wanted, manifest)
        if finding := seen[which]:
            found.append(_note(wanted, finding))
        if finding := _pin(wanted, contents):
            found.append(_note(wanted, finding))
    return sorted(found, key=lambda note: note.source or ("", 0, 0))


class _Finding(NamedTuple):
    severity: Literal["error", "warning"]
    code: str
    why: str
    way_on: str = ""


def _looked_into(wanted: Desired, manifest: Manifest) -> _Finding | None:
    try:
        status = manifest.stats.get(wanted.path)
        # A pointer is small: what is larger need not be read to know that it is none.
        small = status is None or status.st_size <= MAX_POINTER_BYTES
        if small and digest_file(wanted.path).lfs:
            way_on = f"to apply, fetch the file itself: {pull_command(wanted.path)}"
            return _Finding("warning", "file/lfs-pointer", "it is a Git LFS pointer", way_on)
        unfit = misfit(wanted.path, wanted.engine) if wanted.inspect else None
    except FileFault as fault:
        return _Finding("error", "file/unreadable", fault.reason, fault.hint)
    if unfit is None:
        return None
    # What the inspection objects to, no reader of the format can read: it looks at framing, never at taste.
    return _Finding("error", "file/misfit", unfit.reason, unfit.hint or "export it again, or correct engine or file")


def _pin(wanted: Desired, contents: Mapping[str, Content | FileFault]) -> _Finding | None:
    content = contents.get(wanted.name)
    if content is None or isinstance(content, FileFault) or content.sha256 == wanted.sha256:
        return None
    why = f"it holds {content.sha256}, not the pinned {wanted.sha256}"
    return _Finding("error", "plan/pin", why, "restore the pinned file, or change sha256 in the manifest")


def _note(wanted: Desired, finding: _Finding) -> Diagnostic:
    summary = f"{printable(wanted.name)}: {printable(wanted.file)}: {finding.why}"
    return Diagnostic(
        finding.severity, finding.code, printable(summary, 1000), finding.way_on, wanted.source, wanted.name
    )
