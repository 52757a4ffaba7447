from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from mmsync.report.github import annotation_lines, escape_message, escape_property, outputs
from mmsync.types import Diagnostic
from support.sample_plans import DIGEST, at, every_kind, plan, some_outcomes


def _read(line: str):
    """Read a workflow command as GitHub's runner does."""
    match = re.fullmatch(r"::(\w+)(?: ([^\n]*?))?::([^\n]*)", line)
    assert match, line
    properties = dict(part.split("=", 1) for part in (match[2] or "").split(",") if part)
    for escape, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        properties = {key: value.replace(escape, char) for key, value in properties.items()}
    message = match[3].replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    return match[1], properties, message


def test_faults_and_failures_become_annotations_with_their_place():
    made = every_kind()
    lines = annotation_lines(made.diagnostics, some_outcomes(made))
    read = [_read(line) for line in lines]
    assert [(kind, properties.get("line"), properties["title"]) for kind, properties, _ in read] == [
        ("error", "40", "mmsync: plan/pin"),
        ("error", "7", "mmsync: apply/refused"),
        ("warning", None, "mmsync: net/plain"),
        ("warning", "44", "mmsync: plan/unknown-content"),
        ("warning", "11", "mmsync: apply/stale"),
        ("warning", "17", "mmsync: apply/interrupted"),
    ]
    assert lines[2] == "::warning title=mmsync%3A net/plain::The token travels over plain http (use https)"


def test_no_more_than_ten_of_a_kind_and_then_a_count():
    faults = [Diagnostic("error", "a/b", f"fault {n}", "", at(n + 1)) for n in range(25)]
    faults += [Diagnostic("warning", "a/b", f"warning {n}") for n in range(11)]
    lines = annotation_lines(faults)
    assert [_read(line)[0] for line in lines] == ["error"] * 10 + ["warning"] * 10 + ["notice"]
    assert lines[-1] == "::notice title=mmsync::15 more errors and 1 more warning not shown here; the log has them all"
    assert len(annotation_lines(faults[:10])) == 10


@given(summary=st.text(max_size=200), file=st.text(max_size=60), name=st.text(max_size=40))
def test_no_text_can_become_a_command_or_a_property(summary, file, name):
    fault = Diagnostic("error", "a/b", summary, "", at(3, file), name)
    (line,) = annotation_lines([fault])
    line.encode()
    assert len(line.splitlines()) == 1
    kind, properties, _ = _read(line)
    assert (kind, list(properties)) == ("error", ["file", "line", "col", "title"])
    assert (properties["line"], properties["col"], properties["title"]) == ("3", "5", "mmsync: a/b")


def test_escapes_are_those_the_runner_undoes():
    assert escape_message("100 %\r\n: a,b") == "100 %25%0D%0A: a,b"
    assert escape_property("100 %\r\n: a,b") == "100 %25%0D%0A%3A a%2Cb"


def test_outputs_are_counts_and_the_digest():
    assert outputs(every_kind(), DIGEST, "mm_1f") == (
        "changes<<mm_1f\n10\nmm_1f\nadd<<mm_1f\n2\nmm_1f\nchange<<mm_1f\n7\nmm_1f\n"
        f"delete<<mm_1f\n1\nmm_1f\ndigest<<mm_1f\n{DIGEST}\nmm_1f\n"
    )


@pytest.mark.parametrize("delimiter", ["", " ", "a\nb", DIGEST[:8]])
def test_a_delimiter_that_a_value_could_end_is_refused(delimiter):
    with pytest.raises(ValueError, match="delimiter"):
        outputs(plan(), DIGEST, delimiter)
