from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from mmsync.errors import FileError
from mmsync.files.digest import is_racy, read_contents
from mmsync.types import Desired, FileKey, Source, file_key

SECOND = 1_000_000_000


class Cache:
    """A cache in memory that keeps count."""

    def __init__(self):
        self.kept = {}
        self.puts = 0

    def get(self, key):
        return self.kept.get(key)

    def put(self, contents):
        self.puts += 1
        self.kept.update({content.key: content for content in contents})


def desired(name, path) -> Desired:
    return Desired(name, "ONNX", str(path), str(path), None, None, False, Source("models.yaml", 1))


@pytest.fixture
def files(tmp_path):
    def make(**contents):
        for name, data in contents.items():
            (tmp_path / name).write_bytes(data)
        return [desired(name, tmp_path / name) for name in contents]

    return make


def stats_of(models):
    return {model.path: Path(model.path).stat() for model in models}


def later() -> int:
    return time.time_ns() + 10 * SECOND


def test_each_model_has_its_content_by_name(files):
    models = files(b=b"two", a=b"one", large=os.urandom(2**20), large_too=os.urandom(2**20))
    contents = read_contents(models, stats_of(models), Cache(), now_ns=later(), jobs=2)
    assert list(contents) == ["b", "a", "large", "large_too"]
    for model in models:
        data = Path(model.path).read_bytes()
        assert contents[model.name] == (
            hashlib.sha256(data).hexdigest(),
            len(data),
            file_key(Path(model.path).stat()),
            False,
        )


def test_what_the_cache_knows_is_not_opened(files):
    models = files(a=b"one", b=os.urandom(2**20))
    stats, cache = stats_of(models), Cache()
    first = read_contents(models, stats, cache, now_ns=later())
    assert cache.puts == 1
    for model in models:
        Path(model.path).unlink()  # opening them would now fail
    assert read_contents(models, stats, cache, now_ns=later()) == first
    assert cache.puts == 1


@pytest.mark.parametrize("age", [0, 1.9])
def test_fresh_files_are_neither_trusted_nor_remembered(files, age):
    models = files(a=b"one")
    stats = stats_of(models)
    now_ns = stats[models[0].path].st_ctime_ns + int(age * SECOND)
    cache = Cache()
    wrong = read_contents(models, stats, Cache(), now_ns=later())["a"]._replace(sha256="0" * 64)
    cache.put([wrong])
    assert read_contents(models, stats, cache, now_ns=now_ns)["a"].sha256 == hashlib.sha256(b"one").hexdigest()
    assert cache.kept == {wrong.key: wrong}
    assert read_contents(models, stats, cache, now_ns=now_ns + 3 * SECOND)["a"] == wrong


@pytest.mark.parametrize(
    ("mtime", "ctime", "racy"),
    [
        (-100, -100, False),
        (-100, -2.1, False),
        (-100, -1.9, True),
        (-1.9, -100, True),
        (0, 0, True),
        (1.9, -100, True),
        (100, -100, False),  # anybody may set a modification time in the future: the change time settles it
        (-100, 100, True),  # a change time in the future comes of a wrong clock
    ],
)
def test_stamps_near_now_are_too_fresh(mtime, ctime, racy):
    now = 1_700_000_000 * SECOND
    assert is_racy(FileKey(1, 2, 3, now + int(mtime * SECOND), now + int(ctime * SECOND)), now) is racy


def test_a_change_that_keeps_size_and_mtime_is_seen(files):
    models = files(a=b"one")
    cache = Cache()
    read_contents(models, stats_of(models), cache, now_ns=later())
    status = Path(models[0].path).stat()
    with Path(models[0].path).open("r+b") as file:
        file.write(b"two")
    os.utime(models[0].path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = read_contents(models, stats_of(models), cache, now_ns=later())
    assert again["a"].sha256 == hashlib.sha256(b"two").hexdigest()


def test_two_models_with_one_file_have_it_read_once(files, tmp_path):
    (model,) = files(a=os.urandom(2**20))
    (tmp_path / "link").symlink_to("a")
    models = [model, desired("b", tmp_path / "a"), desired("c", tmp_path / "link")]
    told = []
    contents = read_contents(
        models, stats_of(models), Cache(), now_ns=later(), on_progress=lambda *said: told.append(said)
    )
    assert contents["a"] == contents["b"] == contents["c"]
    assert {name for name, _done, _total in told} == {"a"}


def test_a_file_that_cannot_be_read_is_a_value_and_the_others_are_read(files, tmp_path):
    models = files(a=b"one", gone=b"two")
    stats = stats_of(models)
    Path(models[1].path).unlink()
    models += [desired("never", tmp_path / "never"), desired("nul", "a\0b"), desired("folder", tmp_path)]
    contents = read_contents(models, stats, Cache(), now_ns=later())
    assert contents["a"].size == 3
    for name in ("gone", "never", "nul", "folder"):
        assert isinstance(contents[name], FileError)


def test_a_file_replaced_after_it_was_looked_at_is_not_read(files, tmp_path):
    models = files(a=b"one")
    stats = stats_of(models)
    (tmp_path / "new").write_bytes(b"three")
    (tmp_path / "new").replace(models[0].path)
    cache = Cache()
    fault = read_contents(models, stats, cache, now_ns=later())["a"]
    assert "was replaced after it was looked at" in str(fault)
    assert not cache.kept
    assert read_contents(models, stats_of(models), cache, now_ns=later())["a"].size == 5


def test_the_smallest_of_large_files_is_begun_last(files):
    models = files(one=bytes(2**20), two=bytes(2 * 2**20), three=bytes(3 * 2**20))
    begun, both = [], threading.Barrier(2)

    def told(name, *_):
        if name not in begun:
            begun.append(name)
            if len(begun) < 3:  # neither of the first two goes on before both have begun
                both.wait(timeout=30)

    read_contents(models, stats_of(models), Cache(), now_ns=later(), jobs=2, on_progress=told)
    assert sorted(begun[:2]) == ["three", "two"]
    assert begun[2] == "one"


@pytest.mark.parametrize("jobs", [1, 2])
def test_files_that_are_read_are_shown_with_their_models_while_they_are_open(files, tmp_path, jobs):
    models = files(a=b"one", large=os.urandom(2**20), large_too=os.urandom(2**20), wrong=b"x", known=b"known")
    models.append(desired("b", tmp_path / "a"))
    cache, shown = Cache(), {}
    read_contents(models[4:5], stats_of(models), cache, now_ns=later())

    def look(those, descriptor, content):
        if those[0].name == "wrong":
            raise FileError("wrong", "of the listener")
        shown[tuple(model.name for model in those)] = os.fstat(descriptor).st_ino, content

    contents = read_contents(models, stats_of(models), cache, now_ns=later(), jobs=jobs, while_open=look)
    assert shown == {
        names: (Path(tmp_path / names[0]).stat().st_ino, contents[names[0]])
        for names in (("a", "b"), ("large",), ("large_too",))
    }
    assert str(contents["wrong"]) == "wrong: of the listener"
    assert contents["wrong"] not in cache.kept.values()


def test_stats_may_be_missing(files):
    models = files(a=b"one")
    assert read_contents(models, {}, Cache(), now_ns=later())["a"].size == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopping_passes_on_the_reason_and_keeps_what_was_read(files, jobs):
    models = files(small=b"one", **{f"large{i}": os.urandom(2**20) for i in range(8)})
    cache = Cache()

    def stop(name, _done, _total):
        if name == "large3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_contents(models, stats_of(models), cache, now_ns=later(), jobs=jobs, on_progress=stop)
    assert 1 <= len(cache.kept) < len(models)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mmsync-digest")]
