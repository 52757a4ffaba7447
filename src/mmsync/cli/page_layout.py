"""A page of help laid out for a terminal; loaded only where there is one, for rich takes 100 ms."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.measure import Measurement
from rich.table import Table


def laid_out(markdown: str, width: int) -> str:
    """Return Markdown as coloured text of at most ``width`` columns."""
    text = StringIO()
    screen = Console(file=text, width=width, force_terminal=True, no_color=False, legacy_windows=False)
    screen.print(_Page(markdown, code_theme="ansi_dark", hyperlinks=False))
    return text.getvalue()


class _WholeWords(TableElement):
    """A table whose words are whole: rich would end those that are longer than their column in an ellipsis."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                _fit(table, console, options)
            yield table


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _WholeWords}  # noqa: RUF012 - as rich declares it


def _fit(table: Table, console: Console, options: ConsoleOptions) -> None:
    """Give each column but the last, which explains, the width of its longest word or its share of a narrow screen."""
    for column in table.columns:
        column.overflow = "fold"
    if console.measure(table, options=options.update(width=1000)).maximum <= options.max_width:
        return
    share = options.max_width // (len(table.columns) + 1)
    for column in table.columns[:-1]:
        sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
        longest_word, widest = (max(size[end] for size in sizes) for end in (0, 1))
        column.width = min(widest, max(longest_word, share))
