"""The planner as behaviour: what it calls a difference, what it never touches, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from mmsync.errors import FileError
from mmsync.plan import Guards, Scope, Selection, Situation, compare, plan_digest
from mmsync.types import Content, Desired, Evidence, FileKey, Observed, ServerName, Source

if TYPE_CHECKING:
    import random

SERVER = ServerName("https://models.example")
KEY = FileKey(1, 2, 3, 4, 5)


def wanted(name="m", engine="ONNX", description=None, sha256=None, line=3):
    return Desired(
        name, engine, f"{name}.onnx", f"{name}.onnx", description, sha256, False, Source("models.yaml", line)
    )


def content(byte="a", size=10):
    return Content(byte * 64, size, KEY)


def there(name="m", engine="ONNX", description="", image_id=7):
    return Observed(name, 1, engine, description, image_id, 1000, 2000)


def situation(desired=(), observed=(), evidence=None, contents=None, **rest):
    return Situation(
        SERVER,
        ("models.yaml",),
        desired,
        {model.name: content() for model in desired} if contents is None else contents,
        {row.name: row for row in observed},
        evidence or {},
        **rest,
    )


def renames(plan):
    return {change.name: change.renamed_from for change in plan.changes if change.renamed_from}


def test_an_add_with_the_content_of_an_orphan_is_a_rename():
    known = {"old": ("a" * 64, 10), "other": ("b" * 64, 10)}
    found = situation([wanted("new")], [there("old"), there("other")], scope=Scope(["*"]), known=known)
    plan = compare(found)
    assert renames(plan) == {"new": "old"}
    pruned = compare(found, prune=True)
    assert renames(pruned) == {"new": "old"}
    deleted = {change.name: (change.before.sha256, change.before.size) for change in pruned.changes if change.before}
    assert deleted == known
    # What would be written is the same, so that a machine without a ledger gets the same digest.
    assert plan_digest(plan) == plan_digest(compare(found._replace(known={})))
    assert plan_digest(pruned) == plan_digest(compare(found._replace(known={}), prune=True))


def test_without_a_scope_a_rename_is_seen_as_well_and_nothing_is_an_orphan():
    plan = compare(situation([wanted("new")], [there("old")], known={"old": ("a" * 64, 10)}))
    assert renames(plan) == {"new": "old"}
    assert (plan.orphans, plan.unmanaged, plan.has_scope) == ((), 1, False)


@pytest.mark.parametrize("is_remembered", [True, False])
def test_a_new_ledger_cannot_tell_what_was_protected_and_says_so_of_deletes(is_remembered):
    found = situation([wanted()], [there(), there("old")], {"m": SAME}, scope=Scope(["*"]), is_remembered=is_remembered)
    told = [each.severity for each in compare(found, prune=True).diagnostics if each.code == "plan/new-ledger"]
    assert told == ["warning"] * (not is_remembered)
    assert not [each for each in compare(found).diagnostics if each.code == "plan/new-ledger"]
    nothing_goes = found._replace(observed={"m": there()})
    assert not [each for each in compare(nothing_goes, prune=True).diagnostics if each.code == "plan/new-ledger"]


@pytest.mark.parametrize(
    ("names", "known", "scope"),
    [
        (["new"], {"old": ("b" * 64, 10)}, ["*"]),  # another content
        (["new"], {}, ["*"]),  # unknown
        (["new"], {"old": ("a" * 64, 10)}, ["n*"]),  # another's
        (["new", "twin"], {"old": ("a" * 64, 10)}, ["*"]),  # which of them?
        (["new"], {"old": ("a" * 64, 10), "older": ("a" * 64, 10)}, ["*"]),  # from which?
        (["old"], {"old": ("a" * 64, 10)}, ["*"]),  # its own
    ],
)
def test_what_is_not_surely_a_rename_is_none(names, known, scope):
    rows = [there("old"), there("older")]
    evidence = {"old": SAME}
    found = situation(list(map(wanted, names)), rows, evidence, scope=Scope(scope), known=known)
    assert renames(compare(found)) == {}


SAME = Evidence("same", "ledger", "a" * 64, 10)
DIFFERENT = Evidence("different", "ledger", "b" * 64, 12)


def test_a_model_the_server_lacks_is_added():
    plan = compare(situation([wanted()]))
    (change,) = plan.changes
    assert (change.action, change.reasons, change.before) == ("add", (), None)
    assert plan.summary.add == 1
    assert plan.summary.upload_bytes == 10


def test_a_model_that_is_as_listed_is_left_alone():
    plan = compare(situation([wanted()], [there()], {"m": SAME}))
    assert plan.changes == ()
    assert plan.summary.unchanged == 1
    assert plan.summary.upload_bytes == 0


@pytest.mark.parametrize(
    ("model", "row", "evidence", "reasons"),
    [
        (wanted(engine="H2O"), there(), SAME, ("engine",)),
        (wanted(), there(), DIFFERENT, ("content",)),
        (wanted(description="new"), there(description="old"), SAME, ("description",)),
        (wanted(engine="H2O", description="new"), there(), DIFFERENT, ("engine", "content", "description")),
        (wanted(description=""), there(description="old"), SAME, ("description",)),
    ],
)
def test_each_difference_is_a_reason(model, row, evidence, reasons):
    (change,) = compare(situation([model], [row], {"m": evidence})).changes
    assert change.action == "change"
    assert change.reasons == reasons


@pytest.mark.parametrize(
    ("model", "row"),
    [
        (wanted(description=None), there(description="whatever")),
        (wanted(description=""), there(description=None)),
        (wanted(), there(engine=None)),
    ],
)
def test_what_is_not_asked_for_or_not_said_is_no_difference(model, row):
    assert compare(situation([model], [row], {"m": SAME})).changes == ()


def test_only_a_change_of_description_uploads_nothing():
    (change,) = compare(situation([wanted(description="new")], [there()], {"m": SAME})).changes
    assert not change.uploads
    assert compare(situation([wanted(description="new")], [there()], {"m": SAME})).summary.upload_bytes == 0


def test_unknown_content_is_said_and_is_no_reason():
    plan = compare(situation([wanted()], [there()], {"m": Evidence("unknown", "none", why="the server said 500")}))
    assert plan.changes == ()
    assert plan.unknown == ("m",)
    assert plan.has_errors
    assert "500" in plan.diagnostics[0].summary


def test_not_looking_is_a_warning_not_a_failure():
    plan = compare(situation([wanted()], [there()], {"m": Evidence("unknown", "size")}))
    assert plan.unknown == ("m",)
    assert not plan.has_errors


def test_a_pin_that_does_not_match_blocks_its_model_and_no_other():
    models = [wanted("a", sha256="b" * 64), wanted("z")]
    plan = compare(situation(models))
    assert plan.blocked == ("a",)
    assert [change.name for change in plan.changes] == ["z"]
    assert plan.has_errors
    assert plan.diagnostics[0].source == Source("models.yaml", 3)


def test_a_file_that_cannot_be_read_blocks_its_model():
    fault = FileError("m.onnx", "permission denied", "make it readable")
    plan = compare(situation([wanted()], contents={"m": fault}))
    assert plan.blocked == ("m",)
    assert "permission denied" in plan.diagnostics[0].summary
    assert plan.diagnostics[0].detail == "make it readable"


def test_a_name_the_server_lists_twice_is_blocked():
    plan = compare(situation([wanted()], ambiguous=frozenset({"m"})))
    assert plan.blocked == ("m",)
    assert plan.changes == ()


def test_others_models_are_counted_and_never_touched():
    rows = [there("m"), there("fraud_old"), there("somebody_elses")]
    plan = compare(situation([wanted()], rows, {"m": SAME}, scope=Scope(("fraud_*", "m"))), prune=True)
    assert [(change.action, change.name) for change in plan.changes] == [("delete", "fraud_old")]
    assert plan.unmanaged == 1
    assert plan.orphans == ("fraud_old",)


def test_without_prune_orphans_are_only_listed():
    plan = compare(situation([wanted()], [there("x")], scope=Scope(("*",))))
    assert plan.orphans == ("x",)
    assert all(change.action != "delete" for change in plan.changes)


def test_without_a_scope_nothing_is_owned():
    plan = compare(situation([wanted()], [there("x")]), prune=True)
    assert (plan.orphans, plan.unmanaged) == ((), 1)


@pytest.mark.parametrize(
    ("guards", "rows", "models", "code"),
    [
        (Guards(), 1, 0, "guard/empty"),
        (Guards(allow_empty=True), 6, 0, "guard/max-delete"),
        (Guards(), 6, 20, "guard/max-delete"),
        (Guards(max_delete=99), 6, 10, "guard/max-delete-percent"),
    ],
)
def test_guards_refuse_and_name_their_flag(guards, rows, models, code):
    listed = [wanted(f"m{n}") for n in range(models)]
    gone = [there(f"gone{n}") for n in range(rows)]
    kept = [there(model.name) for model in listed]
    evidence = {model.name: SAME for model in listed}
    plan = compare(situation(listed, [*gone, *kept], evidence, scope=Scope(("*",))), guards=guards, prune=True)
    assert code in [refusal.code for refusal in plan.refusals]
    (refusal,) = [refusal for refusal in plan.refusals if refusal.code == code]
    flag = {"guard/empty": "--allow-empty", "guard/max-delete": "--max-delete 6"}.get(code, "--max-delete-percent 38")
    assert flag in refusal.detail


def test_the_flag_a_guard_names_lifts_it_and_it_alone():
    listed = [wanted(f"m{n}") for n in range(10)]
    rows = [there(f"gone{n}") for n in range(6)] + [there(model.name) for model in listed]
    scene = situation(listed, rows, {model.name: SAME for model in listed}, scope=Scope(("*",)))
    both = compare(scene, prune=True)
    assert [refusal.code for refusal in both.refusals] == ["guard/max-delete", "guard/max-delete-percent"]
    one = compare(scene, guards=Guards(max_delete=6), prune=True)
    assert [refusal.code for refusal in one.refusals] == ["guard/max-delete-percent"]
    none = compare(scene, guards=Guards(max_delete=6, max_delete_percent=38), prune=True)
    assert none.refusals == ()
    assert none.summary.delete == 6


@pytest.mark.parametrize(
    "selection", [Selection(target=("m*",)), Selection(exclude=("q",)), Selection(shard=(1, 1))], ids=str
)
def test_a_partial_run_never_prunes(selection):
    plan = compare(situation([wanted()], [there("mx")], scope=Scope(("*",))), selection=selection, prune=True)
    assert all(change.action != "delete" for change in plan.changes)
    assert any(note.code == "guard/partial" for note in plan.diagnostics)


@given(st.lists(st.text(min_size=1), unique=True, max_size=40), st.integers(1, 7))
def test_shards_are_disjoint_and_cover_all(names, count):
    shards = [{name for name in names if name in Selection(shard=(index, count))} for index in range(1, count + 1)]
    assert sum(len(shard) for shard in shards) == len(names)
    assert set().union(*shards) == set(names)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
MODELS = st.dictionaries(
    NAMES, st.tuples(st.sampled_from(["ONNX", "H2O"]), st.sampled_from([None, "", "x", "y"])), max_size=12
)


@given(MODELS, MODELS, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_manifest_and_list_is_irrelevant(listed, held, chance: random.Random, prune):
    desired = [wanted(name, engine, description) for name, (engine, description) in listed.items()]
    rows = [there(name, engine, description) for name, (engine, description) in held.items()]
    evidence = {name: SAME if len(name) % 2 else DIFFERENT for name in held}
    one = compare(situation(desired, rows, evidence, scope=Scope(("*",))), prune=prune)
    chance.shuffle(desired)
    chance.shuffle(rows)
    two = compare(situation(desired, rows, evidence, scope=Scope(("*",))), prune=prune)
    assert one == two
    assert plan_digest(one) == plan_digest(two)


@given(MODELS)
def test_a_world_that_is_as_listed_has_an_empty_plan(listed):
    desired = [wanted(name, engine, description) for name, (engine, description) in listed.items()]
    rows = [there(name, engine, description or "") for name, (engine, description) in listed.items()]
    plan = compare(situation(desired, rows, dict.fromkeys(listed, SAME), scope=Scope(("*",))), prune=True)
    assert plan.changes == ()
    assert plan.summary.unchanged == len(listed)


@given(MODELS, MODELS, st.lists(st.sampled_from(["a*", "?", "*b*"]), max_size=2))
def test_nothing_outside_the_scope_is_ever_deleted(listed, held, globs):
    scope = Scope(tuple(globs))
    desired = [wanted(name) for name in listed]
    rows = [there(name) for name in held]
    plan = compare(
        situation(desired, rows, dict.fromkeys(held, SAME), scope=scope),
        guards=Guards(max_delete=99, max_delete_percent=100, allow_empty=True),
        prune=True,
    )
    deleted = {change.name for change in plan.changes if change.action == "delete"}
    assert deleted == {name for name in held if name not in listed and name in scope}


def test_an_orphan_the_server_lists_twice_is_told_and_never_deleted():
    state = situation([wanted()], [there(), there("gone")], {"m": SAME}, ambiguous=frozenset({"twice", "alien"}))
    state = state._replace(scope=Scope(("m", "gone", "twice")))
    plan = compare(state)
    assert (plan.orphans, plan.unmanaged, plan.has_errors) == (("gone", "twice"), 1, False)
    plan = compare(state, prune=True)
    assert [change.name for change in plan.changes] == ["gone"]
    assert plan.has_errors
    assert [note.code for note in plan.diagnostics if note.model == "twice"] == ["server/ambiguous"]


def selection_warnings(*names, **selection):
    plan = compare(situation([wanted(name) for name in names]), selection=Selection(**selection))
    assert not plan.has_errors
    return [note.summary for note in plan.diagnostics if note.code == "plan/selection" and note.severity == "warning"]


@pytest.mark.parametrize("names", [("a", "b"), ()])
def test_without_a_selection_nothing_is_missed(names):
    assert selection_warnings(*names) == []


def test_each_target_that_matches_nothing_listed_is_named():
    assert selection_warnings("a", "b", target=("x*", "a", "[yz]", "x*")) == [
        "no listed model matches --target '[yz]'",
        "no listed model matches --target 'x*'",
    ]


@pytest.mark.parametrize(
    "selection", [{"exclude": ("*",)}, {"target": ("a",), "exclude": ("a",)}, {"target": ("a",), "shard": (2, 2)}]
)
def test_a_selection_that_leaves_nothing_is_named(selection):
    other = {**selection, "shard": (1, 2)} if "shard" in selection else {"target": ("b",)}
    told = [selection_warnings("a", "b", **each) for each in (selection, other)]
    assert ["no listed model is selected"] in told
    assert [] in told
