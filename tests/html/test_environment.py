"""Pages: nothing that is put on one is more than text, and the colours can be read."""

from __future__ import annotations

import re
from itertools import product

import pytest
from jinja2 import UndefinedError

from mmsync.html.environment import render, stylesheet
from mmsync.printable import harmless

SHEETS = ["registry.css", "plan.css", "status.css"]


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        render("registry_sign_in.html")


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_style_sheet_fetches_nothing_and_can_stand_inside_a_page(sheet):
    style = stylesheet(sheet)
    assert style.isascii()
    assert harmless(style) == style
    assert not re.search(r"url\(|@import|</|expression", style)
    assert style.count("{") == style.count("}")


def colours(scheme):
    light, _, dark = stylesheet("plan.css").partition("@media screen and (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark)) if scheme == "dark" else {})


def contrast(one, other):
    """The ratio that the Web Content Accessibility Guidelines define: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_every_ground(scheme):
    found = colours(scheme)
    for text, ground in product(("text", "faint", "link", "good", "bad", "warn"), ("ground", "raised")):
        assert contrast(found[text], found[ground]) >= 4.5, (scheme, text, ground)
    for ground in ("added", "removed"):
        assert contrast(found["text"], found[ground]) >= 4.5, (scheme, ground)
    assert contrast(found["edge"], found["ground"]) >= 3, scheme  # of what one types into or presses
