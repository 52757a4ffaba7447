"""Near misses: the file that is there, where one that was named is not."""

# Paths stay text, as the user gave them.
# ruff: noqa: PTH113, PTH118, PTH122, PTH208

from __future__ import annotations

import os
import re
import unicodedata

_MOST_NAMES = 20_000  # of a folder; looking through more would take longer than looking oneself
_MOST_COMPARED = 1_000  # names by their likeness, which takes some 10 µs each
_LONGEST_NAME = 255  # bytes, on common file systems
_LIKENESS = 0.8  # of one, which is the same name
_MANIFESTS = (".yaml", ".yml", ".json")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/?/", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{[^}]*\}|[A-Z_][A-Z0-9_]*)|%[A-Z_][A-Z0-9_]*%")


def not_expanded(text: str) -> str:
    """Return what in a text some programs replace and nobody does here, in words; empty where there is nothing."""
    if re.match(r"~[\w.-]*/", text):
        return "`~` is not expanded"
    found = _VARIABLE.search(text)
    return f"variables such as {found[0]} are not expanded" if found else ""


def file_hint(folder: str, file: str) -> str:
    """Return a hint for a missing ``file``, relative to ``folder``; an empty text where there is nothing to say.

    No folder outside ``folder`` is looked into: its names are not for everybody who reads the message.
    """
    if scheme := _SCHEME.match(file):
        return f"{scheme[1]}:// is not supported: a model file is a path; fetch the file first, or where it is built"
    if said := not_expanded(file):
        return f"{said}: write the path out, relative to the manifest"
    if file.startswith("/") or ".." in file.split("/"):
        return ""
    slashed = file.replace("\\", "/")
    place = os.path.join(folder, slashed)
    if slashed != file and _is_within(folder, place) and os.path.isfile(place):
        return f"did you mean {slashed}? A path is written with / here"
    done: list[str] = []
    why = ""
    *folders, last = file.split("/")
    for part in folders:
        found = _as_written(folder, done, part)
        if found is None:
            return ""
        why = why or _difference(part, found)
        done.append(found)
    found = _as_written(folder, done, last)
    if found is None:
        return _other_extension(folder, done, last) or _similar(folder, done, last)
    why = why or _difference(last, found)
    return f"did you mean {'/'.join([*done, found])}? {why}" if why else ""


def manifest_hint(path: str) -> str:
    """Return the manifest beside a missing one that was probably meant; an empty text where there is none."""
    folder, name = os.path.split(path)
    stem = _folded(os.path.splitext(name)[0])
    found = [
        other
        for other in _names(folder or ".")
        if (_folded(os.path.splitext(other)[0]) == stem and other.lower().endswith(_MANIFESTS))
        or _folded(other) == f"{_folded(name)}.txt"
    ]
    return os.path.join(folder, found[0]) if found else ""


def _as_written(folder: str, done: list[str], part: str) -> str | None:
    """Return the name in a folder that is ``part``, or else the one that differs in letter case or Unicode form."""
    place = os.path.join(folder, *done)
    if os.path.lexists(os.path.join(place, part)):
        return part
    near = [name for name in _names_within(folder, place) if _folded(name) == _folded(part)]
    # The one that differs in form alone is nearer than one in another case.
    return min(near, key=lambda name: (_composed(name) != _composed(part), name), default=None)


def _difference(written: str, found: str) -> str:
    if written == found:
        return ""
    if _composed(written) == _composed(found):
        return "It looks the same, but has another Unicode form (NFC, NFD): copy the name from the folder"
    return "It differs in letter case"


def _other_extension(folder: str, done: list[str], name: str) -> str:
    """Return a hint that names the files of the same stem, with other or more extensions."""
    place = os.path.join(folder, *done)
    whole, stem = _folded(name), _folded(os.path.splitext(name)[0])
    found = [
        other
        for other in _names_within(folder, place)
        if (_folded(other).startswith(f"{whole}.") or _folded(os.path.splitext(other)[0]) == stem)
        and os.path.isfile(os.path.join(place, other))
    ]
    shown = ", ".join("/".join([*done, other]) for other in found[:3])
    return f"did you mean {shown}? It has another extension" if found else ""


def _similar(folder: str, done: list[str], name: str) -> str:
    """Return a hint that names the file of the same extension whose name is most like ``name``."""
    from difflib import get_close_matches  # noqa: PLC0415 - 3 ms, and most manifests name files that are there

    place = os.path.join(folder, *done)
    stem, extension = os.path.splitext(_folded(name))
    by_stem: dict[str, str] = {}
    names = _names_within(folder, place)
    for other in names if len(names) <= _MOST_COMPARED and len(name) <= _LONGEST_NAME else ():
        its_stem, its_extension = os.path.splitext(_folded(other))
        if its_extension == extension and os.path.isfile(os.path.join(place, other)):
            by_stem.setdefault(its_stem, other)
    # Stems alone: with their extension, all short names are alike.
    near = get_close_matches(stem, by_stem, n=1, cutoff=_LIKENESS)
    return f"did you mean {'/'.join([*done, by_stem[near[0]]])}?" if near else ""


def _names_within(folder: str, place: str) -> list[str]:
    return _names(place or ".") if _is_within(folder, place) else []


def _is_within(folder: str, place: str) -> bool:
    root, real = os.path.realpath(folder or "."), os.path.realpath(place or ".")
    return real == root or real.startswith(os.path.join(root, ""))


def _names(folder: str) -> list[str]:
    """Return the names in a folder, sorted; none where it cannot be listed, or holds too many."""
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        return []
    return sorted(names) if len(names) <= _MOST_NAMES else []


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()
