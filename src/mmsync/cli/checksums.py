"""``--checksums FILE``: the digests of what the server holds, for ``sha256sum`` and for attestations of a build."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path

from mmsync.apply import Outcome
from mmsync.cli.options import env_option
from mmsync.cli.output import warn
from mmsync.errors import SettingsError
from mmsync.files.atomic import write_new
from mmsync.plan import Plan
from mmsync.printable import few, printable
from mmsync.quantities import counted
from mmsync.report.checksums import render_checksums

_LINE = re.compile(rb"\\?[0-9a-f]{64} [ *]")

checksums_option = env_option(
    "--checksums",
    metavar="FILE",
    help="Write to FILE, as sha256sum does, what the server holds of the models at the end.",
)


def refuse_other(path: str) -> None:
    """Raise `SettingsError` for a file that holds anything but checksums, which would be lost, or cannot be written."""
    shown = printable(path, 4096)
    try:
        has_folder = Path(path).resolve().parent.is_dir()
        is_ours = not Path(path).exists() or _holds_checksums(Path(path))
    except OSError as error:
        raise _not_written(path, error) from error
    if not has_folder:
        raise SettingsError(f"--checksums {shown}: there is no such folder", "make it, or give another name")
    if not is_ours:
        why = f"--checksums {shown}: there is a file that holds no checksums; it was left as it is"
        raise SettingsError(why, "give another name, or remove it")


def write_checksums(path: str, plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Write the checksums whole or not at all, or raise `SettingsError`; warn of models that are not among them."""
    checksums = render_checksums(plan, outcomes)
    try:
        write_new(Path(path).resolve(), checksums.text, replace=True)  # a link is written through, not replaced
    except OSError as error:
        raise _not_written(path, error) from error
    if names := checksums.unknown:
        what = f"{counted(len(names), 'model')} of which the server's content is not certain"
        warn(f"{path} leaves out {what}: {few(names)}")


def _holds_checksums(path: Path) -> bool:
    """Return whether a file is a list of checksums, or empty; opening a pipe would wait for its other end."""
    if not stat.S_ISREG(path.stat().st_mode):
        return False
    with path.open("rb") as file:
        start = file.read(80)
    return not start or _LINE.match(start) is not None


def _not_written(path: str, error: OSError) -> SettingsError:
    why = f"cannot write the checksums to {printable(path, 4096)}: {error.strerror or error}"
    return SettingsError(why, "name a file that can be written with --checksums")
