from __future__ import annotations

import json

from hypothesis import given, strategies as st

from mmsync.apply.outcome import Finished, Outcome, Progress, Started, Verified
from mmsync.plan import plan_document
from mmsync.report.json_events import (
    EventLines,
    change_line,
    diagnostic_line,
    summary_line,
    version_line,
)
from support.sample_plans import DIGEST, add, delete, every_kind, plan, some_outcomes


def test_the_lines_of_an_apply_read_as_agreed(is_golden):
    made = every_kind()
    outcomes = some_outcomes(made)
    speaker = EventLines()
    lines = [version_line("1.2.3")]
    lines += [change_line(change) for change in made.changes[:2]]
    lines += [diagnostic_line(note) for note in made.diagnostics]
    for outcome in outcomes[:4]:
        lines += speaker.lines(Started(outcome.change))
        lines += speaker.lines(Progress(outcome.change.name, "uploading", 1_000, 12_345))
        lines += speaker.lines(Finished(outcome))
    lines += speaker.lines(Verified(tuple(outcomes)))
    lines.append(summary_line(made, outcomes, digest=DIGEST))
    is_golden("apply.ndjson", "".join(f"{line}\n" for line in lines))


def test_changes_and_diagnostics_are_those_of_the_plan_document():
    made = every_kind()
    document = plan_document(made, version="1")
    assert [json.loads(change_line(change))["change"] for change in made.changes] == document["changes"]
    assert [json.loads(diagnostic_line(note))["diagnostic"] for note in made.diagnostics] == document["diagnostics"]


def test_reading_back_tells_only_what_it_changed():
    fine, lost, never = add("fine"), add("lost"), add("never")
    speaker = EventLines()
    for change in (fine, lost):
        assert '"type":"apply_complete"' in speaker.lines(Finished(Outcome(change, "applied")))[0]
    told = [
        json.loads(line)
        for line in speaker.lines(
            Verified(
                (
                    Outcome(fine, "verified"),
                    Outcome(lost, "failed", "server", "the server holds other content"),
                    Outcome(never, "not-attempted"),
                ),
                "the list could not be read",
            )
        )
    ]
    assert [(line["type"], line["@level"]) for line in told] == [
        ("apply_errored", "error"),
        ("apply_errored", "warn"),
        ("diagnostic", "warn"),
    ]
    assert [line["hook"]["name"] for line in told[:2]] == ["lost", "never"]


def test_the_summary_says_what_exit_codes_follow_from():
    made = plan(add("a"), add("b"), delete("c"))
    done = [Outcome(change, "verified", uploaded=5) for change in made.changes]
    full = json.loads(summary_line(made, done, digest=DIGEST))
    assert (full["changed"], full["ok"], full["digest"]) == (True, True, DIGEST)
    assert full["changes"]["operation"] == "apply"
    assert (full["changes"]["add"], full["changes"]["delete"], full["changes"]["verified"]) == (2, 1, 3)
    half = json.loads(summary_line(made, [Outcome(made.changes[0], "failed"), *done[1:2]]))
    assert (half["changed"], half["ok"], half["@level"]) == (True, False, "error")
    assert (half["changes"]["failed"], half["changes"]["not_attempted"]) == (1, 1)
    none = json.loads(summary_line(plan(), []))
    assert (none["changed"], none["ok"]) == (False, True)


@given(name=st.text(), message=st.text())
def test_every_line_is_one_line_of_ascii_json(name, message):
    change = add(f"##[{name}", description=message)
    speaker = EventLines()
    lines = [
        change_line(change),
        *speaker.lines(Started(change)),
        *speaker.lines(Finished(Outcome(change, "failed", "x", message))),
    ]
    for line in lines:
        assert line.isascii()
        assert len(line.splitlines()) == 1
        payload = json.loads(line)
        assert (payload.get("change") or payload["hook"])["name"] == f"##[{name}"
