"""How mmsync knows what the server holds, also where the server says less than it should."""

from __future__ import annotations

import mmap

import pytest

from mmsync.apply import Downloads
from mmsync.errors import PlanRefused
from mmsync.plan import plan_digest
from mmsync.reconcile import Options
from mmsync.types import ServerName
from support.applying import json_bytes, sha256
from support.fault_proxy import Answer, html, reset, rewritten, status, truncated, without

LESS = {
    "no image id in the list": {"list": without("imageId")},
    "no dates": {"list": without("creationDate", "updateDate"), "detail": without("creationDate", "updateDate")},
    "no size": {"detail": without("size")},
    "no fields": {"detail": without("fields", "outputType"), "upload": without("fields", "outputType")},
    "no image in the detail": {"detail": without("image"), "bytes": without("image.id", "image.size")},
    "no image id anywhere": {
        "list": without("imageId"),
        "detail": without("image.id"),
        "bytes": without("image.id"),
    },
    "no review but a verdict": {"upload": without("category", "runtimeSize", "fields", "clusters", "fileName")},
    "hardly anything": {
        "list": without("imageId", "creationDate", "updateDate", "description", "outputType", "parentId"),
        "detail": without("creationDate", "updateDate", "fields", "clusters", "image.size", "hidden"),
    },
    "nulls": {
        "list": lambda rows: [
            {key: value if key in ("id", "name", "engine") else None for key, value in row.items()} for row in rows
        ],
        "detail": lambda found: {
            key: value if key in ("id", "name", "engine", "image") else None for key, value in found.items()
        },
    },
}


def less(proxy, what):
    proxy.clear()
    for kind, change in LESS[what].items():
        proxy.on(kind, rewritten(change))


@pytest.mark.parametrize("what", LESS)
def test_a_server_that_says_less_is_planned_applied_and_watched_all_the_same(site, proxy, view, what):
    site.models(3)
    less(proxy, what)
    assert {outcome.status for outcome in site.apply()} <= {"verified", "applied"}
    assert view.digests() == site.digests()
    assert not site.plan().changes
    site.ledger.unlink()
    assert not site.plan().changes
    site.model("m001", json_bytes("new"))
    (change,) = site.plan().changes
    assert (change.name, change.reasons) == ("m001", ("content",))
    assert {outcome.status for outcome in site.apply()} <= {"verified", "applied"}
    assert view.digests() == site.digests()
    view.put("m002", b'{"tag": "X"' + json_bytes(2)[11:])
    assert view.digest("m002") != site.digests()["m002"]
    for keep in (True, False):
        if not keep:
            site.ledger.unlink()
        (change,) = site.plan().changes
        assert (change.name, change.reasons) == ("m002", ("content",))
    site.apply()
    assert view.digests() == site.digests()
    assert view.names() == sorted(site.entries)


@pytest.mark.parametrize("left_out", [("description",), ("engine",), ("id", "engine", "description", "imageId")])
def test_what_the_list_leaves_out_is_read_from_the_details(site, proxy, view, left_out):
    site.model("m000", json_bytes(0), description="wanted")
    site.model("m001", json_bytes(1))
    proxy.on("list", rewritten(without(*left_out)))
    assert {outcome.status for outcome in site.apply()} == {"verified"}
    proxy.exchanges.clear()
    assert not site.plan().changes
    assert proxy.count("bytes") == 0
    view.edit("m000", description="theirs", engine="IDA")
    (change,) = site.plan().changes
    assert change.reasons == ("engine", "description")
    assert change.before.description == "theirs"
    assert {outcome.status for outcome in site.apply()} == {"verified"}
    assert not site.plan().changes


def test_a_plan_is_the_same_with_and_without_a_ledger_where_the_list_leaves_texts_out(site, proxy, view):
    site.model("m000", json_bytes(0))
    view.put("m000", json_bytes("theirs", 50), description="theirs")
    proxy.on("list", rewritten(without("description")))
    site.plan()
    cold = plan_digest(site.plan())
    site.model("m000", json_bytes("theirs", 50))
    site.plan()  # downloads, and remembers
    site.model("m000", json_bytes(0))
    made = site.plan()
    assert made.changes[0].evidence == "ledger"
    assert plan_digest(made) == cold


def test_a_warm_ledger_makes_a_plan_one_request(site, proxy):
    site.models(20)
    site.apply()
    proxy.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in proxy.exchanges] == ["list"]


def test_a_cold_one_downloads_once_and_remembers(site, proxy):
    site.models(5)
    site.apply()
    site.ledger.unlink()
    proxy.clear()
    assert not site.plan().changes
    assert proxy.count("bytes") == 5
    proxy.clear()
    assert not site.plan().changes
    assert [exchange.kind for exchange in proxy.exchanges] == ["list"]


def test_another_size_settles_it_without_a_download(site, proxy, view):
    site.models(3)
    site.apply()
    view.put("m001", json_bytes("a longer one", 100))
    proxy.clear()
    (change,) = site.plan().changes
    assert (change.name, change.evidence, change.reasons) == ("m001", "size", ("content",))
    assert not proxy.seen("bytes")


def test_never_downloads_nothing_and_says_unknown(site, proxy):
    site.models(2)
    site.apply()
    site.ledger.unlink()
    proxy.clear()
    plan = site.plan(Options(verify="never"))
    assert plan.unknown == ("m000", "m001")
    assert not plan.changes
    assert not plan.has_errors
    assert not proxy.seen("bytes")


def test_always_does_not_believe_the_ledger(site, proxy):
    site.models(2)
    site.apply()
    proxy.clear()
    plan = site.plan(Options(verify="always"))
    assert not plan.changes
    assert proxy.count("bytes") == 2


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("detail", status(500, {"msg": "broken"})),
        ("detail", html()),
        ("bytes", status(500, {"msg": "broken"})),
        ("bytes", truncated()),
        ("bytes", reset()),
        ("bytes", lambda exchange: exchange.answer(Answer(200, [], b'{"image": {"image": "!!!!"}}'))),
        ("bytes", rewritten(lambda found: {**found, "image": {**found["image"], "image": ""}})),
        ("bytes", rewritten(lambda found: {**found, "image": {**found["image"], "image": "AAAA"}})),
    ],
)
def test_what_cannot_be_found_out_is_unknown_and_left_alone(site, proxy, view, kind, fault):
    site.models(3)
    site.apply()
    site.ledger.unlink()
    proxy.on(kind, fault, name="m001")
    plan = site.plan()
    assert plan.unknown == ("m001",)
    assert not plan.changes
    assert plan.has_errors
    assert "m001" in " ".join(note.summary for note in plan.diagnostics)
    proxy.clear()
    assert not site.plan().changes


def test_a_description_is_changed_although_the_content_is_unknown(site, proxy, view):
    site.model("m", json_bytes("m"), description="old")
    site.apply()
    site.ledger.unlink()
    site.entries["m"]["description"] = "new"
    (outcome,) = site.apply(Options(verify="never"))
    assert outcome.status == "verified"
    assert view.detail("m")["description"] == "new"
    assert view.digest("m") == sha256(json_bytes("m"))


def test_an_engine_is_changed_although_the_content_is_unknown(site, view):
    """The file is what the manifest wants in any case."""
    site.model("m", json_bytes("m"))
    site.apply()
    site.ledger.unlink()
    site.entries["m"]["engine"] = "WORKFLOWS"
    site.apply(Options(verify="never"))
    assert view.detail("m")["engine"] in ("BIGML", "WORKFLOWS")
    assert not site.plan(Options(verify="auto")).changes or site.apply()
    assert view.detail("m")["engine"] == "WORKFLOWS"


def test_content_replaced_between_list_and_download_is_not_remembered_for_the_old_image(site, proxy, view):
    site.model("m", json_bytes(1))
    site.apply()
    site.ledger.unlink()
    other = json_bytes(2)

    def meanwhile(exchange):
        view.put("m", other)
        exchange.answer(exchange.forward())

    proxy.on("bytes", meanwhile, times=1)
    site.plan()
    (change,) = site.plan().changes
    assert change.reasons == ("content",)
    view.put("m", json_bytes(1))
    assert not site.plan().changes


def test_bytes_without_an_image_id_are_not_remembered_for_an_image_they_may_not_be(site, proxy, view):
    """The detail names no image: a replacement between list and download would go unseen."""
    site.model("m", json_bytes(1))
    view.put("m", json_bytes(2))
    proxy.on("detail", rewritten(without("image.id")))

    def without_id(exchange):
        before = view.detail("m")
        view.put("m", json_bytes(1))
        exchange.forward()
        rewritten(without("image.id"))(exchange)
        assert before["image"]["id"] != view.detail("m")["image"]["id"]

    proxy.on("bytes", without_id, times=1)
    proxy.on("bytes", rewritten(without("image.id")))
    site.plan()
    row = view.rows()[0]
    with site.open_ledger() as ledger:
        held = ledger.images(ServerName("http://tests"))
    assert all(key[2] == str(row["imageId"]) for key in held), "nothing is remembered for the image that went"


def test_a_model_deleted_while_the_plan_is_made_is_unknown_and_not_invented(site, proxy, view):
    site.models(2)
    site.apply()
    site.ledger.unlink()

    def meanwhile(exchange):
        view.delete("m001")
        exchange.answer(exchange.forward())

    proxy.on("detail", meanwhile, name="m001", times=1)
    plan = site.plan()
    assert plan.unknown == ("m001",)
    assert [change.action for change in site.plan().changes] == ["add"]


def test_a_name_the_server_lists_twice_is_left_alone(site, proxy, view):
    site.models(3)
    site.apply()
    site.model("m001", json_bytes("new"))
    proxy.on("list", rewritten(lambda rows: [*rows, *({**row, "id": 99} for row in rows if row["name"] == "m001")]))
    plan = site.plan()
    assert plan.blocked == ("m001",)
    assert plan.has_errors
    assert not plan.changes


@pytest.mark.parametrize(
    "rows", [{}, {"models": []}, "text", 3, [1], [None], [[]], [{}], [{"id": 3, "name": None}], [{"name": 5}]]
)
def test_a_list_of_another_shape_is_an_error_and_never_an_empty_server(site, proxy, view, rows):
    site.models(2)
    site.apply()
    proxy.on("list", rewritten(lambda _: rows))
    done = site.run("apply")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ")
    assert proxy.count("upload") == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "7"},
        {"id": 1.5},
        {"id": True},
        {"id": {"a": 1}},
        {"imageId": "abc"},
        {"imageId": [1]},
        {"creationDate": "2024-01-01"},
        {"updateDate": {}},
        {"description": 5},
        {"description": ["x"]},
        {"engine": 7},
        {"name": ""},
    ],
)
def test_fields_of_types_nobody_promised_break_nothing(site, proxy, view, odd):
    site.models(2)
    site.apply()
    site.model("m000", json_bytes("new"))
    proxy.clear()
    proxy.on("list", rewritten(lambda rows: [{**row, **(odd if row["name"] == "m001" else {})} for row in rows]))
    plan = site.plan()
    assert "m000" in [change.name for change in plan.changes]
    try:
        outcomes = site.apply()
    except PlanRefused:
        pytest.fail("no guard is concerned")
    assert next(outcome for outcome in outcomes if outcome.change.name == "m000").ok
    assert view.names() == ["m000", "m001"]
    assert view.digests() == site.digests()


ODD_DETAILS = [
    {"image": None},
    {"image": []},
    {"image": "text"},
    {"image": {"id": [1], "size": "big"}},
    {"image": {"id": None, "size": -1}},
    {"fields": "none"},
    {"fields": [None, 5, {"name": 3}]},
    {"description": {"a": 1}},
    {"updateDate": "yesterday"},
]


@pytest.mark.parametrize("odd", ODD_DETAILS)
def test_details_of_types_nobody_promised_are_one_models_trouble(site, proxy, view, odd):
    site.models(3)
    site.apply()
    site.ledger.unlink()
    site.model("m000", json_bytes("new"))
    site.model("m001", json_bytes("newer"))
    proxy.on("detail", rewritten(lambda found: {**found, **odd}), name="m001")
    plan = site.plan()
    assert "m000" in [change.name for change in plan.changes]
    outcomes = site.apply()
    assert next(outcome for outcome in outcomes if outcome.change.name == "m000").ok
    assert not [outcome for outcome in outcomes if outcome.code == "internal"], outcomes
    assert view.names() == ["m000", "m001", "m002"]
    assert view.digest("m001") in (sha256(json_bytes(1)), site.digests()["m001"])


@pytest.mark.parametrize("odd", [[], "x", 5, {}, {"valid": True}, {"valid": "yes", "imageId": None}, {"valid": None}])
def test_a_review_of_another_shape_is_one_models_failure(site, proxy, view, odd):
    site.models(3)
    proxy.on("upload", rewritten(lambda _: odd), name="m001.json")
    outcomes = site.apply()
    assert [outcome.status for outcome in outcomes] == ["verified", "failed", "verified"]
    assert outcomes[1].code != "internal", outcomes[1].message
    assert view.names() == ["m000", "m002"]
    assert not proxy.count("save", name="m001")  # without the image's id the model would have no bytes


def test_a_file_written_through_a_memory_map_is_seen_where_everything_is_verified(site, proxy):
    """Writes to a page that is dirty already move no stamp, so the digest remembered is believed."""
    file = site.model("m", json_bytes("planned"))
    later = file.stat().st_mtime_ns + 60_000_000_000
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        mapped[9:16] = b"mapped1"
        site.apply()
        before = file.stat()
        assert not site.plan(now_ns=later).changes
        mapped[9:16] = b"mapped2"
        after = file.stat()
        if (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
            pytest.skip("this file system stamps every write")
        assert not site.plan(now_ns=later).changes, "nothing shows it"
        (change,) = site.plan(Options(verify="always"), now_ns=later).changes
        assert change.after.sha256 == sha256(file.read_bytes())
        assert site.plan(now_ns=later).changes, "what was read is remembered"


def test_what_a_cold_plan_downloads_is_said_before_it_begins(site, proxy):
    site.models(3, size=1000)
    site.model("other", json_bytes("other"))
    site.apply()
    site.model("other", json_bytes("of another size"))
    site.ledger.unlink()
    told = []

    def on_event(event):
        if isinstance(event, Downloads):
            told.append((event, proxy.count("bytes")))

    site.plan(on_event=on_event)
    total = sum((site.folder / f"m00{n}.json").stat().st_size for n in range(3))
    assert told == [(Downloads(3, total), 0)]
    told.clear()
    site.plan(on_event=on_event)
    assert told == []
    site.ledger.unlink()
    done = site.run("plan")
    assert "Downloading 3 models (3.1 kB) of the size of their files" in done.stderr
    assert "--verify never" in done.stderr
    assert "Downloading" not in done.stdout
    site.ledger.unlink()
    assert site.run("plan", "--quiet").stderr == ""
    site.ledger.unlink()
    assert "Downloading" not in site.run("plan", "--verify", "never").stderr
