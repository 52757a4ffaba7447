"""A plan's page in a real browser: its policy lets its style in, it fits, it prints, and everybody can use it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmsync.report.html import render
from support.browser import needs_chromium
from support.sample_plans import DIGEST, every_kind

pytestmark = needs_chromium


@pytest.fixture
def address(tmp_path):
    file = tmp_path / "plan.html"
    file.write_text(render(every_kind(), digest=DIGEST, version="0.0.0", show_all=True), encoding="ascii")
    return file.as_uri()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_has_its_style_and_can_be_used_by_all(browser, address, width, dark):
    page = browser.page(width=width, dark=dark)
    page.open(address)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.digest')).userSelect") == "all"
    if axe := os.environ.get("AXE_CORE", ""):  # .ci/run fetches one
        page.evaluate(Path(axe).read_text("utf-8") + ";0")
        found = page.evaluate("axe.run().then(run => run.violations.map(one => [one.id, one.nodes.map(n => n.html)]))")
        assert found == []
    page.evaluate("1")
    assert page.complaints == []


def test_it_prints_dark_on_light_whatever_the_screen_is(browser, address):
    page = browser.page(dark=True)
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    page.call("Emulation.setEmulatedMedia", media="print", features=[scheme])
    page.open(address)
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ground')").strip() == "#ffffff"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.call("Page.printToPDF")["data"]
