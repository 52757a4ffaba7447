"""The status in a terminal: whether all is well, what needs a person, the models, what was done last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mmsync.printable import printable
from mmsync.quantities import counted, human_bytes, human_seconds
from mmsync.report.layout import Paint, Style, columns, display_name, flow, painter, words
from mmsync.status.model import STATE_ORDER, ModelState, ModelStatus, Reconcile, Status
from mmsync.status.summary import OF_MODELS, attention, counts, headline, is_well

_FEW = 40  # models that are all shown; of more, only those that are not in sync
_RECENT = 5  # reconciles that did something, or failed
_STYLES: dict[ModelState, Style] = {
    "failed": "error",
    "blocked": "error",
    "drifted": "warning",
    "settling": "change",
    "pending": "change",
    "synced": "add",
    "unmanaged": "faint",
}


def render_status(status: Status, *, width: int, colour: bool, whole: bool = False) -> str:
    """Return the status as text of at most ``width`` columns but for names; ``whole`` shows every model."""
    paint = painter(colour=colour)
    lines = _say(headline(status), width, "", "")
    lines[0] = paint(lines[0], "add" if is_well(status) else "error" if status.health == "degraded" else "warning")
    lines += ["", *_facts(status, width)]
    of_whole = [one for one in attention(status) if one.kind not in OF_MODELS]
    for one in (*of_whole, *(one for one in status.conditions if one.level == "info")):
        lines += ["", *_say(f"{one.level}: {one.message}{_coded(one.code)}", width, "", "  ")]
        lines += _say(one.hint, width, "  → ", "    ") if one.hint else []
        lines += [f"  since {_moment(one.since)}"]
    shown = sorted(status.models, key=lambda model: (STATE_ORDER.index(model.state), model.name))
    if not whole and len(shown) > _FEW:
        shown = [model for model in shown if model.state not in ("synced", "unmanaged")][:_FEW]
    if shown:
        lines += ["", *_table(shown, width, paint)]
    if len(shown) < len(status.models):
        lines += [
            "",
            *_say(f"{counted(len(status.models) - len(shown), 'more model')} (--all shows them)", width, "", ""),
        ]
    of_note = [one for one in status.history if one.result != "unchanged"][:_RECENT]
    if of_note:
        lines += ["", paint("Last reconciles", "name")]
        for made in of_note:
            lines += _reconcile(made, width, paint)
    said = "\n".join([*(one.message for one in status.conditions), *(model.message for model in shown)])
    for found in status.diagnostics:
        if found.summary in said:
            continue  # a condition told it, with since when
        lines += ["", *_say(f"{found}{_coded(found.code)}", width, "", "  ")]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _facts(status: Status, width: int) -> list[str]:
    server = status.server
    where = "not reached yet" if server is None else server.url + (f", domain {server.domain}" if server.domain else "")
    last = _moment(status.last_success_at) if status.last_success_at else "never so far"
    states = ", ".join(f"{count:,} {state}" for state, count in counts(status).items() if count) or "none"
    backend = "file events" if status.events.name == "events" else "looking at files on a timer"
    facts = [
        ("Manifests", ", ".join(status.manifests)),
        ("Server", where),
        ("Models", states),
        ("Last success", last),
        ("Changes by", backend),
        ("Watching", f"since {_moment(status.started_at)}, mmsync {status.version}"),
    ]
    if (activity := status.activity) is not None:
        how_far = f", {activity.done:,} of {counted(activity.total, 'change')}" if activity.total else ""
        facts.append(("Under way", f"since {_moment(activity.since)}{how_far}"))
    found: list[str] = []
    for name, text in facts:
        found += _say(text, width, f"{name:<14}", " " * 14)
    return found


def _table(models: Sequence[ModelStatus], width: int, paint: Paint) -> list[str]:
    """Return a line for each model, its message below; a name that is too wide has a line of its own."""
    names = [display_name(model.name) for model in models]
    rest = 11 + 8 + 8 + 20  # state, engine, size, since, each with its gap
    column = min(max(map(columns, (*names, "NAME"))), max(width - rest, 8))
    has_dates = width >= column + rest
    head = f"{'STATE':<11}{'NAME':<{column}}  {'SIZE':>8}  {'SINCE' if has_dates else ''}"
    lines = [paint(head.rstrip(), "faint")]
    for model, name in zip(models, names, strict=True):
        size = "-" if model.size is None else human_bytes(model.size)
        state = paint(f"{model.state:<11}", _STYLES[model.state])
        figures = f"  {size:>8}  {_moment(model.since) if has_dates else ''}"
        if columns(name) > column:
            lines += [f"{state}{name}", f"{'':<{11 + column}}{figures}"]
        else:
            lines += [f"{state}{name}{' ' * (column - columns(name))}{figures}"]
        if model.message:
            lines += _say(model.message, width, " " * 11, " " * 11)
            lines += _say(model.hint, width, " " * 11 + "→ ", " " * 13) if model.hint else []
    return lines


def _reconcile(one: Reconcile, width: int, paint: Paint) -> Iterable[str]:
    style: Style = "error" if one.result in ("failed", "incomplete") else "add"
    when = f"{_moment(one.at)}  "
    lines = _say(f"{one.result}: {one.message} ({human_seconds(one.seconds)})", width, when, "  ")
    return [paint(line, style) if number == 0 else line for number, line in enumerate(lines)]


def _say(text: str, width: int, first: str, rest: str) -> list[str]:
    """Return lines of text from elsewhere, the first after ``first``, the others after ``rest``."""
    return flow(words(text), width, first, rest)


def _coded(code: str) -> str:
    return f" [{code}]" if code else ""


def _moment(at: float) -> str:
    """Return a time as UTC, to the second."""
    return printable(datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
