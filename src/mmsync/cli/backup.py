"""``--backup DIR``: what a run replaces or deletes is kept in DIR first; and the command that puts it back."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmsync.cli.options import env_option, is_flag, refuse_empty
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


def open_backup(folder: str, server: ServerSettings) -> Backup:
    """Return the backup of one run into a folder; ``server`` is what the manifest says of it."""
    from mmsync.apply.backup import Backup  # noqa: PLC0415 - 100 ms with HTTP, which -h does without

    keys = ("url", "profile", "auth_type", "domain")
    named = {key: value for key in keys if (value := getattr(server, key))}
    return Backup(folder, named, now=time.time)


def undo_command(backup: Backup | None) -> str:
    """Return the command that undoes the run, with the server as the current command's flags name it; empty for none."""
    if backup is None or backup.undo is None:
        return ""
    words = ["mmsync", "apply", "-f", str(backup.undo)]
    params = click.get_current_context().params
    for name in ("url", "profile", "profiles_path", "auth_type", "domain", "token_file"):
        if is_flag(name) and params.get(name):
            words += [f"--{name.replace('_', '-')}", str(params[name])]
    return printable(quoted(words), 4096)
