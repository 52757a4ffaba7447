"""Bytes of the ledger turn bad anywhere: the run after is slower at most, and whatever it got wrong it does not repeat."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from support.applying import Site

ROUNDS = 400 if os.environ.get("MMSYNC_LONG") else 60


@pytest.mark.timeout(900)
def test_flipped_bytes_cost_time_and_never_correctness(tmp_path, server, view):
    site = Site(tmp_path / "site", server.url, server.token)
    site.models(4)
    site.model("m000", b'{"tag": "described"}', description="text")
    site.apply()
    # Later, so that digests of files are remembered too.
    later = (site.folder / "models.yaml").stat().st_mtime_ns + 60_000_000_000
    site.plan(now_ns=later)
    sound = tmp_path / "sound.sqlite"
    with site.open_ledger() as ledger:
        ledger._file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(site.ledger, sound)
    bits = random.Random(12)
    repaired = 0
    for _ in range(ROUNDS):
        for beside in ("", "-wal", "-shm"):
            site.ledger.with_name(site.ledger.name + beside).unlink(missing_ok=True)
        data = bytearray(sound.read_bytes())
        # Most of the file is empty: the bytes to hit are those that hold something.
        used = [place for place, byte in enumerate(data) if byte]
        for place in bits.sample(used, bits.choice([1, 3, 30])):
            data[place] ^= 1 << bits.randrange(8)
        site.ledger.write_bytes(data)
        plan = site.plan(now_ns=later)
        assert {change.reasons for change in plan.changes} <= {("content",)}
        outcomes = apply_later(site, later)
        repaired += any(not outcome.ok for outcome in outcomes)
        assert all(outcome.ok for outcome in apply_later(site, later)), "what went wrong once is put right"
        assert not site.plan(now_ns=later).changes
        assert view.digests() == site.digests()
    assert repaired, "some damage must have hit a digest, or this shows nothing"


def apply_later(site, later):
    from mmsync.manifest import read_manifest
    from mmsync.reconcile import apply_plan, make_plan

    with site.client() as client, site.open_ledger() as ledger:
        connection = site.connection(client, ledger)
        return apply_plan(make_plan(read_manifest([str(site.save())]), connection, now_ns=later), connection)
