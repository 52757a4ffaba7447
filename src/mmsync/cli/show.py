"""``mmsync show NAME``: one model of the server, whole."""

from __future__ import annotations

import contextlib
import difflib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import click

from mmsync.cli import options as opt
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, colour, columns
from mmsync.cli.settings import ServerOptions, resolve
from mmsync.errors import FileError, SettingsError
from mmsync.files.digest import read_contents
from mmsync.ledger import known_content
from mmsync.manifest import Manifest
from mmsync.observe import as_row, image_id, image_size
from mmsync.plan import Scope
from mmsync.plan.planner import same_engine
from mmsync.printable import printable
from mmsync.quantities import human_bytes
from mmsync.report.layout import Paint, Piece, columns as wide, display_name, display_type, flow, painter, place, prose
from mmsync.report.query_call import QueryCall, query_call
from mmsync.types import Content, Desired, Observed, Shape

if TYPE_CHECKING:
    from mmsync.client import Client, ModelDetail
    from mmsync.connection import Connection

_EXAMPLES = """\b
Examples:
  mmsync show fraud_score
  mmsync show fraud_score --format json | jq -r .model.query.call
"""
_LONGEST_TEXT = 2000  # of a description and of the query call; the JSON has them whole
_LABEL = 13
_NEAR = 3
_WIDEST_INPUT = 40  # columns; what is wider stands out of the column of types


@click.command("show", epilog=_EXAMPLES)
@click.argument("name", shell_complete=opt.complete_models)
@opt.manifest_options
@opt.format_option("text", "json")
@opt.server_options
def show(name: str, manifest: ManifestOptions, server: ServerOptions, *, output_format: str) -> int:
    """Print one model of the server whole.

    Its engine, description, content, dates, inputs and output; which entry of the manifest it is, where there is one,
    and whether it is in step with that; and how a query calls it. Nothing is downloaded: the content's sha256 is what
    the ledger knows of it.
    """
    from mmsync.cli.session import connected, manifest_if_any  # noqa: PLC0415 - 75 ms for HTTP, not for --help

    found = manifest_if_any(manifest)
    target = resolve(server, found.server if found else None)
    with connected(target, jobs=1, if_missing="refuse") as connection:
        detail = connection.client.find_detail(name)
        if detail is None:
            raise _no_such_model(name, connection.client, found)
        card = _card_of(name, detail, connection, found)
    if output_format == "json":
        document = {"format_version": "1", "server": connection.server._asdict(), "model": _entry(card)}
        answer(json.dumps(document, indent=2) + "\n")
    else:
        answer(_render(card, width=columns(sys.stdout), paint=painter(colour=colour(sys.stdout))))
    return ExitCode.DONE


class _Card(NamedTuple):
    """A model as it is told of; what is not known is None. Dates are epoch milliseconds."""

    row: Observed
    sha256: str | None
    size: int | None
    content_from: Literal["ledger", "server"] | None
    inputs: list[tuple[str, str | None]] | None
    output_type: str | None
    category: str | None
    hidden: bool
    state: str | None  # ``managed``, ``orphan`` or ``unmanaged``; None without a manifest
    desired: Desired | None
    in_step: bool | None  # None where that is not known, or it is not managed
    differs: tuple[str, ...]  # in what it is not in step, or why that is not known
    query: QueryCall | None


def _no_such_model(name: str, client: Client, manifest: Manifest | None) -> SettingsError:
    """Return the error for a name that is none, with those that are near."""
    there = [row["name"] for row in client.get_models() if isinstance(row.get("name"), str)]
    by_case = {each.casefold(): each for each in there}
    near = [by_case[each] for each in difflib.get_close_matches(name.casefold(), by_case, _NEAR)]
    what = f"the server has no model {display_name(name)}"
    if manifest and any(desired.name == name for desired in manifest.models):
        return SettingsError(f"{what}; the manifest lists it", "mmsync plan shows what apply would add")
    if near:
        return SettingsError(what, f"did you mean {' or '.join(map(display_name, near))}?")
    return SettingsError(what, "mmsync list shows those it has")


def _card_of(name: str, detail: ModelDetail, connection: Connection, manifest: Manifest | None) -> _Card:
    row, size = as_row(name, detail, image_id(detail)), image_size(detail)
    known = known_content(row, connection.ledger.images(connection.server))
    if known and size not in (None, known[1]):
        known = None  # the size says that it is another by now
    sha256, size = (known[0], known[1]) if known else (None, size)
    state, desired = None, None
    if manifest:
        desired = next((each for each in manifest.models if each.name == name), None)
        in_scope = name in Scope(manifest.scope, {name, *(each.name for each in manifest.models)})
        state = "managed" if desired else "orphan" if in_scope else "unmanaged"
    in_step, differs = _compared(desired, row, sha256, size, connection) if desired else (None, ())
    shape, text = Shape.of(detail), detail.get("domainName")
    inputs = None if shape.inputs is None else list(shape.inputs.items())
    domain = text if isinstance(text, str) else connection.server.domain
    category = detail.get("category")
    return _Card(
        row,
        sha256,
        size,
        "ledger" if known else None if size is None else "server",
        inputs,
        shape.output,
        category if isinstance(category, str) else None,
        bool(detail.get("hidden")),
        state,
        desired,
        in_step,
        differs,
        query_call(name, row.engine, inputs or (), domain),
    )


def _compared(
    desired: Desired, row: Observed, sha256: str | None, size: int | None, connection: Connection
) -> tuple[bool | None, tuple[str, ...]]:
    """Say whether the server's model is the one listed; None where that is not known, with the reason."""
    content = read_contents([desired], {}, connection.ledger, now_ns=time.time_ns())[desired.name]
    if isinstance(content, FileError):
        return None, (str(content),)
    found = []
    if row.engine is not None and not same_engine(row.engine, desired.engine):
        found.append("engine")
    if _is_other(content, sha256, size):
        found.append("content")
    displayed = row.description or ""
    sent = connection.ledger.descriptions(connection.server).get(desired.name)
    if desired.description not in (None, displayed) and sent != (desired.description, displayed):
        found.append("description")
    if found:
        return False, tuple(found)
    if sha256 is None:
        return None, ("its content is not known here; mmsync plan finds out",)
    return True, ()


def _is_other(content: Content, sha256: str | None, size: int | None) -> bool:
    return content.sha256 != sha256 if sha256 else size not in (None, content.size)


def _entry(card: _Card) -> dict[str, Any]:
    row, desired = card.row, card.desired
    inputs = card.inputs
    return {
        **row._asdict(),
        "hidden": card.hidden,
        "sha256": card.sha256,
        "size": card.size,
        "content_from": card.content_from,
        "inputs": None if inputs is None else [{"name": name, "type": kind} for name, kind in inputs],
        "output_type": card.output_type,
        "category": card.category,
        "state": card.state,
        "source": {"file": desired.source.file, "line": desired.source.line} if desired else None,
        "in_step": card.in_step,
        "differs": list(card.differs),
        "query": {"call": card.query.text, "caveats": list(card.query.caveats)} if card.query else None,
    }


def _render(card: _Card, *, width: int, paint: Paint) -> str:
    room = max(width - _LABEL - 2, 20)
    lines = [paint(display_name(card.row.name), "name")]
    margin = " " * (_LABEL + 2)
    for label, text in _rows(card):
        beside = flow(prose(text, room), width, first=margin, rest=margin)
        beside[0] = f"  {paint(label.ljust(_LABEL), 'faint')}" + beside[0][len(margin) :]
        lines += beside
    if card.query:
        lines += ["", "In a query:", f"  {printable(card.query.text, _LONGEST_TEXT)}"]
        for caveat in card.query.caveats:
            lines += flow([Piece(word) for word in f"({caveat})".split(" ")], width, first="  ", rest="   ")
    return "\n".join(lines) + "\n"


def _rows(card: _Card) -> Iterator[tuple[str, str]]:
    row = card.row
    yield "engine", display_type(row.engine) if row.engine else "unknown"
    if row.description:
        yield "description", printable(row.description, _LONGEST_TEXT)
    yield "content", _content(card)
    if card.sha256:
        yield "sha256", card.sha256
    yield "created", _moment(row.creation_date)
    yield "updated", _moment(row.update_date)
    if card.hidden:
        yield "hidden", "yes: no list shows it"
    if card.state:
        yield "managed", _management(card)
    label = "inputs"
    widest = min(max((wide(display_name(name)) for name, _ in card.inputs or ()), default=0), _WIDEST_INPUT)
    for name, kind in card.inputs or ():
        gap = " " * max(widest - wide(display_name(name)), 0)
        yield label, f"{display_name(name)}{gap}  {display_type(kind)}" if kind else display_name(name)
        label = ""
    if not card.inputs:
        yield label, "none" if card.inputs == [] else "not said by the server"
    yield "output type", display_type(card.output_type) if card.output_type else "unknown"
    yield "category", display_type(card.category) if card.category else "unknown"


def _content(card: _Card) -> str:
    measure = (
        ""
        if card.size is None
        else f"{card.size:,} B"
        + (
            f" ({human_bytes(card.size)})" if card.size >= 1000 else ""  # noqa: PLR2004 - below it says the same
        )
    )
    if card.sha256:
        return f"{measure}; known from the ledger"
    return f"{measure}; sha256 not known here" if measure else "not known here"


def _management(card: _Card) -> str:
    if card.desired is None:
        return {
            "orphan": "no: an orphan, inside the scope but in no manifest; plan --prune would delete it",
            "unmanaged": "no: in no manifest and outside its scope; left alone",
        }[card.state or "unmanaged"]
    what = f"by {place(card.desired.source)}, "
    if card.in_step:
        return f"{what}in step"
    reasons = printable(", ".join(card.differs), _LONGEST_TEXT)
    return f"{what}not in step: {reasons}" if card.in_step is False else f"{what}in step or not is not known: {reasons}"


def _moment(date: int | None) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC."""
    with contextlib.suppress(OverflowError, ValueError, OSError):
        if date is not None:
            return datetime.fromtimestamp(date / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "unknown"
