"""The ledger is a cache: whatever happens to its file costs a warning and time, never an error."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from mmsync.ledger import Ledger, ServerDescription, VerifiedContent, known_content
from mmsync.types import Content, FileKey, Observed, ServerName, Shape

SERVER = ServerName("https://models.example", "self")
KEY = ("1", "1000", "7")
HELD = ("a" * 64, 10, None)
FILE = Content("b" * 64, 12, FileKey(2**63 + 1, 2**64 - 1, 12, 5, 6))
DAY = 86_400
NOW = 1_800_000_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "ledger.sqlite"


@pytest.fixture
def warnings():
    return []


def opened(path, warnings, now=NOW):
    return Ledger(path, warn=warnings.append, now=now)


def test_what_was_learned_is_there_the_next_time(path, warnings):
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
        ledger.put([FILE])
    with opened(path, warnings) as ledger:
        assert ledger.images(SERVER) == {KEY: HELD}
        assert ledger.get(FILE.key) == FILE
        assert ledger.get(FILE.key._replace(ctime_ns=7)) is None
        assert ledger.images(ServerName("https://models.example", "other")) == {}
    assert warnings == []


def test_without_a_file_it_remembers_for_the_run(warnings):
    with opened(None, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
        ledger.put([FILE])
        assert ledger.images(SERVER) == {KEY: HELD}
        assert ledger.get(FILE.key) == FILE
    assert warnings == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is not a database" * 500),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096),
        lambda path: os.truncate(path, 5000),
    ],
    ids=["overwritten", "torn", "cut"],
)
def test_a_damaged_file_costs_a_warning_and_is_begun_anew(path, warnings, damage):
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [((str(n), "", str(n)), HELD) for n in range(500)])
    damage(path)
    with opened(path, warnings) as ledger:
        ledger.images(SERVER)
        ledger.get(FILE.key)
        ledger.learn(SERVER, [(KEY, HELD)])
        assert ledger.images(SERVER)[KEY] == HELD
    assert len(warnings) == 1
    assert "damaged" in warnings[0]
    warnings.clear()
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
    with opened(path, warnings) as ledger:
        assert ledger.images(SERVER) == {KEY: HELD}
    assert warnings == []


def test_a_folder_in_its_place_costs_one_warning(path, warnings):
    path.mkdir(parents=True)
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
        ledger.put([FILE])
        assert ledger.images(SERVER) == {KEY: HELD}
    assert len(warnings) == 1


def test_a_file_that_cannot_be_written_is_still_read(path, warnings):
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
    with opened(path, warnings) as ledger:
        # What a read-only or full disk answers, from SQLite itself: root may write through any mode.
        ledger._file.connection.execute("PRAGMA query_only = ON")
        other = ("2", "", "8")
        ledger.learn(SERVER, [(other, HELD)])
        assert ledger.images(SERVER) == {KEY: HELD, other: HELD}
    assert len(warnings) == 1
    assert "readonly" in warnings[0]
    assert "set MMSYNC_CACHE_DIR to a folder that can be written" in warnings[0]


def test_a_full_disk_costs_one_warning(path, warnings):
    with opened(path, warnings) as ledger:
        pages = ledger._file.connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._file.connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [((str(n), "", str(n)), HELD) for n in range(5000)]
        ledger.learn(SERVER, many)
        assert len(ledger.images(SERVER)) == 5000
    assert len(warnings) == 1
    assert "full" in warnings[0]


def test_a_ledger_of_another_version_is_begun_anew(path, warnings):
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
    assert "another version" in warnings[0]
    warnings.clear()
    with opened(path, warnings) as ledger:
        assert ledger.images(SERVER) == {KEY: HELD}
    assert warnings == []


def test_a_file_forgotten_is_hashed_again(path, warnings):
    with opened(path, warnings) as ledger:
        ledger.put([FILE])
        ledger.forget([FILE.key])
        assert ledger.get(FILE.key) is None
    with opened(path, warnings) as ledger:
        assert ledger.get(FILE.key) is None


def test_rows_of_models_gone_for_ninety_days_are_dropped(path, warnings):
    kept, gone = ("1", "1000", "7"), ("2", "1000", "8")
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(kept, HELD), (gone, HELD)])
    row = Observed("m", 1, "ONNX", "", 7, 1000, 2000)
    for days in (30, 60, 91):
        with opened(path, warnings, NOW + days * DAY) as ledger:
            ledger.seen(SERVER, [row])
    with opened(path, warnings, NOW + 91 * DAY) as ledger:
        assert ledger.images(SERVER) == {kept: HELD}


def test_noting_what_is_seen_writes_once_a_day_at_most(path, warnings):
    row = Observed("m", 1, "ONNX", "", 7, 1000, 2000)
    with opened(path, warnings) as ledger:
        ledger.learn(SERVER, [(KEY, HELD)])
        ledger.seen(SERVER, [row])
    with opened(path, warnings, NOW + 3600) as ledger:
        before = ledger._file.connection.total_changes
        ledger.seen(SERVER, [row])
        assert ledger._file.connection.total_changes == before


def test_of_processes_that_start_together_one_notes_what_is_seen(path, warnings):
    row = Observed("m", 1, "ONNX", "", 7, 1000, 2000)
    with opened(path, warnings) as one, opened(path, warnings) as other:

        def rows():
            before = other._file.connection.total_changes
            other.seen(SERVER, [row])
            assert other._file.connection.total_changes == before
            yield row

        one.learn(SERVER, [(KEY, HELD)])
        one.seen(SERVER, rows())
    assert warnings == []


def test_threads_share_one_ledger(path, warnings):
    with opened(path, warnings) as ledger:
        threads = [
            threading.Thread(target=lambda n=n: ledger.learn(SERVER, [((str(n), "", str(n)), HELD)])) for n in range(32)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with opened(path, warnings) as ledger:
        assert len(ledger.images(SERVER)) == 32
    assert warnings == []


def test_processes_share_one_ledger(path, warnings):
    code = (
        "import sys; from pathlib import Path; from mmsync.ledger import *; from mmsync.types import ServerName\n"
        "said = []\n"
        "for n in range(20):\n"
        "    with Ledger(Path(sys.argv[1]), warn=said.append, now=1) as ledger:\n"
        f"        ledger.learn(ServerName(*{tuple(SERVER)!r}), [((sys.argv[2], str(n), '1'), ('a'*64, 1, None))])\n"
        "sys.exit(len(said))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    with opened(path, warnings) as ledger:
        assert len(ledger.images(SERVER)) == 80


OURS = VerifiedContent("c" * 64, Shape({"x": "float8"}, "str"), Shape({"X": None}, None))


def test_what_was_verified_under_a_name_is_kept_latest_first(path, warnings):
    later = VerifiedContent("d" * 64)
    for keep in (path, None):
        with opened(keep, warnings) as ledger:
            ledger.learn_verified(SERVER, [("m", OURS), ("m", later), ("n", later)])
            assert list(ledger.verified(SERVER, "m")) == [later, OURS]
            # Verified again by a download, which says nothing of what the file declares: that is kept.
            ledger.learn_verified(SERVER, [("m", OURS._replace(declared=Shape(), displayed=Shape({"X": "str"})))])
            assert list(ledger.verified(SERVER, "m")) == [OURS._replace(displayed=Shape({"X": "str"})), later]
    with opened(path, warnings) as ledger:
        assert list(ledger.verified(SERVER, "m")) == [OURS._replace(displayed=Shape({"X": "str"})), later]
        assert ledger.is_latest(SERVER, "m", OURS.sha256)
        assert not ledger.is_latest(SERVER, "m", later.sha256)
        assert not ledger.is_latest(ServerName("https://models.example", "other"), "m", OURS.sha256)
    assert warnings == []


@pytest.mark.parametrize("damage", ["x", "", "00000000{}", 7, b"\x00", '{"x": 1}'])
def test_a_signature_gone_bad_is_none(path, warnings, damage):
    with opened(path, warnings) as ledger:
        ledger.learn_verified(SERVER, [("m", OURS)])
        ledger._file.connection.execute("UPDATE verified SET declared = ?", (damage,))
    with opened(path, warnings) as ledger:
        assert list(ledger.verified(SERVER, "m")) == [OURS._replace(declared=Shape())]
    assert warnings == []


def test_the_latest_content_of_a_name_is_kept_as_long_as_the_model_is(path, warnings):
    with opened(path, warnings) as ledger:
        ledger.learn_verified(SERVER, [("m", VerifiedContent("d" * 64)), ("m", OURS), ("gone", OURS)])
        ledger.learn_descriptions(SERVER, [("m", ServerDescription("a", "b")), ("gone", ServerDescription("a", "b"))])
    row = Observed("m", 1, "ONNX", "", 7, 1000, 2000)
    for days in (30, 60, 91):
        with opened(path, warnings, NOW + days * DAY) as ledger:
            ledger.seen(SERVER, [row])
    with opened(path, warnings, NOW + 91 * DAY) as ledger:
        assert list(ledger.verified(SERVER, "m")) == [OURS]
        assert list(ledger.verified(SERVER, "gone")) == []
        assert ledger.descriptions(SERVER) == {"m": ServerDescription("a", "b")}


def test_half_a_pair_of_surrogates_from_a_server_costs_no_ledger(path, warnings):
    odd = "bad \ud800"
    with opened(path, warnings) as ledger:
        ledger.learn_verified(SERVER, [(odd, OURS)])
        ledger.learn_descriptions(SERVER, [("m", ServerDescription("sent", odd))])
        ledger.seen(SERVER, [Observed(odd, 1, "ONNX", "", 7, 1000, 2000)])
        ledger.learn(SERVER, [(KEY, HELD)])
    with opened(path, warnings) as ledger:
        assert ledger.images(SERVER) == {KEY: HELD}
    assert warnings == []


def test_an_image_is_vouched_for_only_under_the_date_it_was_learned_with():
    row = Observed("m", 1, "ONNX", "", 7, 1000, 2000)
    assert known_content(row, {KEY: (*HELD[:2], 2000)}) == (*HELD[:2], 2000)
    assert known_content(row, {KEY: (*HELD[:2], 1999)}) is None
    # What one of the two does not say cannot be compared.
    assert known_content(row._replace(update_date=None), {KEY: (*HELD[:2], 1999)})
    assert known_content(row, {KEY: HELD})
