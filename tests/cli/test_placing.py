from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from mmsync.files.atomic import draft_in, write_new
from support.commands import names


@pytest.fixture(params=["links", "no links"])
def folder(request, tmp_path, monkeypatch):
    """A folder, once on a file system without hard links."""
    if request.param == "no links":

        def refuse(self, target):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(self))

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return tmp_path


def test_a_file_appears_whole_with_the_users_own_permissions(folder):
    before = os.umask(0o027)
    try:
        write_new(folder / "new", "text é")
    finally:
        os.umask(before)
    assert (folder / "new").read_text("utf-8") == "text é"
    assert (folder / "new").stat().st_mode & 0o777 == 0o640
    assert (folder / "new").stat().st_nlink == 1
    assert names(folder) == ["new"]


def test_what_is_there_stays_unless_it_is_to_be_replaced(folder):
    (folder / "mine").write_text("mine")
    with pytest.raises(FileExistsError):
        write_new(folder / "mine", "other")
    assert (folder / "mine").read_text() == "mine"
    write_new(folder / "mine", "other", replace=True)
    assert (folder / "mine").read_text() == "other"
    assert names(folder) == ["mine"]


def test_a_link_to_nothing_counts_as_there(folder):
    (folder / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        write_new(folder / "link", "text")
    assert names(folder) == ["link"]


def test_a_draft_that_is_given_up_is_gone(folder):
    with pytest.raises(KeyboardInterrupt), draft_in(folder) as draft:  # noqa: PT012 - the write is what is given up
        draft.file.write(b"half")
        assert len(names(folder)) == 1
        raise KeyboardInterrupt
    assert names(folder) == []


def test_a_draft_that_another_takes_for_left_over_before_it_is_locked_is_made_anew(folder, monkeypatch):
    taken, lock = [], fcntl.flock

    def another_was_quicker(file, operation):
        if not taken:
            taken.extend(folder.glob(".mmsync-*.partial"))
            taken.append(taken[0].open("rb"))
            lock(taken[1], fcntl.LOCK_EX)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", another_was_quicker)
    with draft_in(folder) as draft:
        path, opened = taken
        path.unlink(missing_ok=True)
        opened.close()
        draft.file.write(b"whole")
        draft.become(folder / "new", replace=False)
    assert names(folder) == ["new"]


@pytest.mark.parametrize("offered", ["yes", "no", "refused"])
def test_a_large_draft_goes_to_the_disk_while_it_is_written(folder, monkeypatch, offered):
    asked = []

    def advise(_file, offset, length, _advice):
        asked.append((offset, offset + length))
        if offered == "refused":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    if offered == "no":
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fadvise", advise, raising=False)
        monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    piece = os.urandom(1 << 20)
    with draft_in(folder) as draft:
        for pieces in (20, 70):  # a download that broke off is written again from its start
            draft.file.seek(0)
            draft.file.truncate()
            for _ in range(pieces):
                draft.file.write(piece)
        draft.become(folder / "new", replace=False)
    assert (folder / "new").read_bytes() == piece * 70
    starts, ends = zip(*asked, strict=True) if asked else ((), ())
    assert starts == (() if offered == "no" else (0, 0, *ends[1:-1]))
    assert list(ends[1:]) == sorted(ends[1:])
