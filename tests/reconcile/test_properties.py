"""Whatever happens to manifest, files, ledger and server, in whatever order: plan sees it, apply mends it.

A state machine over a real server. The expectation is worked out from what the files and the server hold, read
without mmsync. MMSYNC_LONG=1 tries ten times as many histories.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import random
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import devo_ml.modelmanager as official
import pytest
from devo_ml.modelmanager.auth import create_auth_from_token
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mmsync.errors import PlanRefused
from mmsync.manifest import read_manifest
from mmsync.plan import Guards, Selection, dump, plan_digest, plan_document
from mmsync.reconcile import Options, apply_plan, make_plan
from mmsync.server import running
from support.applying import Site, View, json_bytes, sha256

NAMES = ["in_a", "in_b", "in_c d", "in_e/f", "in_é"]
ORPHANS = ["in_old", "in_older"]
FOREIGN = ["other", "in", "xin_a"]
ENGINES = ["BIGML", "WORKFLOWS", "DT", "IDA"]
CONTENTS = [json_bytes(tag, size) for tag, size in (("a", 0), ("b", 0), ("c", 10), ("d", 10), ("e", 3000))]
TEXTS = [None, "", "text", "other text", "ünï → 💡\nline", " spaced "]
ANYTHING = Guards(max_delete=100, max_delete_percent=100, allow_empty=True)
LONG = bool(os.environ.get("MMSYNC_LONG"))

names, contents, engines, texts = map(st.sampled_from, (NAMES, CONTENTS, ENGINES, TEXTS))
anywhere = st.sampled_from(NAMES + ORPHANS + FOREIGN)
selections = st.sampled_from(
    [Selection()] * 3
    + [
        Selection(target=("in_a", "in_[bc]*")),
        Selection(exclude=("in_a",)),
        Selection(shard=(1, 2)),
        Selection(target=("no*",)),
    ]
)


class Held(NamedTuple):
    """What the server holds of one model."""

    engine: str
    description: str
    digest: str
    hidden: bool
    identity: tuple[int, int, int]


class Server:
    """One for all histories: starting one for each would take most of the time."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mmsync-properties-"))
        self.context = running(self.folder / "server", token="t0ken")
        self.address = self.context.__enter__()
        self.view = View(self.address.url, self.address.token)

    def close(self):
        self.view.close()
        self.context.__exit__(None, None, None)
        shutil.rmtree(self.folder)


SERVER: list[Server] = []


@pytest.fixture(autouse=True, scope="module")
def _server():
    SERVER.append(Server())
    yield
    SERVER.pop().close()
    gc.collect()


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.server, self.view = SERVER[0], SERVER[0].view
        for name in NAMES + ORPHANS + FOREIGN:
            self.view.delete(name)
        self.folder = Path(tempfile.mkdtemp(dir=self.server.folder))
        self.site = Site(self.folder / "site", self.server.address.url, "t0ken", scope=("in_*",))
        self.digests: dict[str, str] = {}  # contents on the server by image id: an image never changes

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # What people do to the manifest and to the files.

    @rule(name=names, content=contents, engine=engines, text=texts)
    def list_a_model(self, name, content, engine, text):
        self.site.entries[name] = {"name": name, "engine": engine, "file": f"{NAMES.index(name)}.json"}
        self.describe(name, text)
        self.write(name, content)

    @rule(name=names, content=contents, kind=st.sampled_from(["in place", "replaced", "times kept"]))
    def write(self, name, content, kind="in place"):
        file = self.site.folder / f"{NAMES.index(name)}.json"
        before = file.stat() if file.exists() else None
        if kind == "replaced":
            new = file.with_suffix(".new")
            new.write_bytes(content)
            new.replace(file)
        else:
            file.write_bytes(content)
        if kind == "times kept" and before:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(name=names, engine=engines)
    def choose_engine(self, name, engine):
        if name in self.site.entries:
            self.site.entries[name]["engine"] = engine

    @rule(name=names, text=texts)
    def describe(self, name, text):
        if name in self.site.entries:
            self.site.entries[name].pop("description", None)
            if text is not None:
                self.site.entries[name]["description"] = text

    @rule(name=names)
    def unlist(self, name):
        self.site.entries.pop(name, None)

    # What others do to the server.

    @rule(name=anywhere, content=contents, engine=engines, text=texts)
    def somebody_adds(self, name, content, engine, text):
        if "/" in name:  # the official client cannot address it
            self.view.put(name, content, engine, **({} if text is None else {"description": text}))
            return
        client = official.Client(self.server.address.url, create_auth_from_token("t0ken", "standalone"))
        file = self.folder / "theirs.json"
        file.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file open
            client.add_model(name, engine, str(file), text, force=True)
            gc.collect(0)

    @rule(name=anywhere)
    def somebody_deletes(self, name):
        self.view.delete(name)

    @rule(name=anywhere, changes=st.sampled_from([{"description": "by hand"}, {"hidden": True}, {"hidden": False}]))
    def somebody_edits(self, name, changes):
        if self.view.detail(name):
            self.view.edit(name, **changes)

    @rule(name=anywhere)
    def somebody_makes_it_anew(self, name):
        """The same content under a new id."""
        held = self.held().get(name)
        if held:
            content = next(content for content in CONTENTS if sha256(content) == held.digest)
            self.view.delete(name)
            self.view.put(name, content, held.engine, description=held.description)

    # What happens to the ledger.

    @rule(damage=st.sampled_from(["gone", "garbage", "cut", "empty", "an older copy"]))
    def the_ledger_suffers(self, damage):
        ledger, copy = self.site.ledger, self.folder / "ledger.copy"
        if not ledger.exists():
            return
        for beside in (f"{ledger.name}-wal", f"{ledger.name}-shm"):
            ledger.with_name(beside).unlink(missing_ok=True)
        if damage == "gone":
            ledger.unlink()
        elif damage == "garbage":
            ledger.write_bytes(random.Random(1).randbytes(5000))
        elif damage == "cut":
            os.truncate(ledger, ledger.stat().st_size // 2)
        elif damage == "empty":
            os.truncate(ledger, 0)
        elif copy.exists():
            shutil.copy(copy, ledger)
        else:
            shutil.copy(ledger, copy)

    # What mmsync does.

    @rule(selection=selections, verify=st.sampled_from(["auto", "auto", "always"]), prune=st.booleans())
    def plan(self, selection, verify, prune):
        before = self.state()
        options = Options(selection=selection, guards=ANYTHING, verify=verify, prune=prune)
        plan = self.planned(options)
        assert self.state() == before, "a plan writes nothing"
        assert self.shown(plan) == self.expected(selection, prune)
        assert not plan.unknown
        assert not plan.has_errors
        again = self.planned(options, shuffled=True)
        assert [dataclasses.replace(change, source=None) for change in again.changes] == [
            dataclasses.replace(change, source=None) for change in plan.changes
        ]
        assert again.summary == plan.summary
        cold = self.planned(dataclasses.replace(options, verify="always"))
        assert self.shown(cold) == self.shown(plan), "with the ledger and without it the same is found"

    @rule(selection=selections, prune=st.booleans(), jobs=st.sampled_from([1, 2, 8]))
    def apply(self, selection, prune, jobs):
        before, images = self.held(), self.images()
        expected = self.expected(selection, prune)
        options = Options(selection=selection, guards=ANYTHING, prune=prune, jobs=jobs)
        with self.site.client() as client, self.site.open_ledger() as ledger:
            connection = self.site.connection(client, ledger)
            plan = make_plan(self.manifest(), connection, options)
            assert self.shown(plan) == expected
            outcomes = apply_plan(plan, connection, jobs=jobs)
        hidden = {name for name, held in before.items() if held.hidden}
        for outcome in outcomes:
            assert outcome.status == ("skipped" if outcome.change.name in hidden else "verified"), outcome
        after = self.held()
        changed = {change[0] for change in expected} - hidden
        for name in {*before, *after} - changed:
            assert after.get(name) == before.get(name), "what was not planned is not touched"
        assert all(name in FOREIGN or name in NAMES + ORPHANS for name in after)
        assert {name for name in before if name in FOREIGN} <= after.keys(), "nothing outside the scope is deleted"
        deleted = {name for name, action, _ in expected if action == "delete"}
        assert before.keys() - after.keys() == deleted
        assert not (deleted and (selection.is_partial or not prune))
        uploads = sum(plan.change.uploads for plan in outcomes if plan.change.name not in hidden)
        assert self.images() - images == uploads, "each upload was needed, and needed once"
        left = self.planned(options)
        assert {change.name for change in left.changes} <= hidden, "after an apply there is nothing to do"

    @precondition(lambda self: hasattr(self, "site") and not self.site.entries)
    @rule()
    def prune_with_an_empty_manifest(self):
        before = self.state()
        with self.site.client() as client, self.site.open_ledger() as ledger:
            connection = self.site.connection(client, ledger)
            plan = make_plan(self.manifest(), connection, Options(prune=True))
            if plan.orphans:
                with pytest.raises(PlanRefused):
                    apply_plan(plan, connection)
        assert self.state() == before

    @invariant()
    def every_content_is_whole(self):
        if hasattr(self, "site"):
            known = {sha256(content) for content in CONTENTS}
            assert all(held.digest in known for held in self.held().values())

    # How it is looked at, without mmsync.

    def held(self):
        found = {}
        for name in NAMES + ORPHANS + FOREIGN:
            detail = self.view.detail(name)
            if detail:
                image = detail["image"]["id"]
                if image not in self.digests:
                    self.digests[image] = sha256((self.server.folder / "server" / "images" / str(image)).read_bytes())
                identity = (detail["id"], image, detail["updateDate"])
                found[name] = Held(
                    detail["engine"], detail["description"] or "", self.digests[image], detail["hidden"], identity
                )
        return found

    def images(self):
        return len(list((self.server.folder / "server" / "images").iterdir()))

    def state(self):
        return self.held(), self.images()

    def manifest(self):
        return read_manifest([str(self.site.save())])

    def planned(self, options, *, shuffled=False):
        if shuffled:
            entries = list(self.site.entries.items())
            random.Random(len(entries)).shuffle(entries)
            self.site.entries = dict(reversed(entries))
        with self.site.client() as client, self.site.open_ledger() as ledger:
            connection = self.site.connection(client, ledger)
            models = client.get_models()
            manifest = self.manifest()
            # Files just written are looked at anew; seen from later on, the ledger's digests count.
            now = time.time_ns() + (10_000_000_000 if len(models) % 2 else 0)
            cold = make_plan(manifest, connection, options, models=models, now_ns=now)
            warm = make_plan(manifest, connection, options, models=models[::-1])
            warmer = make_plan(manifest, connection, options, models=models)
        assert dump(plan_document(warm, version="1")) == dump(plan_document(warmer, version="1"))
        assert plan_digest(cold) == plan_digest(warm), "how the content is known makes no difference"
        return warm

    @staticmethod
    def shown(plan):
        return {(change.name, change.action, change.reasons) for change in plan.changes}

    def expected(self, selection, prune):
        """Work out from files and server what is to be done."""
        found = set()
        held = {name: held for name, held in self.held().items() if not held.hidden}
        for name, entry in self.site.entries.items():
            if name not in selection:
                continue
            if name not in held:
                found.add((name, "add", ()))
                continue
            differs = {
                "engine": held[name].engine != entry["engine"],
                "content": held[name].digest != sha256((self.site.folder / entry["file"]).read_bytes()),
                "description": entry.get("description") not in (None, held[name].description),
            }
            reasons = tuple(reason for reason, differing in differs.items() if differing)
            if reasons:
                found.add((name, "change", reasons))
        if prune and not selection.is_partial:
            owned = [name for name in held if name.startswith("in_")]
            found |= {(name, "delete", ()) for name in owned if name not in self.site.entries}
        return found


Histories.TestCase.settings = settings(
    max_examples=250 if LONG else 20,
    stateful_step_count=25 if LONG else 14,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    database=None,
)
TestHistories = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)(pytest.mark.timeout(3600 if LONG else 180)(Histories.TestCase))
