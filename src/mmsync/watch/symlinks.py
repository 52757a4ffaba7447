"""Symbolic links: the folders to listen to so that no step on the way to a file can change unheard.

Kubernetes publishes a ConfigMap by renaming the link ``..data``, git-sync by swapping the link that is the root: the
file itself never changes, a name in some folder on the way does. So a path is walked by hand, link by link, and
every (real folder, name) it goes through is collected.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple


class ResolvedPath(NamedTuple):
    """A path resolved."""

    real: str  # the path without links, as far as it exists
    # each ``(real folder, name)`` that decides where it leads, links and missing names included
    steps: tuple[tuple[str, str], ...]
    complete: bool  # whether it led to something that exists


def resolve_path(path: str) -> ResolvedPath:
    """Resolve ``path`` as the kernel would, noting each step; never raises, an error ends the way."""
    # Not abspath: it would drop "link/.." together, which the kernel resolves through the link.
    pending = [part for part in _absolute(path).split("/") if part][::-1]
    here, links = "/", 0
    steps: list[tuple[str, str]] = []
    while pending:
        name = pending.pop()
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120  # strings throughout: ten thousand paths take this way
            continue
        if name == ".":
            continue
        steps.append((here, name))
        joined = here.rstrip("/") + "/" + name
        try:
            target = os.readlink(joined)  # noqa: PTH115  # the same
        except OSError:
            # Not a link (EINVAL) is the usual case; then it either exists or the way ends here.
            if not os.path.lexists(joined):
                return ResolvedPath(here, tuple(steps), complete=False)
            here = joined
            continue
        links += 1
        if links > 40:  # noqa: PLR2004  # as Linux: then it is ELOOP
            return ResolvedPath(here, tuple(steps), complete=False)
        if target.startswith("/"):
            here = "/"
        pending += [part for part in target.split("/") if part][::-1]
    return ResolvedPath(here, tuple(steps), complete=True)


def folders_to_watch(
    paths: Iterable[str], bases: Iterable[str], listed: Iterable[str] = ()
) -> tuple[dict[str, frozenset[str] | None], bool]:
    """Return the folders to listen to, each with the names that matter in it; None stands for every name.

    The second value says whether a link lies on any of the ways.

    Args:
        bases: Folders the paths hang from. Plain folders above them are left out, or every busy ``/tmp`` would be
            listened to; of each base itself, its name in its parent matters, and so does every link.
        listed: Folders of which every name matters, because models are discovered there.
    """
    names: dict[str, set[str] | None] = {}
    roots = {resolve_path(base).real for base in bases}
    near = roots | {os.path.dirname(root) for root in roots}  # noqa: PTH120  # strings throughout
    folders: dict[str, ResolvedPath] = {}
    crossed = False

    def add(found: ResolvedPath, *, last: bool) -> None:
        nonlocal crossed
        for index, (folder, name) in enumerate(found.steps):
            is_last = index == len(found.steps) - 1
            after = found.real if is_last else found.steps[index + 1][0]
            is_link = after != folder.rstrip("/") + "/" + name  # what follows does not lie under its own name
            crossed |= is_link
            matters = is_link or folder in near or (is_last and (last or not found.complete))
            if matters or any(f"{folder}/".startswith(f"{root.rstrip('/')}/") for root in roots):
                known = names.setdefault(folder, set())
                if known is not None:
                    known.add(name)

    for path in paths:
        parent, name = os.path.split(path)
        if parent not in folders:
            folders[parent] = resolve_path(parent)
            add(folders[parent], last=False)
        home = folders[parent]
        if home.complete:
            joined = os.path.join(home.real, name)  # noqa: PTH118  # strings throughout
            plain = ResolvedPath(joined, ((home.real, name),), complete=True)
            add(resolve_path(joined) if os.path.islink(joined) else plain, last=True)  # noqa: PTH114  # the same
    for folder in (*listed, *bases):
        found = resolve_path(folder)
        add(found, last=False)
        if found.complete and folder in listed:
            names[found.real] = None
    covered = {folder: None if known is None else frozenset(known) for folder, known in names.items()}
    return covered, crossed


def _absolute(path: str) -> str:
    # Not getcwd, which fails where the working folder was removed.
    return path if path.startswith("/") else f"{os.path.realpath('/proc/self/cwd')}/{path}"
