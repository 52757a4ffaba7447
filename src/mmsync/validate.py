"""Validation of a manifest's model files, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from mmsync.apply.outcome import Event, Progress
from mmsync.errors import FileError
from mmsync.files import DigestCache, digest_file, format_error, pull_command, read_contents
from mmsync.files.digest import MAX_POINTER_BYTES
from mmsync.manifest import Manifest
from mmsync.printable import printable
from mmsync.types import Content, Desired, Diagnostic


def check_files(
    manifest: Manifest, cache: DigestCache, *, now_ns: int, on_event: Callable[[Event], None] | None = None
) -> list[Diagnostic]:
    """Look into every model file and return what is wrong, in the order of file, line and column.

    A few kilobytes of each are read, and the whole of those that have a pin, unless the cache knows them.

    Args:
        manifest: Read with its files looked at.
        now_ns: The time, ns since the epoch.
        on_event: Called with ``Progress`` while pinned files are hashed, from any thread.
    """

    def progress(name: str, done: int, total: int) -> None:
        if on_event:
            on_event(Progress(name, "hashing", done, total))

    pinned = [desired for desired in manifest.models if desired.sha256]
    contents = read_contents(pinned, manifest.stats, cache, now_ns=now_ns, on_progress=progress)
    found: list[Diagnostic] = []
    seen: dict[tuple[str, str, bool], _Found | None] = {}
    for desired in manifest.models:
        which = desired.path, desired.engine, desired.inspect
        if which not in seen:
            seen[which] = _inspect(desired, manifest)
        if found_there := seen[which]:
            found.append(_diagnostic(desired, found_there))
        if found_there := _pin(desired, contents):
            found.append(_diagnostic(desired, found_there))
    return sorted(found, key=lambda diagnostic: diagnostic.source or ("", 0, 0))


class _Found(NamedTuple):
    severity: Literal["error", "warning"]
    code: str
    why: str
    hint: str = ""


def _inspect(desired: Desired, manifest: Manifest) -> _Found | None:
    try:
        status = manifest.stats.get(desired.path)
        # A pointer is small: what is larger need not be read to know that it is none.
        small = status is None or status.st_size <= MAX_POINTER_BYTES
        if small and digest_file(desired.path).lfs:
            hint = f"to apply, fetch the file itself: {pull_command(desired.path)}"
            return _Found("warning", "file/lfs-pointer", "it is a Git LFS pointer", hint)
        unfit = format_error(desired.path, desired.engine) if desired.inspect else None
    except FileError as error:
        return _Found("error", "file/unreadable", error.reason, error.hint)
    if unfit is None:
        return None
    # What the inspection objects to, no reader of the format can read: it looks at framing, never at taste.
    return _Found("error", "file/misfit", unfit.reason, unfit.hint or "export it again, or correct engine or file")


def _pin(desired: Desired, contents: Mapping[str, Content | FileError]) -> _Found | None:
    content = contents.get(desired.name)
    if content is None or isinstance(content, FileError) or content.sha256 == desired.sha256:
        return None
    why = f"it holds {content.sha256}, not the pinned {desired.sha256}"
    return _Found("error", "plan/pin", why, "restore the pinned file, or change sha256 in the manifest")


def _diagnostic(desired: Desired, found_there: _Found) -> Diagnostic:
    summary = f"{printable(desired.name)}: {printable(desired.file)}: {found_there.why}"
    return Diagnostic(
        found_there.severity, found_there.code, printable(summary, 1000), found_there.hint, desired.source, desired.name
    )
