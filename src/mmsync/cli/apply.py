"""``mmsync apply``: make the server hold what the manifest lists."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mmsync._version import __version__
from mmsync.apply import Event, Outcome
from mmsync.apply.audit import AuditFile
from mmsync.apply.outcome import Finished, Started, Verified
from mmsync.cli import options as opt
from mmsync.cli.audit import audit_option, open_audit
from mmsync.cli.backup import (
    backup_option,
    check_backup,
    newest_manifest,
    open_backup,
    refuse_backups,
    undo_command,
)
from mmsync.cli.checksums import checksums_option, refuse_other, write_checksums
from mmsync.cli.errors import ExitCode
from mmsync.cli.options import ManifestOptions
from mmsync.cli.output import answer, colour, columns, confirmed, warn
from mmsync.cli.plan import finish_plan, inputs_of, refuse_input, show
from mmsync.cli.progress import progress
from mmsync.cli.reporting import complain, publish
from mmsync.cli.settings import ServerOptions, resolve
from mmsync.cli.signals import stop_on_signals
from mmsync.connection import Connection
from mmsync.errors import MmsyncError, PlanRefused, SettingsError
from mmsync.manifest import ServerSettings
from mmsync.plan import MAX_DOCUMENT, Options, Plan, plan_digest, read_document, saved_options
from mmsync.plan.selection import quoted
from mmsync.printable import few, printable
from mmsync.report.json_events import EventLines, change_line, diagnostic_line, summary_line, version_line
from mmsync.report.markdown import render
from mmsync.report.outcome_text import after_undo, render_outcomes
from mmsync.report.plan_text import render_plan
from mmsync.types import Diagnostic, Source

if TYPE_CHECKING:
    from mmsync.apply.backup import Backup

_LOCK_HELP = "How long to wait for another mmsync on this machine."
_NOTHING_WRITTEN = "Nothing was written."


class _How(NamedTuple):
    """The command's own options."""

    yes: bool
    dry_run: bool
    fail_fast: bool
    lock_timeout: float
    audit: str | None
    backup: str | None
    checksums: str | None
    detailed_exitcode: bool
    output_format: str
    quiet: bool


_EXAMPLES = """\b
Examples:
  mmsync apply --profile production
  mmsync apply plan.json
  mmsync apply --prune --backup ../kept --yes
"""


@click.command("apply", epilog=_EXAMPLES)
@click.argument("saved", metavar="[PLAN]", required=False)
@opt.manifest_options
@opt.plan_options
@click.option("--expect", metavar="DIGEST", help="Refuse unless the plan has this digest.")
@opt.group(
    "how",
    _How,
    click.option("-y", "--yes", is_flag=True, help="Do not ask, even on a terminal; elsewhere nothing is asked."),
    click.option("--dry-run", is_flag=True, help="Show the plan and write nothing: the same as `mmsync plan`."),
    click.option("--fail-fast", is_flag=True, help="Stop at the first failure."),
    opt.number_option("--lock-timeout", click.FloatRange(min=0), 600.0, "SECONDS", _LOCK_HELP),
    audit_option,
    backup_option,
    checksums_option,
    click.option("--detailed-exitcode", is_flag=True, help="Exit 2 where something was changed."),
    opt.format_option("text", "json", "markdown"),
    opt.quiet_option,
)
@opt.server_options
def apply(
    saved: str | None,
    manifest: ManifestOptions,
    options: Options,
    server: ServerOptions,
    expect: str | None,
    how: _How,
) -> int:
    """Make the server hold what the manifest lists, or do exactly what a saved PLAN says."""
    from mmsync.cli.session import planned, read  # noqa: PLC0415 - 100 ms for HTTP and SQLite, which -h does without
    from mmsync.reconcile import check_saved  # noqa: PLC0415 - the same: `session` has loaded it

    # What a script meant to hold the apply to must not be dropped because its variable is empty.
    opt.refuse_empty("PLAN", saved)
    opt.refuse_empty("--expect", expect)
    document = read_saved(saved) if saved else None
    if document is not None:
        if options.selection.is_partial or options.prune:
            raise click.UsageError("a saved plan brings its own selection and --prune: give none with it")
        selection, prune = saved_options(document)
        options = dataclasses.replace(options, selection=selection, prune=prune)
        if manifest.is_default:
            manifest = dataclasses.replace(manifest, paths=tuple(document["manifests"]))
    server = server.with_token()
    refuse_backups(manifest.paths)
    desired = read(manifest)
    settings = desired.server
    # Where neither flags nor the manifest name a server, the plan does; who names it decides whether the token goes.
    names_none = server.url is None and server.profile is None and settings.url is None and settings.profile is None
    if document is not None and names_none:
        at = document["server"]
        settings = ServerSettings(at["url"], domain=at.get("domain") or None, source=Source(str(saved), 1, 1))
    target = resolve(server, settings)
    inputs = inputs_of(desired)
    if saved:
        inputs.append(("the saved plan", saved))
    audit = None if how.dry_run else _outputs(how, inputs)
    check_backup(how.backup)
    backup = open_backup(how.backup, desired.server) if how.backup and not how.dry_run else None
    lock_timeout = None if how.dry_run else how.lock_timeout  # it writes nothing
    with planned(desired, options, target, quiet=how.quiet, lock_timeout=lock_timeout) as (plan, connection):
        if document is not None:
            check_saved(plan, document, str(saved))
        if expect and plan_digest(plan) != expect.strip().lower():
            show(plan, how.output_format)
            why = f"the plan's digest is {plan_digest(plan)}, not the expected {expect}; nothing was written"
            hint = "what would be done now is shown above: plan again, look at it, and expect that digest"
            raise PlanRefused(why, hint=hint)
        if not how.dry_run:
            return _carry_out(plan, connection, how, options.jobs, audit, backup)
    return finish_plan(plan, how.output_format, detailed_exitcode=how.detailed_exitcode)


def _outputs(how: _How, inputs: Sequence[tuple[str, str]]) -> AuditFile | None:
    """Return the audit record, opened, if there is to be one; raise where a file to write is not to be written."""
    opt.refuse_empty("--checksums", how.checksums)
    if how.checksums:
        refuse_input("--checksums", how.checksums, inputs)
        if how.audit and Path(how.checksums).resolve() == Path(how.audit).resolve():
            raise click.UsageError("--audit and --checksums name one file: give each its own")
        refuse_other(how.checksums)
    return open_audit(how.audit, inputs)


def read_saved(name: str) -> dict[str, Any]:
    """Return the saved plan's document; raises `SettingsError` if it cannot be read, `PlanRefused` if it is no plan."""
    try:
        # What is no text is no plan either: read_document says so.
        with Path(name).open("rb") as file:
            content = file.read(MAX_DOCUMENT + 1)
    except OSError as error:
        hint = "PLAN is a file made with: mmsync plan --out FILE; manifests are named with -f"
        if manifest := newest_manifest(name):
            hint += f": -f {quoted([printable(manifest, 4096)])}"
        raise SettingsError(f"cannot read the plan {name}: {error.strerror or error}", hint) from error
    if len(content) > MAX_DOCUMENT:
        raise SettingsError(f"{name} is larger than any plan ({MAX_DOCUMENT // 2**20} MiB)", "is it the right file?")
    return read_document(content.decode("utf-8", "replace"), name)


def _carry_out(
    plan: Plan, connection: Connection, how: _How, jobs: int, audit: AuditFile | None, backup: Backup | None
) -> int:
    """Show the plan, ask, apply it, report; return the exit code."""
    from mmsync.reconcile import apply_plan  # noqa: PLC0415 - loaded by the time a plan is made

    report = ApplyReport(plan, how.output_format)
    report.plan()
    if plan.refusals:
        publish(plan)
        if how.output_format != "text":
            complain(plan.refusals, annotated=True)  # stdout may well go to a file
        hint = "above stands which guard, and the flag that lifts it"
        raise PlanRefused("a guard forbids this plan; nothing was written", hint=hint)
    # Only a person at a terminal is asked, wherever the answer goes; scripts and CI jobs are not kept waiting.
    asks = plan.changes and not how.yes and sys.stdin.isatty()
    if asks and not _agreed(plan):
        click.echo(_NOTHING_WRITTEN, err=True)
        return ExitCode.FAILURE
    # Bars and events on the same terminal would write into each other.
    silent = how.quiet or (how.output_format == "json" and sys.stdout.isatty())
    with stop_on_signals() as stopping, progress(sys.stderr, quiet=silent) as sink:
        stopping.draw = sink.notice
        sink.expect("uploading", models=len(plan.changes), total_bytes=plan.summary.upload_bytes)

        def on_event(event: Event) -> None:
            if isinstance(event, Started):
                stopping.in_flight[event.change.name] = None
            elif isinstance(event, Finished):
                stopping.in_flight.pop(event.outcome.change.name, None)
            sink(event)
            report.event(event)
            if isinstance(event, Verified) and event.unverified:
                warn(event.unverified)

        outcomes = apply_plan(
            plan,
            connection,
            jobs=jobs,
            stop=stopping,
            fail_fast=how.fail_fast,
            on_event=on_event,
            audit=audit,
            backup=backup,
        )
    undo = undo_command(backup)
    report.outcomes(outcomes, undo)
    added = [one.change.name for one in outcomes if one.ok and one.change.action == "add"]
    if undo and added:
        click.echo(f"The undo leaves what was added: {few(sorted(added))}.", err=True)
    if how.checksums:
        write_checksums(how.checksums, plan, outcomes)
    publish(plan, outcomes, undo)
    for error in (report.error, audit.error if audit else None):
        if error is not None:
            raise error
    return _exit_code(plan, outcomes, stopping.signal, detailed=how.detailed_exitcode)


def _agreed(plan: Plan) -> bool:
    """Ask whether to go on; raises `KeyboardInterrupt` that says what Ctrl-C has left."""
    question = "Apply these changes? [y/N]: "
    if not sys.stdout.isatty():  # the plan goes elsewhere, or comes here by way of another program, later
        counts = plan.summary
        question = f"{counts.add:,} to add, {counts.change:,} to change, {counts.delete:,} to delete. {question}"
    try:
        return confirmed(question)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_NOTHING_WRITTEN) from None


def _exit_code(plan: Plan, outcomes: Sequence[Outcome], signal: int | None, *, detailed: bool) -> int:
    if signal is not None:
        return 128 + signal
    if plan.has_errors or not all(outcome.ok for outcome in outcomes):
        return ExitCode.FAILURE
    return ExitCode.CHANGES if outcomes and detailed else ExitCode.DONE


class ApplyReport:
    """The report of one apply on stdout: the plan, the events, the outcomes.

    ``text`` is the plan, then the outcomes; ``json`` an event a line, as it happens; ``markdown`` a report at the end.
    """

    def __init__(self, plan: Plan, output_format: str) -> None:
        self._plan = plan
        self._format = output_format
        self._digest = plan_digest(plan)
        self._lines = EventLines()
        self.error: Exception | None = None  # what kept the report of events and outcomes from stdout

    def plan(self) -> None:
        """Report what is to be done."""
        if self._format == "text":
            out = sys.stdout
            answer(render_plan(self._plan, digest=self._digest, width=columns(out), colour=colour(out)))
        elif self._format == "json":
            plan = self._plan
            self._write(
                [version_line(__version__), *map(change_line, plan.changes), *map(diagnostic_line, plan.diagnostics)]
            )
        elif self._plan.refusals:
            answer(render(self._plan, digest=self._digest))  # nothing follows that would be reported instead

    def event(self, event: Event) -> None:
        """Report an event. It never fails: an apply under way is not stopped because nobody listens any more."""
        if self._format == "json" and self.error is None:
            with self._kept():
                self._write(self._lines.lines(event))

    def outcomes(self, outcomes: tuple[Outcome, ...], undo: str = "") -> None:
        """Report what became of it, and the command that undoes it; an error of stdout is kept in ``error``."""
        if self.error is not None:
            return
        with self._kept():
            if self._format == "json":
                told = Diagnostic("info", "apply/undo", f"Undo: {undo}", after_undo(outcomes))
                self._write(
                    [
                        *([diagnostic_line(told)] if undo else []),
                        summary_line(self._plan, outcomes, digest=self._digest),
                    ]
                )
            elif self._format == "markdown":
                answer(render(self._plan, outcomes, digest=self._digest, undo=undo))
            elif self._plan.changes:
                out = sys.stdout
                text = render_outcomes(self._plan, outcomes, width=columns(out), colour=colour(out), undo=undo)
                answer("\n" + text)

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except (OSError, MmsyncError) as error:
            self.error = error

    def _write(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if text:
            answer(text)
