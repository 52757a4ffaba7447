"""What tests of backups share: a backup made at a known moment, and what is in one."""

from mmsync.apply.backup import Backup
from mmsync.manifest import read_manifest
from support.applying import sha256


def backup(folder):
    return Backup(str(folder), {}, now=lambda: 1_800_000_000.0)


def runs(folder):
    return sorted(path.parent for path in folder.glob("2*/models.yaml"))


def kept(run):
    """What a run's manifest lists: names and digests of the files, all of them whole."""
    found = {}
    for desired in read_manifest([str(run / "models.yaml")]).models:
        found[desired.name] = sha256((run / desired.file).read_bytes())
        assert found[desired.name] == desired.sha256
    return found
