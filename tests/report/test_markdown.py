from __future__ import annotations

import re

import pytest
from hypothesis import given, settings, strategies as st
from markdown_it import MarkdownIt

from mmsync.apply.outcome import Outcome
from mmsync.printable import printable
from mmsync.report.github import code, size
from mmsync.report.markdown import render
from mmsync.types import Diagnostic
from support.sample_plans import DIGEST, add, changed, delete, every_kind, partial, plan, some_outcomes

_MORE = re.compile(r"^- … and ([\d,]+) more not shown$", re.MULTILINE)
_TITLE = re.compile(r"^(?:### |<summary>)([^\n(]+) \(([\d,]+)\)(?:</summary>)?$", re.MULTILINE)
_hostile = st.text(max_size=60) | st.sampled_from(
    [
        "a|b",
        "`",
        "``a",
        "a`",
        " ",
        "",
        "<script>alert(1)</script>",
        "@everyone",
        "[x](http://e.vil)",
        "www.e.vil",
        "a@b.co",
        "#123",
        "</details>",
        "- x\n# y",
        "***",
        "&lt;",
        "\\",
        "\\`",
        "<!--",
        "![i](u)",
        ":tada:",
        "�",
        "x" * 999,
    ]
)


def _counts(text: str) -> dict[str, tuple[int, int]]:
    """Return for each section its title's count, and shown entries plus those said not to be shown."""
    found = {}
    titles = list(_TITLE.finditer(text))
    for title, following in zip(titles, [*titles, None][1:], strict=True):
        body = text[title.end() : following.start() if following else len(text)]
        shown = sum(line.startswith("- ") and "more not shown" not in line for line in body.splitlines())
        more = sum(int(number.replace(",", "")) for number in _MORE.findall(body))
        found[title[1]] = (int(title[2].replace(",", "")), shown + more)
    return found


def test_a_plan_reads_as_agreed(is_golden):
    is_golden("plan.md", render(every_kind(), digest=DIGEST))


def test_a_part_of_a_plan_reads_as_agreed(is_golden):
    is_golden("partial.md", render(partial()))


def test_an_apply_reads_as_agreed(is_golden):
    made = every_kind()
    is_golden("apply.md", render(made, some_outcomes(made), digest=DIGEST))


def test_deletions_come_first():
    text = render(every_kind())
    assert [title[1] for title in _TITLE.finditer(text)] == ["To delete", "Errors", "Warnings", "To change", "To add"]


def test_nothing_to_do_is_one_heading():
    assert (
        render(plan())
        == "## mmsync plan: No changes. No models are listed.\n\nServer `https://mm.example.com/api`, `models.yaml`.\n"
    )


@pytest.mark.parametrize("wide", [False, True])
def test_five_thousand_changes_stay_under_the_limit_and_add_up(wide):
    note = "漢字\U0001f600" * 40 if wide else "words " * 30
    changes = [add(f"new_{n:04}", description=note) for n in range(2000)]
    changes += [changed(f"turned_{n:04}", ("content", "description"), after={"description": note}) for n in range(2000)]
    changes += [delete(f"old_{n:04}") for n in range(1000)]
    made = plan(*changes)
    outcomes = [Outcome(change, "verified" if n % 3 else "failed", message=note) for n, change in enumerate(changes)]
    for text in (render(made, digest=DIGEST), render(made, outcomes)):
        assert 60_000 < size(text) < 65_536
        assert "more not shown" in text
        assert all(claimed == there for claimed, there in _counts(text).values())
    assert {title: claimed for title, (claimed, _) in _counts(render(made)).items()} == {
        "To delete": 1000,
        "To change": 2000,
        "To add": 2000,
    }


@given(
    limit=st.integers(0, 5000),
    names=st.lists(_hostile, max_size=30),
    text=_hostile,
)
@settings(max_examples=150, deadline=None)
def test_every_limit_is_kept_and_every_count_adds_up(limit, names, text):
    changes = [(add, delete)[n % 2](f"{name}{n}") for n, name in enumerate(names)]
    faults = tuple(Diagnostic("error", "x/y", name, text) for name in names)
    made = plan(*changes, diagnostics=faults, orphans=tuple(names))
    outcomes = [Outcome(change, "failed", "server", text) for change in made.changes[::2]]
    for report in (render(made, limit=limit), render(made, outcomes, limit=limit)):
        assert size(report) < max(limit, 1)
        assert all(claimed == there for claimed, there in _counts(report).values())


def test_a_summary_stays_under_a_mebibyte_whatever_was_asked_for():
    made = plan(*(add(f"m{n}", description="漢" * 150) for n in range(4000)))
    assert 500_000 < len(render(made, limit=10**9).encode()) < 1024 * 1024


@given(text=_hostile)
@settings(max_examples=300, deadline=None)
def test_foreign_text_is_only_ever_the_content_of_a_code_span(text):
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parseInline(f"- {code(text, 2000)} after")[0].children
    assert [token.type for token in tokens] == ["text", "code_inline", "text"]
    shown = printable(text, 2000)
    assert tokens[1].content in (shown, f'"{shown}"')


@given(name=_hostile, text=_hostile)
@settings(max_examples=60, deadline=None)
def test_a_whole_report_renders_to_our_tags_alone(name, text):
    made = plan(
        add(name, description=text, file=text or "f"),
        changed(
            text, ("engine", "description"), before={"engine": name, "description": name}, after={"description": text}
        ),
        delete(name),
        diagnostics=(Diagnostic("error", "x/y", name, text, None, name),),
    )
    html = MarkdownIt("commonmark", {"html": True}).render(render(made, digest=text))
    assert set(re.findall(r"<(/?\w+)", html)) <= {
        f"{slash}{tag}"
        for slash in ("", "/")
        for tag in ("h2", "h3", "p", "ul", "li", "code", "strong", "details", "summary")
    }
    assert html.count("<details>") == html.count("</details>")
