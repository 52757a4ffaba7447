"""The contents of files at rest, read so that nothing in between can pass for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmsync.errors import FileFault
from mmsync.files import digest_file, file_key, read_contents
from mmsync.manifest.places import Places
from mmsync.states import Content, FileKey
from mmsync.watch.scan import state_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from mmsync.files import DigestCache
    from mmsync.states import Desired
    from mmsync.watch.settle import Settling

__all__ = ["Forced", "Read", "read_settled"]


class Read(NamedTuple):
    """What the files of a pass hold.

    Attributes:
        contents: By model name; a FileFault says why there is none.
        waiting: Names of models whose file is not at rest: nothing is wrong with them.
        has_moved: Whether a file was no longer what the last look had found at rest.
    """

    contents: dict[str, Content | FileFault]
    waiting: frozenset[str]
    has_moved: bool


class Forced:
    """The forced look: a file that is touched for ever is at rest in its bytes if two readings agree.

    Args:
        settle: Seconds that must lie between the two readings.
        every: Seconds between two attempts on one file.
    """

    def __init__(self, settle: float, every: float) -> None:
        self._settle = settle
        self._every = every
        self._first: dict[str, tuple[str, float]] = {}

    def content(self, path: str, found: os.stat_result | None, now: float) -> Content | None:
        """Read an overdue file, ``found`` at its path, if it is time to; return its content once two readings agreed."""
        sha256, at = self._first.get(path, ("", float("-inf")))
        if now - at < (self._settle if sha256 else self._every):
            return None
        try:
            content = digest_file(path, same_as=found)
        except FileFault:
            self._first[path] = ("", now)
            return None
        if content.sha256 == sha256:
            self._first[path] = (sha256, now)
            return content
        self._first[path] = (content.sha256, now) if not sha256 else ("", now)
        return None

    def next_look(self, overdue: Iterable[str]) -> float | None:
        """Return when the first overdue file is to be read, ``-inf`` for at once; None where there is none."""
        times = []
        for path in overdue:
            sha256, at = self._first.get(path, ("", float("-inf")))
            times.append(at + (self._settle if sha256 else self._every))
        return min(times, default=None)

    def keep(self, overdue: Iterable[str]) -> None:
        """Forget the files that are no longer overdue."""
        wanted = set(overdue)
        self._first = {path: first for path, first in self._first.items() if path in wanted}


def read_settled(
    models: Iterable[Desired],
    settling: Settling,
    forced: Forced,
    cache: DigestCache,
    admitted: Callable[[str], tuple[str, ...]],
    *,
    now: float,
    now_ns: int,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Read:
    """Read what the settled files hold; digests known by their key are not read again.

    Args:
        models: The models to read.
        settling: Which files are at rest, and as what.
        forced: Looks at those that never are.
        cache: Digests known by key.
        admitted: The folders the files of a manifest may lie in, links resolved now.
        now: Monotonic seconds.
        now_ns: The time in ns since the epoch, for the cache's racy rule.
        on_progress: Called with a model's name, the bytes read and the bytes in all.
    """
    contents: dict[str, Content | FileFault] = {}
    waiting: set[str] = set()
    ready: list[Desired] = []
    stats: dict[str, os.stat_result] = {}
    places: dict[str, Places] = {}
    has_moved = False
    overdue = settling.overdue(now)
    forced.keep(overdue)
    for wanted in models:
        manifest = wanted.source.file
        if manifest not in places:
            places[manifest] = Places(admitted(manifest), stats)
        rest = settling.at_rest(wanted.path)
        refusal = places[manifest].look(wanted.path)
        if rest is None:
            content = forced.content(wanted.path, stats.get(wanted.path), now) if wanted.path in overdue else None
            if content is None or refusal:
                waiting.add(wanted.name)
                content = None
            contents[wanted.name] = content or FileFault(wanted.path, "it is still being written")
        elif refusal and state_of(wanted.path) == rest:
            contents[wanted.name] = FileFault(wanted.path, refusal.summary, refusal.detail)
        elif refusal or not isinstance(rest, FileKey) or file_key(stats[wanted.path]) != rest:
            # It changed since the last look: the next one finds that out and waits for it.
            waiting.add(wanted.name)
            has_moved = True
            contents[wanted.name] = FileFault(wanted.path, "it has just changed")
        else:
            ready.append(wanted)
    read = read_contents(ready, stats, cache, now_ns=now_ns, on_progress=on_progress)
    for wanted in ready:
        content_or_fault = read[wanted.name]
        key = content_or_fault.key if isinstance(content_or_fault, Content) else state_of(wanted.path)
        if key != settling.at_rest(wanted.path):
            waiting.add(wanted.name)
            has_moved = True
            content_or_fault = FileFault(wanted.path, "it changed while it was read")
        contents[wanted.name] = content_or_fault
    return Read(contents, frozenset(waiting), has_moved)
