"""A server is put back to a backup and hands out the same image ids again: the ledger must not vouch for what it never saw."""

from __future__ import annotations

import shutil

import pytest

from mmsync.server import running
from support.applying import Site, View, json_bytes, sha256
from support.fault_proxy import FaultProxy, rewritten, without


class Backup:
    """A server over a folder that can be saved and put back."""

    def __init__(self, folder, proxy):
        self.folder, self.saved, self.proxy = folder, folder.with_name("backup"), proxy
        self.running = None

    def start(self):
        self.running = running(self.folder, token="t0ken")
        address = self.running.__enter__()
        self.proxy.upstream = self.proxy.upstream._replace(netloc=address.url.removeprefix("http://"))
        self.view = View(address.url, "t0ken")

    def stop(self):
        self.view.close()
        self.running.__exit__(None, None, None)

    def save(self):
        self.stop()
        shutil.copytree(self.folder, self.saved)
        self.start()

    def put_back(self):
        self.stop()
        shutil.rmtree(self.folder)
        shutil.copytree(self.saved, self.folder)
        self.start()


@pytest.fixture
def backup(tmp_path):
    with FaultProxy("http://127.0.0.1:9") as proxy:
        made = Backup(tmp_path / "server", proxy)
        made.start()
        yield made
        made.stop()


@pytest.fixture
def site(tmp_path, backup):
    return Site(tmp_path / "site", backup.proxy.url, "t0ken")


def codes(plan):
    return [note.code for note in plan.diagnostics]


def test_the_same_image_id_under_another_file_is_found_out(site, backup):
    """Nothing goes back that could be seen: the id is the same, and so are the sizes; the date is not."""
    site.model("m", json_bytes("one"))
    site.apply()
    backup.save()
    site.model("m", json_bytes("two"))
    site.apply()
    ours = backup.view.rows()[0]
    backup.put_back()
    backup.view.put("m", json_bytes("six"))
    theirs = backup.view.rows()[0]
    for key in ("id", "imageId", "creationDate"):
        assert ours[key] == theirs[key]
    (change,) = site.plan().changes
    assert (change.reasons, change.evidence) == (("content",), "download")
    assert change.before.sha256 == sha256(json_bytes("six"))
    site.apply()
    assert backup.view.digests() == site.digests()
    assert not site.plan().changes


@pytest.mark.parametrize("dates", [True, False], ids=["with dates", "without dates"])
def test_ids_that_go_back_void_what_was_known_and_it_is_said(site, backup, dates):
    if not dates:
        for kind in ("list", "detail", "bytes"):
            backup.proxy.on(kind, rewritten(without("updateDate", "creationDate")))
    names = site.models(4)
    site.apply()
    backup.save()
    for name in names:
        site.model(name, json_bytes(f"second {name}"))
    site.apply()
    backup.put_back()
    # A stranger gets the image ids that our second contents had, in another order.
    backup.view.put(names[3], json_bytes(f"second {names[2]}"))
    plan = site.plan()
    assert "server/restored" in codes(plan)
    assert [change.name for change in plan.changes] == names
    backup.proxy.exchanges.clear()
    assert "server/restored" not in codes(site.plan()), "it is said once"
    assert all(outcome.ok for outcome in site.apply())
    assert backup.view.digests() == site.digests()
    backup.proxy.exchanges.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in backup.proxy.exchanges] == ["list"]


def test_a_backup_of_the_very_state_costs_nothing(site, backup):
    site.models(3)
    site.apply()
    backup.save()
    backup.put_back()
    backup.proxy.exchanges.clear()
    plan = site.plan()
    assert not plan.changes
    assert not plan.diagnostics
    assert [exchange.kind for exchange in backup.proxy.exchanges] == ["list"]


def test_models_deleted_since_are_no_sign_of_a_backup(site, backup):
    names = site.models(3)
    site.apply()
    backup.view.delete(names[2])
    del site.entries[names[2]]
    backup.proxy.exchanges.clear()
    plan = site.plan()
    assert not plan.diagnostics
    assert [exchange.kind for exchange in backup.proxy.exchanges] == ["list"]


def test_an_edit_of_a_text_by_somebody_is_looked_into_once(site, backup):
    site.models(2)
    site.apply()
    backup.view.edit("m000", description="by hand")
    backup.proxy.exchanges.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in backup.proxy.exchanges] == ["list", "detail", "bytes"]
    backup.proxy.exchanges.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in backup.proxy.exchanges] == ["list"]


def test_our_own_edit_of_a_text_needs_no_second_look(site, backup):
    site.model("m", json_bytes(1), description="old")
    site.apply()
    site.entries["m"]["description"] = "new"
    site.apply()
    backup.proxy.exchanges.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in backup.proxy.exchanges] == ["list"]
