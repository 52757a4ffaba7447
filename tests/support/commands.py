"""Commands as a user runs them: in this process, or as a process of their own where signals and pipes matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from mmsync.cli.main import _run

MMSYNC = str(Path(sys.executable).with_name("mmsync"))


class Ran(NamedTuple):
    """An exit code and what was written."""

    code: int
    out: str
    err: str


class Shell:
    """Runs commands in one folder, against one server where there is one."""

    def __init__(self, folder, capsys, monkeypatch):
        self.folder = folder
        self._capsys = capsys
        monkeypatch.chdir(folder)

    def __call__(self, *args) -> Ran:
        self._capsys.readouterr()
        code = _run([str(arg) for arg in args])
        return Ran(int(code), *self._capsys.readouterr())

    def start(self, *args, **settings) -> subprocess.Popen:
        """Start the command as a process; stdout and stderr are pipes unless given."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **settings}
        return subprocess.Popen([MMSYNC, *map(str, args)], cwd=self.folder, env=dict(os.environ), **pipes)


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(entry.name for entry in folder.iterdir())
