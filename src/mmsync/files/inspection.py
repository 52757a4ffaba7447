"""Inspection of model files by path: is it what its engine reads?"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from types import MappingProxyType
from typing import Protocol

from mmsync.engines import EXTENSIONS
from mmsync.errors import FileError, WrongFormat
from mmsync.files.digest import MAX_POINTER_BYTES, digest_file, is_racy, opened, require_same, translated
from mmsync.formats import FormatError, Signature, claims_to_be_pointer, inspect, mistaken_for
from mmsync.formats.types import read_at
from mmsync.types import Content, Desired, FileKey, Shape, file_key

_BIGML_RESOURCE = re.compile(rb'"(?:resource|object)"\s*:')


class InspectionCache(Protocol):
    """Remembers which contents, by sha256, are what an engine reads; forgetting costs time, never correctness."""

    def fits(self) -> AbstractSet[tuple[str, str]]:
        """Return sha256 and engine of all that are known."""

    def learn_fits(self, found: Iterable[tuple[str, str]]) -> None:
        """Remember more of them."""


class Inspection:
    """The inspection of files that are open already, because they are hashed; safe in threads."""

    def __init__(self, known: AbstractSet[tuple[str, str]] = frozenset()) -> None:
        self._known = known  # sha256 and engine of what need not be inspected
        # by the stat of a file and the engine, what the file declares or what of it does not fit; without its name in hints
        self.results: dict[tuple[FileKey, str], FormatError | Signature] = {}

    def while_open(self, models: Sequence[Desired], descriptor: int, content: Content) -> None:
        """Inspect an open file for its models; `FileError` where it cannot be read."""
        for desired in models:
            if not desired.inspect or (content.sha256, desired.engine) in self._known:
                continue
            with translated(desired.path):
                try:
                    self.results[content.key, desired.engine] = inspect(descriptor, desired.engine)
                except FormatError as unfit:
                    self.results[content.key, desired.engine] = unfit


def inspected(
    models: Iterable[Desired],
    contents: Mapping[str, Content | FileError],
    cache: InspectionCache,
    *,
    now_ns: int,
    results: Mapping[tuple[FileKey, str], FormatError | Signature] = MappingProxyType({}),
) -> dict[str, Content | FileError]:
    """Return the contents with a `WrongFormat` in place of each that its engine cannot read.

    Files of which the cache knows that they fit, or the ``results`` of an `Inspection` tell, Git LFS pointers and
    models with ``inspect: false`` are not opened. The cache is told of files that fit, unless they are too fresh at
    ``now_ns`` (ns since the epoch) to be sure which content that was.
    """
    found, known, learned = dict(contents), cache.fits(), set()
    for desired in models:
        content = contents.get(desired.name)
        if not isinstance(content, Content) or content.lfs or not desired.inspect:
            continue
        fit = (content.sha256, desired.engine)
        if fit in known:
            continue
        try:
            if (content.key, desired.engine) in results:
                same = True
                if isinstance(result := results[content.key, desired.engine], FormatError):
                    raise result
            else:
                same = _inspect_again(desired, content)
        except FormatError as unfit:
            hint = hint_of(unfit, desired.path)
            found[desired.name] = WrongFormat(desired.path, unfit.reason, hint, is_incomplete=unfit.cut_off)
        except FileError as error:
            found[desired.name] = error
        else:
            if same and not is_racy(content.key, now_ns):
                learned.add(fit)
    if learned:
        cache.learn_fits(learned)
    return found


def hint_of(unfit: FormatError, path: str) -> str:
    """Return what to do about a file that does not fit its engine, whoever found that."""
    if hint := unfit.hint_for(shlex.quote(path)):
        return hint
    if unfit.cut_off:
        return "copy or export it again; watch waits until it is whole"
    return "export it again, or correct engine or file"


def _inspect_again(desired: Desired, content: Content) -> bool:
    """Open and inspect a file that was hashed before; return whether it is still the same."""
    with opened(desired.path) as (descriptor, before), translated(desired.path):
        require_same(desired.path, file_key(before), content.key)
        inspect(descriptor, desired.engine)
        return file_key(before) == content.key == file_key(os.fstat(descriptor))


def shape_of(found: Signature | None) -> Shape:
    """Return the part of a file's signature that queries depend on; an empty one where it cannot be told."""
    if found is None:
        return Shape()
    return Shape({field["name"]: field["type"] for field in found.fields} or None, found.output_type)


def examine(path: str, engine: str) -> Signature | FormatError:
    """Return what the file declares, or what about it does not fit the engine; `FileError` where it cannot be opened."""
    with opened(path) as (descriptor, _status), translated(path):
        try:
            return inspect(descriptor, engine)
        except FormatError as error:
            error.hint = error.hint_for(shlex.quote(path))
            return error


def format_error(path: str, engine: str) -> FormatError | None:
    """Return what about the file does not fit the engine, or None; raises `FileError` where it cannot be opened."""
    found = examine(path, engine)
    return found if isinstance(found, FormatError) else None


def guess_engine(path: str) -> str | None:
    """Return the engine whose model the file probably is, by its extension and content, or None.

    A Git LFS pointer is judged by its extension alone. JSON and zip files are shared by several engines: only what is
    a BigML or H2O model by its content is named. Raises `FileError` where the file cannot be opened.
    """
    extension, by_extension = _promised(path)
    with opened(path) as (descriptor, _status), translated(path):
        head = read_at(descriptor, 64 * 1024, 0)
    if claims_to_be_pointer(head):
        return by_extension[0] if len(by_extension) == 1 else None
    candidates = _candidates(head, extension, by_extension)
    return next((engine for engine in candidates if not format_error(path, engine)), None)


def _promised(path: str) -> tuple[str, list[str]]:
    """Return a file's extension, in lower case, and the engines whose models are called so."""
    extension = os.path.splitext(path)[1].lower()  # noqa: PTH122 - paths stay text
    return extension, [engine for engine, extensions in EXTENSIONS.items() if extension in extensions]


def listing_error(path: str, engine: str | None = None) -> FormatError | None:
    """Return what is wrong with a file that one means to list, or None where nothing is known to be.

    A file for an ``engine`` is judged as ``apply`` would. Without one it is judged by the engine that its extension
    stands for; one that stands for several tells something only where none of them reads the file, or it is cut off.
    Raises `FileError` where the file cannot be opened.
    """
    with opened(path) as (descriptor, status), translated(path):
        is_small = status.st_size <= MAX_POINTER_BYTES
        is_pointer = is_small and claims_to_be_pointer(read_at(descriptor, MAX_POINTER_BYTES, 0))
    with contextlib.suppress(FileError):  # one of a form not known of says nothing of what it stands for
        if is_pointer and digest_file(path).lfs:
            return None
    if engine is not None:
        return format_error(path, engine)
    extension, engines = _promised(path)
    # Those first that the extension is the usual one of; with none, what no engine at all reads is still known.
    engines = sorted(engines, key=lambda each: EXTENSIONS[each][0] != extension) or [""]
    found = [format_error(path, each) for each in engines]
    if all(found):
        return found[0]
    # What one of them reads may be whole; what is cut off to one may be no document at all to another.
    return next((error for error in found if error and (error.cut_off or error.hint)), None)


def mistaken_kind(path: str) -> str | None:
    """Return what a file is, with its article, that is none of the models its name promises; None where unknown."""
    with opened(path) as (descriptor, _status), translated(path):
        return mistaken_for(read_at(descriptor, 64 * 1024, 0))


def _candidates(head: bytes, extension: str, by_extension: Sequence[str]) -> Sequence[str]:
    if head.startswith(b"CBM1"):
        return ("CATBOOST",)
    if head.startswith(b"PK"):
        return ("H2O",)
    if head.lstrip().startswith((b"{", b"[")):
        return ("BIGML",) if _BIGML_RESOURCE.search(head) and not {"ONNX", "CATBOOST"} & set(by_extension) else ()
    # An ONNX model has no magic: a file is taken for one by framing and either its extension or none at all.
    return ("ONNX",) if "ONNX" in by_extension or not extension else ()
