"""Where inotify is silent: the file system a path lies on, read from the kernel's table of mounts.

The format is that of ``proc_pid_mountinfo(5)``. A write made by another machine, or into the layer under an overlay,
changes a file here without any event.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["Mount", "file_system", "is_silent", "parse_mountinfo", "read_mounts"]

MOUNTINFO = "/proc/self/mountinfo"

# Types whose files change from elsewhere. 9p and virtiofs are shared folders of virtual machines; of FUSE, all are
# (sshfs, s3fs, gcsfuse …): none is obliged to report a change made behind it.
_SILENT = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "ecryptfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "overlay", "overlayfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "unionfs", "aufs",
    "vboxsf", "virtiofs", "vmhgfs", "fuse", "fuseblk", "autofs",
})  # fmt: skip

_ESCAPE = re.compile(r"\\([0-7]{3})")

Mount = tuple[str, str]
"""A mount point and the type of the file system mounted there."""


def is_silent(kind: str) -> bool:
    """Whether files on a file system of this type can change without an event."""
    return kind in _SILENT or kind.startswith("fuse.")


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo table in its order, later ones covering earlier ones; odd lines are skipped."""
    found: list[Mount] = []
    for line in text.splitlines():
        fields = line.split(" ")
        # Optional fields of any number end with a lone dash; the type follows it.
        if len(fields) > 6 and "-" in fields[6:]:  # noqa: PLR2004  # six fields come before the optional ones
            kind = fields.index("-", 6) + 1
            if kind < len(fields):
                found.append((_ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), fields[4]), fields[kind]))
    return tuple(found)


def read_mounts(table: str = MOUNTINFO) -> tuple[Mount, ...]:
    """Return the mounts of this process; empty where there is no such table."""
    try:
        return parse_mountinfo(Path(table).read_text("utf-8", "surrogateescape"))
    except OSError:
        return ()


def file_system(real_path: str, mounts: tuple[Mount, ...]) -> str:
    """Return the type of file system a path lies on, empty where unknown.

    Args:
        real_path: Absolute and free of links.
        mounts: The table. Of two mounts on one point the later hides the earlier.
    """
    best, kind = -1, ""
    for point, its_kind in mounts:
        if len(point) >= best and (real_path == point or real_path.startswith(point.rstrip("/") + "/")):
            best, kind = len(point), its_kind
    return kind
