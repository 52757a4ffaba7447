"""A page of HTML as a browser takes it: its elements and its text, with every element closed where it was opened."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = frozenset({"meta", "link", "input", "br"})
_BESIDE_OTHERS = frozenset({"td", "th", "li", "p", "dt", "dd", "option"})  # white space or none, a browser parts them


class Page(HTMLParser):
    """A page, read whole; raises AssertionError for one whose elements are not closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []  # in order, each with its attributes
        self._texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in _BESIDE_OTHERS:
            self._texts.append(("", " "))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes what is open"

    def handle_data(self, data: str) -> None:
        self._texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, tag: str) -> list[str]:
        """Return the texts that stand directly in such elements."""
        return [text for name, text in self._texts if name == tag]

    def links(self) -> list[str]:
        """Return where its links lead."""
        return [each["href"] or "" for each in self.all("a")]

    @property
    def text(self) -> str:
        """Return what a person reads, white space as a browser shows it."""
        return " ".join("".join(text for tag, text in self._texts if tag != "style").split())
