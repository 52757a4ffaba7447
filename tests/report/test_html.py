"""A plan as a page: golden, inert whatever stands in it, and of a size that grows with the changes alone."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace

from hypothesis import given, settings, strategies as st

from mmsync.plan.model import Signatures
from mmsync.printable import harmless
from mmsync.report.html import render
from mmsync.types import Diagnostic, ServerName, Shape
from support.html_page import Page
from support.sample_plans import DIGEST, NEW, OLD, add, at, changed, delete, every_kind, partial, plan


def page(made, **more) -> Page:
    return Page(render(made, digest=DIGEST, version="0.0.0", **more))


def without_style(text):
    """How it looks is looked at, not compared."""
    return re.sub(
        "sha256-[A-Za-z0-9+/=]+", "sha256-HASH", re.sub("(?s)<style>.*?</style>", "<style>STYLE</style>", text)
    )


def test_a_plan_reads_as_agreed(is_golden):
    is_golden("plan.html", without_style(render(every_kind(), digest=DIGEST, version="0.0.0", show_all=True)))


def test_a_part_of_a_plan_reads_as_agreed(is_golden):
    is_golden("partial.html", without_style(render(partial(), digest=DIGEST, version="0.0.0")))


def test_it_says_what_the_text_says():
    made = every_kind()
    shown = page(made)
    for words in (
        "2 to add, 7 to change, 1 to delete", "https://mm.example.com/api", "models.yaml", DIGEST, "pinned",
        "restore the pinned file, or change sha256 in the manifest", "models.yaml:40:5", "unsure",
        "The token travels over plain http", "3 models", "my models/first one.cbm", "the ledger",
        "the image, downloaded and hashed", "inside the scope, but in no manifest", f"--expect {DIGEST}",
    ):  # fmt: skip
        assert words in shown.text, words
    for change in made.changes:
        assert change.name in shown.text
    assert {each.get("title") for each in shown.all("bdi")} >= {OLD, NEW}


def test_what_differs_in_a_description_is_marked_inside_it():
    shown = page(every_kind())
    assert " and 2024" in shown.inside("ins")
    assert "2023" not in "".join(shown.inside("del"))
    assert "characters in common" in shown.text


def signed(name, before, after):
    change = changed(name, ("content",))
    return replace(change, signatures=Signatures(Shape(*before), Shape(*after)))


def test_the_signature_is_shown_from_both_sides_and_what_differs_is_marked():
    before = {"amount": "float8", "country": "str", "hour": "int8"}, "str"
    after = {"amount": "float8", "hour": "float8", "merchant": "str"}, "float8"
    shown = page(plan(signed("m", before, after)))
    assert "Inputs country str, hour int8, amount float8 hour float8, merchant str, amount float8" in shown.text
    assert shown.inside("del")[-4:] == ["country ", "str", "int8", "str"]
    assert shown.inside("ins")[-4:] == ["float8", "merchant ", "str", "float8"]


def test_what_is_not_known_of_a_signature_is_no_difference():
    shown = page(plan(signed("m", (None, "str"), ({"x": None}, None)), signed("n", ({}, None), ({"y": "str"}, None))))
    assert "Inputs unknown x unknown" in shown.text
    assert "Output str unknown" in shown.text
    assert "Inputs none y str" in shown.text


def test_a_signature_that_is_the_same_is_shown_without_a_mark():
    shown = page(plan(signed("m", ({"x": "str"}, "str"), ({"x": "str"}, "str"))))
    assert len(shown.all("ins")) == 1  # the content's
    assert "Signature x str → str as before" in shown.text


def test_of_thousands_of_inputs_those_that_differ_are_shown():
    inputs = {f"input_{n:04}": "float8" for n in range(5000)}
    shown = page(plan(signed("m", (inputs, "str"), ({**inputs, "input_4999": "str"}, "str"))))
    assert "input_4999" in shown.text
    assert "and 4,900 more" in shown.text


def test_forms_of_the_same_characters_are_told_apart():
    shown = page(every_kind())
    assert r"cafe\u0301" in shown.inside("del")
    assert r"caf\xe9" in shown.inside("ins")


def test_sizes_that_round_to_the_same_are_given_to_the_byte():
    shown = page(plan(changed("m", ("content",), before={"size": 240_400}, after={"size": 240_406})))
    assert "240,400 B" in shown.text
    assert "240,406 B" in shown.text


def test_nothing_to_do_is_said():
    shown = page(plan())
    assert "No changes. No models are listed." in shown.text
    assert not shown.all("article")


def test_a_refused_plan_says_so_first():
    guard = Diagnostic("error", "guard/max-delete", "6 models to delete, at most 5", "--max-delete 6 lifts this guard")
    shown = page(plan(delete("a"), refusals=(guard,), diagnostics=(guard,)))
    assert shown.text.index("Refused:") < shown.text.index("--max-delete 6") < shown.text.index("To delete")


def test_unchanged_models_are_listed_only_where_asked_for():
    assert "kept_00000" not in page(every_kind()).text
    assert "kept_00011" in page(every_kind(), show_all=True).text


# --- self-contained ---------------------------------------------------------------------------------------------


def test_the_policy_admits_its_own_style_and_nothing_else():
    text = render(every_kind(), digest=DIGEST, version="0.0.0")
    shown = Page(text)
    [style] = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    [policy] = [each["content"] for each in shown.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert "url(" not in style
    assert "@import" not in style
    assert not shown.all("script") + shown.all("link") + shown.all("img") + shown.all("form")
    assert all(each["href"].startswith("#") for each in shown.all("a"))


def test_every_place_that_a_link_leads_to_is_there():
    shown = page(every_kind())
    places = {attributes["id"] for _, attributes in shown.elements if "id" in attributes}
    assert {each["href"].removeprefix("#") for each in shown.all("a")} <= places


# --- hostile text -----------------------------------------------------------------------------------------------

_hostile = st.text(max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>", "</style><script>alert(1)</script>", "</title><b>", "--><!--", '" onload="x', "' x='",
        "\u202egnp.exe", "a\x00\x1b[31m\x9b", "javascript:alert(1)", "{{ 7 * 7 }}", "{% raw %}", "&lt;&#60;", "]]>", "::error::x",
        "\n::set-output name=a::b", "##[error]x", "##vso[task.x]", "\ud800", "\ufffe", " ", "", "x" * 10_000, "💥" * 10_000,
    ]
)  # fmt: skip
_OUR_TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "dl", "div", "dt", "dd", "code", "nav",
    "ul", "li", "a", "b", "main", "section", "article", "span", "table", "thead", "tbody", "tr", "th", "td", "del", "ins",
    "footer", "bdi",
}  # fmt: skip


@given(name=_hostile, text=_hostile)
@settings(max_examples=60, deadline=None)
def test_hostile_text_is_inert(name, text):
    made = plan(
        add(name, description=text, file=text or "f"),
        changed(
            text, ("engine", "content", "description"),
            before={"engine": name, "description": name, "sha256": text}, after={"description": text, "engine": text},
        ),
        signed(f"{name} ", ({text: name, name: text}, text), ({name: text}, name)),
        delete(name),
        server=ServerName(text, name),
        manifests=(name, text),
        orphans=(name, text),
        blocked=(name,),
        unknown=(text,),
        diagnostics=(Diagnostic("error", "x/y", name, text, at(4, name), name), Diagnostic("warning", "x/z", text, name)),
    )  # fmt: skip
    written = render(made, digest=DIGEST, version="0.0.0")
    assert written.isascii()
    assert harmless(written) == written
    shown = Page(written)
    assert {tag for tag, _ in shown.elements} <= _OUR_TAGS
    attributes = {name for _, each in shown.elements for name in each}
    assert attributes <= {
        "lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "title", "scope", "colspan", "aria-label",
        "aria-hidden",
    }  # fmt: skip
    assert len(shown.inside("title")) == 1
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown.text
    )
    assert len(written) < 600_000


# --- size -------------------------------------------------------------------------------------------------------


def test_ten_thousand_changes_are_all_there_in_a_page_of_bounded_size():
    kinds = (add, delete, lambda name: changed(name, ("content", "description"), after={"description": "Other words."}))
    made = plan(*(kinds[n % 3](f"model_{n:05}") for n in range(10_000)))
    started = time.process_time()
    written = render(made, digest=DIGEST, version="0.0.0")
    assert time.process_time() - started < 20
    assert len(written) < 12_000_000
    assert len(set(re.findall(r"model_\d{5}(?!\.)", written))) == 10_000


def test_long_descriptions_are_bounded_as_a_whole():
    texts = ["".join(chr(97 + (n * k) % 23) + " " * (n % 3) for n in range(10_000)) for k in (7, 11)]
    changes = [
        changed(f"m{n:04}", ("description",), before={"description": texts[0]}, after={"description": texts[1]})
        for n in range(1000)
    ]
    started = time.process_time()
    written = render(plan(*changes), digest=DIGEST, version="0.0.0")
    assert time.process_time() - started < 20
    assert len(written) < 8_000_000
    assert "more characters" in written
