"""``--backup DIR``: what a run replaces or deletes is kept in DIR first; and the command that puts it back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmsync.cli.options import env_option, is_flag, refuse_empty
from mmsync.cli.settings import in_ci
from mmsync.connection import LOCAL
from mmsync.errors import SettingsError
from mmsync.manifest import ServerSettings
from mmsync.plan.selection import quoted
from mmsync.printable import printable

if TYPE_CHECKING:
    from mmsync.apply.backup import Backup

backup_option = env_option(
    "--backup",
    metavar="DIR",
    help="Keep in DIR what is replaced or deleted, before anything is, with a models.yaml that puts it back.",
)


def check_backup(folder: str | None) -> None:
    """Raise `UsageError` where a backup is asked for and not named, `SettingsError` where no folder can be there."""
    if folder is None:
        if "MMSYNC_BACKUP" in os.environ:
            raise click.UsageError("MMSYNC_BACKUP is set, but to nothing: set it to a folder, or unset it")
        return
    refuse_empty("--backup", folder)
    if os.path.lexists(folder) and not Path(folder).is_dir():
        raise SettingsError(f"--backup: {printable(folder, 4096)} is no folder", "name another, or one to be made")


def refuse_backups(folders: Iterable[str]) -> None:
    """Raise `SettingsError` where a folder of backups is given as one of manifests: each of its runs has its own."""
    for folder in folders:
        if _is_of_backups(folder) and not any(Path(folder).glob("*.y*ml")):
            hint = ""
            if manifest := newest_manifest(folder):
                hint = f"what the newest run replaced or deleted is put back with: -f {quoted([printable(manifest, 4096)])}"
            raise SettingsError(f"{printable(folder, 4096)} is a folder of backups and holds no manifest itself", hint)


def newest_manifest(folder: str) -> str:
    """Return the manifest in a folder, or that of the newest run in a folder of backups; empty where there is none."""
    # The names of runs begin with the moment they did.
    runs = sorted(Path(folder).glob("*/models.yaml")) if _is_of_backups(folder) else []
    own = Path(folder, "models.yaml")
    return str(own) if own.is_file() else str(runs[-1]) if runs else ""


def _is_of_backups(folder: str) -> bool:
    if not Path(folder).is_dir():
        return False
    from mmsync.manifest.discovery import BACKUP_MARK  # noqa: PLC0415 - 2 ms, which a manifest without rules does without

    return (Path(folder) / BACKUP_MARK).is_file()


def open_backup(folder: str, server: ServerSettings) -> Backup:
    """Return the backup of one run into a folder; ``server`` is what the manifest says of it."""
    from mmsync.apply.backup import Backup  # noqa: PLC0415 - 100 ms with HTTP, which -h does without

    keys = ("url", "profile", "auth_type", "domain")
    named = {key: value for key in keys if (value := getattr(server, key))}
    return Backup(folder, named, now=time.time)


def undo_command(backup: Backup | None) -> str:
    """Return the command that undoes the run, with the server as the current command's flags name it; empty for none.

    It works from any folder, but in a CI job, whose folders are gone with it: there it is for wherever they are kept.
    """
    if backup is None or backup.undo is None:
        return ""
    whole: Callable[[str], str] = str if in_ci() else os.path.abspath
    words = ["mmsync", "apply", "-f", whole(str(backup.undo))]
    params = click.get_current_context().params
    for name in ("url", "profile", "profiles_path", "auth_type", "domain", "token_file"):
        if is_flag(name) and params.get(name):
            value = str(params[name])
            if name in ("profiles_path", "token_file"):
                value = whole(value)
            elif name == "url" and value.lower().startswith(LOCAL):
                value = LOCAL + whole(value[len(LOCAL) :])
            words += [f"--{name.replace('_', '-')}", value]
    return printable(quoted(words), 4096)
