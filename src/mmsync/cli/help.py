"""``mmsync help`` and ``mmsync explain``: the pages that ship, for people."""

from __future__ import annotations

import difflib
import sys

import click

from mmsync.cli.output import answer, colour, columns
from mmsync.errors import SettingsError
from mmsync.help import TOPICS, find_entries, near_codes, page, without_comments
from mmsync.printable import printable

_WIDEST = 100  # columns: longer lines are hard to read


@click.command("help", epilog="\b\nExamples:\n  mmsync help connecting\n  mmsync help plan")
@click.argument("topic", required=False)
@click.pass_context
def help(context: click.Context, topic: str | None) -> None:  # noqa: A001 - a command's function has its name
    """Explain a topic, or show the help of a command; without TOPIC, list the topics.

    A topic wins over a command of the same name, whose options are in mmsync COMMAND --help.
    """
    if topic is None:
        _list_topics()
        return
    root = context.find_root()
    group = root.command
    commands = group.list_commands(root) if isinstance(group, click.Group) else []
    if topic in TOPICS:
        more = f"\nEvery option: `mmsync {topic} --help`\n" if topic in commands else ""
        show(without_comments(page(topic)) + more)
        return
    if isinstance(group, click.Group) and (command := group.get_command(root, topic)) is not None:
        with click.Context(command, info_name=topic, parent=root) as inner:
            answer(command.get_help(inner) + "\n")
        return
    near = difflib.get_close_matches(topic.lower(), [*TOPICS, *commands], 1)
    hint = f"did you mean {near[0]}?" if near else "mmsync help lists the topics"
    if not near and (pages := _pages_with(topic)):
        hint = f"it is a word of {' and '.join(f'mmsync help {name}' for name in pages)}"
    raise SettingsError(f"no such topic or command: {printable(topic, 60)}", hint)


@click.command(epilog="\b\nExample:\n  mmsync explain guard/max-delete")
@click.argument("code")
def explain(code: str) -> None:
    """Explain one code of a diagnostic, an outcome or a condition: what it means, and what to do.

    The room's name may be left out: max-delete is guard/max-delete.
    """
    found = find_entries(code)
    if not found:
        near = near_codes(code)
        hint = f"did you mean {' or '.join(near)}?" if near else "mmsync help diagnostics has them all"
        raise SettingsError(f"no such code: {printable(code, 80)}", hint)
    show("\n".join(entry.text for entry in found))


def _pages_with(word: str) -> list[str]:
    """Return the topics, two at most, whose pages have a word most often; an entry for a code is no page."""
    word = word.lower().lstrip("-")
    counts = {name: page(name).lower().count(word) for name in TOPICS if name != "diagnostics"} if word.strip() else {}
    return sorted(filter(counts.get, counts), key=lambda name: -counts[name])[:2]


def _list_topics() -> None:
    widest = max(map(len, TOPICS))
    room = min(columns(sys.stdout), _WIDEST)
    formatter = click.HelpFormatter(width=room)
    formatter.write_text("Topics, each with mmsync help TOPIC:")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_dl(list(TOPICS.items()), col_max=widest)
    formatter.write_paragraph()
    formatter.write_text("mmsync help COMMAND shows the options of a command, mmsync explain CODE one code.")
    answer(formatter.getvalue())


def show(markdown: str) -> None:
    """Write Markdown to stdout: laid out on a terminal, as it is elsewhere."""
    if not colour(sys.stdout):
        answer(markdown)
        return
    from mmsync.cli.page_layout import laid_out  # noqa: PLC0415 - 100 ms for rich, which a pipe need not wait for

    answer(laid_out(markdown, min(columns(sys.stdout), _WIDEST)))
