"""Where ``--out`` saves a plan: never over a manifest, a model file, or anything else that is no plan."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from mmsync._version import __version__
from mmsync.cli.placing import write_new
from mmsync.errors import SettingsError
from mmsync.plan.document import MAX_DOCUMENT
from mmsync.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmsync.manifest import Manifest
    from mmsync.plan import Plan

__all__ = ["refuse_input", "refuse_other", "save"]

_WAY_ON = "give another name, or remove it"


def refuse_other(path: str) -> None:
    """Refuse a file that holds anything but a plan document: what is in it would be lost.

    Raises:
        SettingsError: It does, or cannot be read to tell.
    """
    if path == "-":
        raise SettingsError("--out -: a plan is saved to a file", "for stdout, give --format json instead")
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode) or not found.st_size or _is_plan(Path(path)):
            return
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _not_saved(path, fault) from fault
    raise SettingsError(
        f"--out {printable(path, 4096)}: there is a file that is no plan; it was left as it is", _WAY_ON
    )


def refuse_input(path: str, manifest: Manifest) -> None:
    """Refuse one of the files that the plan is made from, whatever it holds.

    Raises:
        SettingsError: It is a manifest or a listed model's file, by whatever name.
    """
    shown = printable(path, 4096)
    if _is_among(path, manifest.paths):
        raise SettingsError(f"--out {shown} is a manifest; it was left as it is", "give another name")
    if _is_among(path, (wanted.path for wanted in manifest.models)):
        raise SettingsError(f"--out {shown} is a listed model's file; it was left as it is", "give another name")


def save(made: Plan, path: str) -> None:
    """Write the plan document whole or not at all: a half-written plan must not be applied.

    Raises:
        SettingsError: It cannot be written.
    """
    from mmsync.plan import dump, plan_document  # noqa: PLC0415 - after the plan is made

    document = dump(plan_document(made, version=__version__))
    target = Path(path).resolve()  # a link is written through, not replaced
    try:
        if Path(path).exists() and not Path(path).is_file():
            Path(path).write_text(document, encoding="ascii")  # a pipe or a device takes it; a folder says what it is
            return
        write_new(target, document, replace=True)
    except OSError as fault:
        raise _not_saved(path, fault) from fault


def _is_plan(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(1)
        if start != b"{" or path.stat().st_size > MAX_DOCUMENT:
            return False  # a model file of many gigabytes need not be read to see that it is none
        try:
            document = json.loads(start + file.read(MAX_DOCUMENT))
        except (ValueError, RecursionError):
            return False
    return isinstance(document, dict) and "format_version" in document


def _is_among(path: str, others: Iterable[str]) -> bool:
    try:
        there = Path(path).stat()
    except OSError:
        return False  # what is not there yet can be none of the files that were read
    return any(_is_same(other, there) for other in others)


def _is_same(other: str, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(other), there)  # noqa: PTH116 - a Path for each of ten thousand is slow
    except OSError:
        return False


def _not_saved(path: str, fault: OSError) -> SettingsError:
    why = f"cannot save the plan to {path}: {fault.strerror or fault}"
    return SettingsError(why, "name a file that can be written with --out")
