from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from mmsync.errors import FileError
from mmsync.files.digest import digest_file
from mmsync.types import file_key

MIB = 2**20


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(os.urandom(3 * MIB))
    return path


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 3 * MIB])
def test_the_content_is_the_sha256_the_size_and_the_stat(tmp_path, size):
    path = tmp_path / "model.bin"
    data = os.urandom(size)
    path.write_bytes(data)
    content = digest_file(str(path))
    assert content == (hashlib.sha256(data).hexdigest(), size, file_key(path.stat()), False)


def test_progress_is_told_and_ends_at_the_size(model):
    seen = []
    digest_file(str(model), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3 * MIB, 3 * MIB)
    assert seen == sorted(seen)
    assert len(seen) > 3


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "of the listener"), ValueError("stop")])
def test_what_progress_raises_is_passed_on_unchanged(model, error):
    def stop(_done, _total):
        raise error

    with pytest.raises(type(error)) as caught:
        digest_file(str(model), on_progress=stop)
    assert caught.value is error


def fault(path, **options) -> FileError:
    with pytest.raises(FileError) as caught:
        digest_file(str(path), **options)
    return caught.value


def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    assert str(fault("pipe")) == "pipe: is a FIFO, not a file"
    assert str(fault(".")) == ".: is a folder, not a file"
    assert str(fault("/dev/zero")) == "/dev/zero: is a device, not a file"
    assert fault("gone").reason == "cannot be read: no such file or directory"
    assert fault("a\0b").reason == "a path cannot hold a NUL character"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        assert fault("sock").reason.startswith("cannot be read: ")
    (tmp_path / "loop").symlink_to("loop")
    assert fault("loop").reason.startswith("cannot be read: ")


def test_an_error_of_the_disk_names_file_reason_and_way_on(tmp_path):
    # Its own memory, from an address that nothing is at, is a regular file that gives EIO.
    assert fault("/proc/self/mem").reason == "cannot be read: input/output error"
    assert fault("/proc/self/mem").hint == "check the disk or the network mount it lies on"
    assert isinstance(fault("/proc/self/mem").__cause__, OSError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_a_fault(model):
    model.chmod(0)
    assert (fault(model).reason, fault(model).hint) == ("cannot be read: permission denied", "check its permissions")


class Once:
    """Does something to the file when the first bytes have been read."""

    def __init__(self, act):
        self.act = act

    def __call__(self, _done, _total):
        act, self.act = self.act, lambda: None
        act()


def grow(path):
    with path.open("ab") as file:
        file.write(b"x")


def shrink(path):
    os.truncate(path, MIB)


def rewrite_and_put_mtime_back(path):
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("act", [grow, shrink, rewrite_and_put_mtime_back])
@pytest.mark.parametrize("size", [3 * MIB, 20_000, 10])
def test_a_file_that_changes_while_it_is_read_is_a_fault(model, act, size):
    os.truncate(model, size)
    assert fault(model, on_progress=Once(lambda: act(model))).reason == "changed while it was read"


@pytest.mark.parametrize("size", [3 * MIB, 20_000, 10, 0])
def test_a_file_is_shown_while_it_is_open_and_not_yet_trusted(model, size):
    os.truncate(model, size)
    seen = []
    content = digest_file(
        str(model), while_open=lambda descriptor, shown: seen.append((os.pread(descriptor, size + 1, 0), shown))
    )
    assert seen == [(model.read_bytes(), content)]
    assert fault(model, while_open=lambda *_: grow(model)).reason == "changed while it was read"
    error = OSError(5, "of the listener")

    def stop(*_):
        raise error

    with pytest.raises(OSError, match="of the listener") as caught:
        digest_file(str(model), while_open=stop)
    assert caught.value is error


def test_a_pointer_is_not_shown_as_the_model(model):
    model.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n")
    seen = []
    assert digest_file(str(model), while_open=lambda *shown: seen.append(shown)).lfs
    assert not seen


def test_a_file_put_in_its_place_meanwhile_does_not_lend_its_stat(model):
    held = model.with_name("held")
    os.link(model, held)
    other = model.with_name("other")
    other.write_bytes(b"other" * 10)
    # Losing a name moves the old file's ctime: it counts as changed, and its digest is lent to nobody.
    reason = fault(model, on_progress=Once(lambda: other.replace(model))).reason
    assert reason == "changed while it was read"
    assert digest_file(str(model)).key == file_key(model.stat())
    assert digest_file(str(held)).key == file_key(held.stat())


def test_no_descriptor_is_left_open(model, tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    digest_file(str(model))
    fault(tmp_path)
    fault(model, on_progress=Once(lambda: grow(model)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
