"""Model files from the server into a folder: several at a time, each whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from mmsync.apply.outcome import Progress
from mmsync.cli.abreast import abreast
from mmsync.cli.placing import draft_in
from mmsync.client.error import ModelManagerError, TokenError
from mmsync.errors import FileFault
from mmsync.files import digest_file
from mmsync.ledger import Held, image_key, vouched
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from mmsync.apply.outcome import Event
    from mmsync.client import Client, LegacyClient
    from mmsync.connection import Connection
    from mmsync.ledger import ImageKey
    from mmsync.states import Content, Observed

__all__ = ["Download", "Wanted", "download"]


class Wanted(NamedTuple):
    """A model of the server's list, and the file to write it to."""

    observed: Observed
    path: Path


@dataclass(frozen=True, slots=True)
class Download:
    """What became of one download.

    Attributes:
        wanted: What was asked for.
        status: ``written``; ``there`` (a file of the same content was there already); ``refused`` (another file is
            there, and it was not to be replaced); ``failed``.
        sha256: The content, where it is known.
        size: In bytes, where it is known.
        message: Why not, one clause; empty where the file is there now.
        image_id: The server's id of the bytes downloaded, where it says one.
    """

    wanted: Wanted
    status: Literal["written", "there", "refused", "failed"]
    sha256: str = ""
    size: int = 0
    message: str = ""
    image_id: int | str | None = None

    @property
    def ok(self) -> bool:
        """Whether the file is there, with the server's content."""
        return self.status in ("written", "there")


def download(
    wanted: Sequence[Wanted],
    connection: Connection,
    *,
    jobs: int,
    force: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> tuple[Download, ...]:
    """Download files; the ledger learns what the server's images hold.

    A file whose content the ledger knows to be the server's is left as it is without a download. An exception that
    comes to the calling thread meanwhile (an interrupt) ends the downloads in flight and leaves no half file.

    Args:
        wanted: Which, to where; the folders exist.
        connection: The server and the ledger.
        jobs: How many at a time.
        force: Whether to replace files of another content.
        on_event: Called with ``Progress``, from any thread.

    Returns:
        What became of each, in the order asked.

    Raises:
        TokenError: The server refuses the token.
    """
    known = connection.ledger.images(connection.server)
    work = _Work(connection.client, known, on_event, force=force)
    results: dict[str, Download] = {}
    try:
        # Closed at once, whatever comes here between two results: the half files are to be gone before we are.
        with contextlib.closing(work.run(wanted, jobs)) as done:
            for result in done:
                results[result.wanted.observed.name] = result
    finally:
        learned = [lesson for result in results.values() if (lesson := _lesson(result))]
        connection.ledger.learn(connection.server, learned)
    return tuple(results[each.observed.name] for each in wanted)


class _Stopped(Exception):
    """Ends a download from inside."""


class _Work:
    def __init__(
        self,
        client: Client | LegacyClient,
        known: Mapping[ImageKey, Held],
        on_event: Callable[[Event], None] | None,
        *,
        force: bool,
    ) -> None:
        self.client = client
        self.known = known
        self.on_event = on_event
        self.force = force
        self.stop = threading.Event()
        self.drafts: set[Path] = set()

    def run(self, wanted: Sequence[Wanted], jobs: int) -> Generator[Download]:
        try:
            with contextlib.closing(abreast(self._one, wanted, jobs=jobs, stop=self.stop)) as results:
                yield from results
        finally:
            # Those of threads that are stuck; the others have cleared away after themselves.
            for draft in tuple(self.drafts):
                draft.unlink(missing_ok=True)

    def _one(self, each: Wanted) -> Download:
        try:
            there = _content(each.path)
            settled = self._settled(each, there)
            return settled or self._fetched(each, there)
        except TokenError:
            raise
        except (ModelManagerError, FileFault) as fault:
            hint = f" ({fault.hint})" if fault.hint else ""
            return Download(each, "failed", message=f"{fault or type(fault).__name__}{hint}")
        except OSError as fault:
            return Download(each, "failed", message=f"{printable(str(each.path))}: {fault.strerror or fault}")

    def _settled(self, each: Wanted, there: Content | None) -> Download | None:
        """Answer without a download where that can be: the ledger, or a size that differs."""
        if there is None:
            return None
        known = vouched(each.observed, self.known)
        # The ledger hands out plain tuples: ten thousand are read for every plan.
        held = Held(*known) if known else None
        if held and not there.lfs and held.sha256 == there.sha256:
            return Download(each, "there", held.sha256, held.size)
        if self.force:
            return None
        if there.lfs:
            return _refused(each, "a Git LFS pointer is there")
        size = held.size if held else self._size(each.observed.name)
        if (held and held.sha256 != there.sha256) or (size is not None and size != there.size):
            return _refused(each)
        return None

    def _size(self, name: str) -> int | None:
        detail = self.client.find_detail(name) or {}
        size = (detail.get("image") or {}).get("size")
        return size if isinstance(size, int) and not isinstance(size, bool) else None

    def _fetched(self, each: Wanted, there: Content | None) -> Download:
        name = each.observed.name

        def progress(done: int, total: int) -> None:
            if self.stop.is_set():
                raise _Stopped
            if self.on_event:
                # The total is an estimate; only the end says that it is the end.
                self.on_event(Progress(name, "downloading", done, max(total, done + 1)))

        with draft_in(each.path.parent) as draft, self._noted(draft.path):
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

    @contextlib.contextmanager
    def _noted(self, draft: Path) -> Iterator[None]:
        """Keep the draft in mind: where its thread is stuck when the run ends, another must clear it away."""
        self.drafts.add(draft)
        try:
            yield
        finally:
            self.drafts.discard(draft)


def _refused(each: Wanted, what: str = "another file is there") -> Download:
    message = f"{printable(str(each.path))}: {what}; left as it is (--force replaces it)"
    return Download(each, "refused", message=message)


def _content(path: Path) -> Content | None:
    """Return what is at ``path``, or None where nothing is.

    Raises:
        FileFault: Something is there that is no readable file.
    """
    if not os.path.lexists(path):
        return None
    with contextlib.suppress(OSError):
        if path.is_symlink() and not path.exists():
            raise FileFault(str(path), "is a link to nothing", "remove it")
    return digest_file(str(path))


def _lesson(result: Download) -> tuple[ImageKey, Held] | None:
    """Return what the ledger should learn; only an image id seen on both sides ties the bytes to the row."""
    observed = result.wanted.observed
    if result.image_id is None:
        return None
    if observed.image_id is None:
        observed = observed._replace(image_id=result.image_id)
    key = image_key(observed)
    sure = key is not None and str(observed.image_id) == str(result.image_id)
    return (key, Held(result.sha256, result.size, observed.update_date)) if key and sure else None
