"""Model files from the server into a folder: several at a time, each whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import threading
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Literal, NamedTuple
from urllib.parse import quote

from mmsync.apply.outcome import Event, Progress
from mmsync.client import Client
from mmsync.client.downloader import FileSystemDownloader
from mmsync.client.error import ModelManagerError, TokenError
from mmsync.connection import Connection
from mmsync.errors import FileError
from mmsync.files.atomic import draft_in
from mmsync.files.digest import digest_file
from mmsync.ledger import ImageKey, KnownImage, image_key, known_content
from mmsync.observe import image_size, observe, row_of
from mmsync.parallel import parallel_map
from mmsync.plan import Selection
from mmsync.printable import printable
from mmsync.types import Content, Observed, is_glob


class ModelFile(NamedTuple):
    """A model of the server's list, and the file to write it to."""

    observed: Observed
    path: Path


@dataclass(frozen=True, slots=True)
class Download:
    """The outcome of one download."""

    file: ModelFile  # what was asked for
    # ``written``; ``there`` (a file of the same content was there already); ``refused`` (another file is there, and
    # it was not to be replaced); ``failed``
    status: Literal["written", "there", "refused", "failed"]
    sha256: str = ""  # the content, where it is known
    size: int = 0  # in bytes, where it is known
    message: str = ""  # why not, one clause; empty where the file is there now
    image_id: int | str | None = None  # the server's id of the bytes downloaded, where it says one

    @property
    def ok(self) -> bool:
        """Return whether the file is there, with the server's content."""
        return self.status in ("written", "there")


def download(
    files: Sequence[ModelFile],
    connection: Connection,
    *,
    jobs: int,
    force: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> tuple[Download, ...]:
    """Download files; the ledger learns what the server's images hold.

    A file whose content the ledger knows to be the server's is left as it is without a download; one of another content
    is replaced with ``force`` only. An exception that comes to the calling thread meanwhile (an interrupt) ends the
    downloads in flight and leaves no half file.

    Returns what became of each, in the order asked; the folders exist. ``on_event`` is called with ``Progress``, from
    any thread. Raises `TokenError` where the server refuses the token.
    """
    work = _Work(connection.client, connection.ledger.images(connection.server), on_event, force)
    results: dict[str, Download] = {}
    try:
        # Closed at once, whatever comes here between two results: the half files are to be gone before we are.
        with contextlib.closing(parallel_map(work.one, files, jobs=jobs, stop=work.stop)) as done:
            for each, result in done:
                results[each.observed.name] = result
    finally:
        # Those of threads that are stuck; the others have cleared away after themselves.
        for draft in tuple(work.drafts):
            with contextlib.suppress(OSError):  # then the next run removes it
                draft.unlink()
        learned = [lesson for result in results.values() if (lesson := _lesson(result))]
        connection.ledger.learn(connection.server, learned)
    return tuple(results[each.observed.name] for each in files)


class _Stopped(Exception):
    """Ends a download from inside."""


@dataclass(slots=True)
class _Work:
    client: Client
    known: Mapping[ImageKey, KnownImage]
    on_event: Callable[[Event], None] | None
    force: bool
    stop: threading.Event = field(default_factory=threading.Event)
    drafts: set[Path] = field(default_factory=set)  # where a thread is stuck when the run ends, another clears away

    def one(self, each: ModelFile) -> Download:
        try:
            there = _content(each.path)
            return self._settled(each, there) or self._fetched(each, there)
        except TokenError:
            raise
        except (ModelManagerError, FileError) as error:
            hint = f" ({error.hint})" if error.hint else ""
            return Download(each, "failed", message=f"{error or type(error).__name__}{hint}")
        except OSError as error:
            return Download(each, "failed", message=f"{printable(str(each.path))}: {error.strerror or error}")

    def _settled(self, each: ModelFile, there: Content | None) -> Download | None:
        """Answer without a download where that can be: the ledger, or a size that differs."""
        if there is None:
            return None
        sha256, known_size, _ = known_content(each.observed, self.known) or ("", None, None)
        if known_size is not None and not there.lfs and sha256 == there.sha256:
            return Download(each, "there", sha256, known_size)
        if self.force:
            return None
        if there.lfs:
            return _refused(each, "a Git LFS pointer is there")
        size = image_size(self.client.find_detail(each.observed.name) or {}) if known_size is None else known_size
        if (sha256 and sha256 != there.sha256) or (size is not None and size != there.size):
            return _refused(each)
        return None

    def _fetched(self, each: ModelFile, there: Content | None) -> Download:
        name = each.observed.name

        def progress(done: int, total: int) -> None:
            if self.stop.is_set():
                raise _Stopped
            if self.on_event:
                # The total is an estimate; only the end says that it is the end.
                self.on_event(Progress(name, "downloading", done, max(total, done + 1)))

        with draft_in(each.path.parent) as draft, contextlib.ExitStack() as stack:
            self.drafts.add(draft.path)
            stack.callback(self.drafts.discard, draft.path)
            image = self.client.download_image(name, draft.file, on_progress=progress)
            if self.on_event:
                self.on_event(Progress(name, "downloading", image.size, image.size))
            result = Download(each, "written", image.sha256, image.size, image_id=image.image_id)
            if there and not there.lfs and there.sha256 == image.sha256:
                return replace(result, status="there")
            try:
                draft.become(each.path, replace=self.force)
            except FileExistsError:
                return replace(result, status="refused", message=_refused(each).message)
        return result


def _refused(each: ModelFile, what: str = "another file is there") -> Download:
    message = f"{printable(str(each.path))}: {what}; left as it is (--force replaces it)"
    return Download(each, "refused", message=message)


def _content(path: Path) -> Content | None:
    """Return what is at ``path``, or None where nothing is; raises `FileError` where it is no readable file."""
    if not os.path.lexists(path):
        return None
    with contextlib.suppress(OSError):
        if path.is_symlink() and not path.exists():
            raise FileError(str(path), "is a link to nothing", "remove it")
    return digest_file(str(path))


def _lesson(result: Download) -> tuple[ImageKey, KnownImage] | None:
    """Return what the ledger should learn; only an image id seen on both sides ties the bytes to the row."""
    observed = result.file.observed
    if observed.image_id is None:
        observed = observed._replace(image_id=result.image_id)
    key = image_key(observed)
    if key is None or result.image_id is None or str(observed.image_id) != str(result.image_id):
        return None
    return key, (result.sha256, result.size, observed.update_date)


_LONGEST = 255  # bytes, on the file systems in use


def file_names(models: Iterable[Observed]) -> Mapping[str, str]:
    """Return a file name for each model, by model name.

    They are those of ``FileSystemDownloader``, with what cannot be shown percent-encoded as well. Where two would be
    the same file (on a file system that ignores case, too), the later in order of name gets a mark of its own: the
    names depend on the models alone, not on the order the server lists them in.
    """
    downloader = FileSystemDownloader(".")
    names: dict[str, str] = {}
    taken: set[str] = set()
    for model in sorted(models, key=lambda model: model.name):
        # Without an engine there is no extension to add, which is what an unknown one comes to.
        plain = PurePath(downloader.file_for({"name": model.name, "engine": model.engine or "?"})).name
        # A manifest refuses in a path what a reader cannot see.
        name = "".join(char if char.isprintable() else quote(char, errors="surrogatepass") for char in plain)
        if _folded(name) in taken or len(name.encode()) > _LONGEST:
            name = _marked(name, model.name)
        taken.add(_folded(name))
        names[model.name] = name
    return names


def _marked(name: str, model: str) -> str:
    mark = "~" + hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    path = PurePath(name)
    suffix = path.suffix if len(path.suffix) < len(mark) else ""
    stem = name.removesuffix(suffix).encode()[: _LONGEST - len(mark) - len(suffix.encode())].decode("utf-8", "ignore")
    return stem + mark + suffix


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


_ENOUGH_TO_SEARCH = 20_000  # names; the comparison takes about a second for these


def choose(
    names: Sequence[str] | None, client: Client, folder: Path, *, exclude: Sequence[str] = ()
) -> tuple[list[ModelFile], list[str]]:
    """Return the models meant, sorted by name, and a sentence for each name that means none.

    Names are exact, or globs (a name that is there is never taken for one); None means every model. ``exclude`` are
    globs of names to leave out of what globs find; a name given exactly is wanted. Raises `ModelManagerError`.
    """
    # A name the server lists twice stands for the first; one that is empty cannot be asked for.
    listed = {name: found[0] for name, found in observe(client)[0].items() if name}
    meant: dict[str, Observed] = {}
    missing: list[str] = []
    for name in ("*",) if names is None else names:
        selection = Selection(target=(name,), exclude=tuple(exclude)).among(listed)
        exact = listed.get(name) if names is not None else None
        found = [exact] if exact else [row for row in listed.values() if row.name in selection]
        if not found and names is not None:
            # The server may have a model that it does not list.
            if hidden := row_of(client, name) if name and not is_glob(name) else None:
                found = [hidden]
            else:
                missing.append(_missing(name, listed))
        meant.update((row.name, row) for row in found)
    files = file_names({**meant, **listed}.values())
    return [ModelFile(row, folder / files[name]) for name, row in sorted(meant.items())], missing


def _missing(name: str, listed: Iterable[str]) -> str:
    known = list(listed)[:_ENOUGH_TO_SEARCH]
    near = difflib.get_close_matches(name[:200], known, 1)
    hint = f" (did you mean {printable(near[0])}?)" if near else "" if known else " (it lists none)"
    return f"the server has no model {printable(name)}{hint}"
