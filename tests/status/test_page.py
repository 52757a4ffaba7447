"""The page as a document: what stands on it, in which order, and that texts are texts."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from mmsync.status import STATE_ORDER, ChangeRecord, ConditionStatus, Reconcile
from mmsync.status.page import Query, assets, render_page
from mmsync.types import Diagnostic, Source
from support.sample_status import HOSTILE, NOW, hostile, many, wrong

_VOID = {"meta", "link", "input"}


class Document(HTMLParser):
    """The elements and the texts, in order; fails where an element is left open."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words, self.rows = [], [], [], []
        self._is_row = False
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._is_row = self._is_row or ("scope", "row") in attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self._is_row and self.open[-1] == "bdi":
            self.rows.append(data)
            self._is_row = False
        if data.strip():
            self.words.append(" ".join(data.split()))

    def of(self, tag, **attributes):
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


def page(status, now=NOW, **query):
    return Document(render_page(status, Query.parse(query), now))


def test_what_stands_on_it_in_this_order():
    text = " ".join(page(wrong()).words)
    expected = [
        "Something needs you: the server cannot be worked with. Last known: 1 of 6 models in sync: 1 failed, 1 blocked,",
        "All was last found or made as listed 1 h ago .",
        "A reconcile is under way since just now : 3 of 12 changes done.",
        "What needs you",
        "https://models.example: connection refused",
        "check the network",
        "network, since 4 min ago",
        "login_risk was changed on the server",
        "Models",
        "all 7",
        "failed 1",
        "unmanaged 1",
        "7 models",
        "History",
        "failed the server did not answer in 1 min 0 s",
        "incomplete 1 added, 1 not done; 4 unchanged",
        "change login_odds (content): failed (refused); the server said no",
        "and 3 more changes",
        "What the manifest and the plan say",
        "models.yaml:4:5 error a model has no key 'engin'",
        "did you mean engine?",
        "To know",
        "inside scope and listed by nothing: old_thing",
        "mmsync 1.2.3",
    ]
    at = -1
    for words in expected:
        before, at = at, text.find(words, at + 1)
        assert at > before, (words, text)


def test_what_is_well_says_so_first():
    assert page(many(3)).words[0] == "All is well: all 3 models are in sync. – mmsync"
    assert "All is well: all 3 models are in sync." in page(many(3)).words
    assert (
        "Starting: 3 models listed, nothing compared with the server yet."
        in page(replace(many(3), health="starting")).words
    )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["fraud_score", "login_odds", "login_risk", "login_profile", "new_one", "domain_dga", "old_thing"]),
        ({"state": "failed"}, ["fraud_score"]),
        ({"q": "LOGIN"}, ["login_odds", "login_risk", "login_profile"]),
        ({"q": "catb"}, ["login_risk"]),
        ({"order": "name"}, ["domain_dga", "fraud_score", "login_odds", "login_profile", "login_risk", "new_one", "old_thing"]),
        ({"order": "-size"}, ["login_odds", "login_risk", "domain_dga", "login_profile", "fraud_score", "new_one", "old_thing"]),
        ({"order": "size"}, ["login_profile", "domain_dga", "login_risk", "login_odds", "fraud_score", "new_one", "old_thing"]),
        ({"order": "-synced", "q": "o"}, ["domain_dga", "login_odds", "login_risk", "fraud_score", "login_profile", "new_one", "old_thing"]),
        ({"state": "no such", "order": "no such", "page": "no such"}, None),
        ({"page": "99999999999999999999"}, None),
        ({"page": "-1"}, None),
    ],
)  # fmt: skip
def test_models_are_found_and_ordered(query, names):
    found = page(wrong(), **query).rows
    if names is None:
        names = page(wrong()).rows
    assert found == names


def test_pages():
    first = page(many(250))
    assert len(first.rows) == 100
    assert "250 models, 1 to 100 shown" in first.words
    assert first.of("a", rel="next") == [{"id": "next", "rel": "next", "href": "?page=2"}]
    last = page(many(250), page="3")
    assert len(last.rows) == 50
    assert not last.of("a", rel="next")
    assert page(many(250), page="77").rows == last.rows


def test_headings_tell_how_the_table_is_ordered_and_turn_it():
    [heading] = page(wrong(), order="-size").of("th", scope="col", **{"aria-sort": "descending"})
    assert heading
    assert page(wrong(), order="-size", state="synced").of("a", id="by-size")[0]["href"] == "?state=synced&order=size"
    assert page(wrong()).of("a", id="by-size")[0]["href"] == "?order=-size"


@pytest.mark.parametrize("query", [{}, {"q": HOSTILE}, {"state": HOSTILE, "order": HOSTILE}, {"state": "failed"}])
def test_hostile_texts_are_texts(query):
    text = render_page(hostile(), Query.parse(query), NOW)
    document = Document(text)
    assert len(document.of("script")) == 1
    assert document.of("script")[0] == {"src": "assets/status.js", "defer": None}
    assert len(document.of("title")) == 1
    for tag, attributes in document.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        for name in ("href", "src", "action"):
            assert re.match(r"\?|#|assets/|api/status$|metrics$", attributes.get(name, "#")), attributes
    assert not set(text) & {"\u202e", "\x1b", "\x00"}
    assert "{{ 7 * 7 }}" in text
    assert "{{ 7 * 7 }}49" not in text
    assert len(text) < 120_000


@given(st.dictionaries(st.sampled_from(["state", "q", "order", "page"]), st.text(max_size=30)))
def test_any_query_is_answered(query):
    assert Query.parse(query).link().startswith("?")
    render_page(wrong(), Query.parse(query), NOW)


@given(st.text(max_size=300), st.sampled_from(STATE_ORDER))
def test_any_name_is_on_it_without_harm(name, state):
    status = wrong()
    model = status.models[0]._replace(name=name, engine=name, state=state, message=name, hint=name)
    Document(render_page(replace(status, models=(model,)), Query(state=state), NOW))


def test_ten_thousand_models_make_no_larger_page():
    status = many()
    assert len(render_page(status, Query(), NOW).encode()) < 300_000
    assert len(render_page(status, Query(search="model", order="-size", page=50), NOW).encode()) < 300_000
    wrong_ones = tuple(
        one._replace(state="failed", message="the server said no" * 20, hint="try" * 50) for one in status.models
    )
    assert len(render_page(replace(status, models=wrong_ones), Query(state="failed"), NOW).encode()) < 300_000


LONG = {
    "plain": "the server said no, " * 500,
    "to escape": "'\"<&" * 2500,
    "not ASCII": "\u65e5\u672c" * 5000,
    "controls": "\x1b" * 10_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
@pytest.mark.parametrize("query", [{}, {"state": "failed"}])
def test_however_much_is_wrong_it_stays_small(query, text):
    status = many(1000)
    change = ChangeRecord(text, "change", ("content",), "failed", "network", text, None, None, 0)
    worst = replace(
        status,
        health="degraded",
        models=tuple(
            one._replace(name=one.name + text[:110], engine=text, state="failed", message=text, hint=text)
            for one in status.models
        ),
        conditions=tuple(
            ConditionStatus("model", one.name, level, "network", text, text, NOW)
            for level in ("error", "info")
            for one in status.models[:500]
        ),
        diagnostics=tuple(
            Diagnostic("error", "file/misfit", text, text, Source("models.yaml", n + 1, 1)) for n in range(500)
        ),
        history=tuple(Reconcile(NOW - n, 1.0, "incomplete", text, (change,) * 100, 7) for n in range(100)),
    )
    assert len(render_page(worst, Query.parse(query), NOW).encode()) < 300_000


def test_a_hundred_failures_that_come_again_and_again_make_no_longer_page():
    changes = tuple(
        ChangeRecord(f"model_{n:03}", "change", ("content",), "failed", "network", "no answer in 60 s", None, 1, 0)
        for n in range(100)
    )
    history = tuple(Reconcile(NOW - 60 * n, 1.0, "incomplete", "150 not done", changes, 50) for n in range(100))
    found = page(replace(many(100), history=history))
    assert len(found.of("details", id="older")) == 1
    reconciles = [one for one in found.of("details") if one.get("id", "").startswith("reconcile-")]
    assert len(reconciles) == 100
    assert found.words.count("model_099") == 1, "all of the latest"
    assert found.words.count("model_004") == 11, "five of each after it, while there is room"
    assert found.words.count("and 50 more changes") == 1
    assert found.words.count("and 145 more changes") == 10
    assert found.words.count("and 150 more changes") == 89


def test_a_long_text_unfolds_and_none_of_it_stands_there_twice():
    message = " ".join(f"word{n}" for n in range(200))
    status = wrong()
    condition = status.conditions[-1]._replace(message=message, hint="")
    found = page(replace(status, conditions=(condition,)))
    [details] = found.of("details", **{"class": "long"})
    assert details
    text = " ".join(found.words)
    assert text.count("word0 ") == text.count("word199") == 1
    at = next(n for n, words in enumerate(found.words) if words.startswith("word0 "))
    beginning, more, rest = found.words[at : at + 3]
    assert more == "more"
    assert beginning.removesuffix("\u2026") + rest in (message, message.replace(" ", "", 1))


def test_the_assets_are_ours_alone():
    for name, (media_type, body) in assets().items():
        assert media_type.startswith(
            {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[name.split(".")[-1]]
        )
        assert b"://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"@import" not in body
