"""Processes as an orchestrator starts them: a user id that nobody knows, no home, and one folder that can be written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.watching import namespaces

_FORBIDDEN = "this machine forbids user namespaces"
# The first argument is that folder; the rest is started in place of the shell, so that signals reach it. What the kernel
# shows at /proc and /dev is left alone.
_SCRIPT = """
mount --bind "$1" "$1"
cut -d' ' -f5 /proc/self/mountinfo | while read -r place; do
  case $place in /proc* | /dev* | "$1") ;; *) mount -o remount,bind,ro "$place" ;; esac
done
shift
exec unshare -U --map-user=65533 --map-group=65533 "$@"
"""


def read_only(writable: Path) -> list[str]:
    """Return the command that starts another so; skip the test where the machine forbids it."""
    command = namespaces("-Urm") or pytest.skip(_FORBIDDEN)
    starter = [*command, "sh", "-ec", _SCRIPT, "sh", str(writable)]
    probe = [*starter, "sh", "-c", f'touch "{writable}/probe" && ! touch "{writable.parent}/probe"']
    done = subprocess.run(probe, capture_output=True, timeout=20, check=False)
    (writable / "probe").unlink(missing_ok=True)
    if done.returncode:
        pytest.skip(_FORBIDDEN)
    return starter
