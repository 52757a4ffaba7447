"""Validation of a manifest's model files, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mmsync.apply.outcome import Event, Progress
from mmsync.errors import FileError
from mmsync.files.digest import MAX_POINTER_BYTES, DigestCache, digest_file, pull_command, read_contents
from mmsync.files.inspection import Inspection, examine, hint_of
from mmsync.formats import Signature
from mmsync.manifest import Manifest
from mmsync.printable import few, printable
from mmsync.types import Content, Desired, Diagnostic


def check_files(
    manifest: Manifest, cache: DigestCache, *, now_ns: int, on_event: Callable[[Event], None] | None = None
) -> list[Diagnostic]:
    """Inspect every model file and return what is wrong, in the order of file, line and column.

    A few kilobytes of each are read, and the whole of those that have a pin, unless the cache knows them. The manifest
    was read with its files scanned; ``now_ns`` is the time in ns since the epoch; ``on_event`` is called with
    ``Progress`` while pinned files are hashed, from any thread.
    """
    progress = (lambda name, done, total: on_event(Progress(name, "hashing", done, total))) if on_event else None
    pinned = [desired for desired in manifest.models if desired.sha256]
    inspection = Inspection()
    contents = read_contents(
        pinned, manifest.stats, cache, now_ns=now_ns, on_progress=progress, while_open=inspection.while_open
    )
    found: list[Diagnostic] = []
    seen: dict[tuple[str, str, bool], Diagnostic | None] = {}
    for desired in manifest.models:
        which = desired.path, desired.engine, desired.inspect
        if which not in seen:
            seen[which] = _inspect(desired, manifest, contents.get(desired.name), inspection)
        for each in (seen[which], _pin(desired, contents)):
            if each:
                summary = printable(f"{printable(desired.name)}: {printable(desired.file)}: {each.summary}", 1000)
                found.append(replace(each, summary=summary, source=desired.source, model=desired.name))
    return sorted(found, key=lambda diagnostic: diagnostic.source or ("", 0, 0))


def _inspect(
    desired: Desired, manifest: Manifest, content: Content | FileError | None, inspection: Inspection
) -> Diagnostic | None:
    """Return what is wrong with a file but its pin; ``content`` is what it was found to hold, where that was asked."""
    try:
        if content.lfs if isinstance(content, Content) else _is_pointer(desired, manifest):
            hint = f"to apply, fetch the file itself: {pull_command(desired.path)}"
            return Diagnostic("warning", "file/lfs-pointer", "it is a Git LFS pointer", hint)
        if not desired.inspect:
            return None
        if isinstance(content, Content) and (content.key, desired.engine) in inspection.results:
            found = inspection.results[content.key, desired.engine]
        else:
            found = examine(desired.path, desired.engine)
    except FileError as error:
        return Diagnostic("error", "file/unreadable", error.reason, error.hint)
    if isinstance(found, Signature):
        return _unusable_outputs(found)
    # What the inspection objects to, no reader of the format can read: it judges framing, never taste.
    hint = hint_of(found, desired.path)
    # As the plan has it.
    return Diagnostic("error", "file/incomplete" if found.cut_off else "file/misfit", found.reason, hint)


def _unusable_outputs(found: Signature) -> Diagnostic | None:
    """Return a warning of outputs that are no numbers or texts; skl2onnx makes one for each classifier, unless told."""
    if not found.map_outputs:
        return None
    is_one = len(found.map_outputs) == 1
    which = (
        f"its output {printable(found.map_outputs[0], 80)} is"
        if is_one
        else f"its outputs {few(found.map_outputs)} are"
    )
    hint = 'export it without ZipMap: skl2onnx takes options={id(model): {"zipmap": False}}'
    what = f"{which} a sequence of maps (ZipMap), which queries cannot use"
    return Diagnostic("warning", "signature/map-output", what, hint)


def _is_pointer(desired: Desired, manifest: Manifest) -> bool:
    status = manifest.stats.get(desired.path)
    # A pointer is small: what is larger need not be read to know that it is none.
    return (status is None or status.st_size <= MAX_POINTER_BYTES) and digest_file(desired.path).lfs


def _pin(desired: Desired, contents: Mapping[str, Content | FileError]) -> Diagnostic | None:
    content = contents.get(desired.name)
    if not isinstance(content, Content) or content.sha256 == desired.sha256:
        return None
    why = f"it holds {content.sha256}, not the pinned {desired.sha256}"
    return Diagnostic("error", "plan/pin", why, "restore the pinned file, or change sha256 in the manifest")
