"""The page in a real browser: live, with the keyboard, for a screen reader, on a phone, and without a script."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from mmsync.status.listener import listening
from support.browser import Browser, chromium
from support.sample_status import HOSTILE, hostile, many, wrong
from support.status_source import SettableSource

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="Chromium is not installed (Debian's package chromium)"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def browser():
    started = Browser(chromium())
    yield started
    started.close()


@pytest.fixture
def source():
    return SettableSource(wrong())


@pytest.fixture
def opened(browser, source, request):
    """Open the page of the source's status; at the end the browser has had nothing to complain of."""
    pages = []
    with listening("127.0.0.1", 0, source, now=lambda: wrong().at) as url:

        def start(path="/", **options):
            page = browser.page(**options)
            pages.append(page)
            page.open(url + path)
            return page

        yield start
        for page in pages:
            page.evaluate("1")
            assert page.complaints == []
            page.close()


def live(page):
    page.until("document.getElementById('live').textContent === 'Live.'")


def with_state(status, name, state):
    return replace(
        status, models=tuple(one._replace(state=state) if one.name == name else one for one in status.models)
    )


def test_what_happens_is_seen_within_a_second(opened, source):
    page = opened()
    live(page)
    row = "document.querySelector('tbody').innerText"
    for state in ("synced", "failed", "synced"):
        source.publish(with_state(source.status, "new_one", state))
        page.until(f"/{state}\\s+new_one/.test({row})", patience=1.0)
    source.publish(many(3))
    page.until("document.querySelector('h1').textContent === 'All is well: all 3 models are in sync.'", patience=1.0)
    assert "All is well" in page.evaluate("document.title")
    page.until("document.getElementById('live').textContent.startsWith('All is well')")


def test_what_somebody_does_meanwhile_stays(opened, source):
    page = opened()
    live(page)
    page.evaluate("document.querySelector('.history details').open = true; document.getElementById('q').focus()")
    page.type("log")
    page.until("location.search === '?q=log' && document.querySelectorAll('tbody tr').length === 3")
    assert page.evaluate("[document.activeElement.id, document.activeElement.value, document.activeElement.selectionStart]") == ["q", "log", 3]  # fmt: skip
    assert page.evaluate("document.querySelector('.history details').open")
    page.evaluate("window.scrollTo(0, 200)")
    place = "Math.round(document.getElementById('q').getBoundingClientRect().top)"
    before = page.evaluate(place)
    source.publish(with_state(source.status, "login_odds", "settling"))
    page.until("/settling\\s+login_odds/.test(document.querySelector('tbody').innerText)")
    assert page.evaluate("[document.activeElement.id, document.activeElement.value]") == ["q", "log"]
    page.until(f"Math.abs({place} - {before}) < 2")
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 3


def test_the_keyboard_does_it_all(opened):
    page = opened()
    live(page)
    page.press("Tab", 9)
    assert page.evaluate("document.activeElement.className") == "skip"
    page.press("Enter", 13, "\r")
    page.until("document.activeElement.id === 'models'")
    page.press("/", 191, "/")
    page.until("document.activeElement.id === 'q'")
    page.type("risk")
    page.until("document.querySelectorAll('tbody tr').length === 1")
    page.press("Escape", 27)
    page.until("document.querySelectorAll('tbody tr').length === 7")
    page.evaluate("document.getElementById('by-size').focus()")
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('[aria-sort=descending] a')?.id === 'by-size'")
    assert page.evaluate("document.activeElement.id") == "by-size"
    page.evaluate("document.getElementById('state-failed').focus()")
    page.press("Enter", 13, "\r")
    page.until("document.querySelectorAll('tbody tr').length === 1")
    assert page.evaluate("document.querySelector('tbody th').innerText").startswith("fraud_score")


def test_pages_of_ten_thousand_models(opened, source):
    source.publish(many())
    page = opened()
    live(page)
    page.evaluate("document.querySelector('[rel=next]').click()")
    page.until("location.search === '?page=2' && document.querySelector('caption').innerText.includes('101 to 200')")


def test_without_a_script_it_is_whole(opened):
    page = opened("/?state=failed", scripts=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)  # only to look at it
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 1
    assert page.evaluate("document.getElementById('live').textContent") == ""
    assert page.evaluate("document.querySelector('form').method") == "get"


def test_a_lost_watcher_is_told_and_a_new_one_too(browser, source):
    with listening("127.0.0.1", 0, source) as url:
        page = browser.page()
        page.open(url)
        live(page)
        port = int(url.rpartition(":")[2])
    page.until("document.getElementById('live').textContent.startsWith('Not live since')")
    assert "login_odds" in page.text(), "what was known stays"
    with listening("127.0.0.1", port, source):
        page.until("document.getElementById('live').textContent === 'Live again.'")
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("sample", [wrong, hostile, many])
def test_it_never_scrolls_sideways_and_hostile_texts_do_nothing(opened, source, sample, width):
    source.publish(sample())
    page = opened(width=width)
    live(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.scripts.length") == 1
    assert page.evaluate("document.querySelectorAll('[onclick], [style], a[href^=javascript]').length") == 0
    if sample is hostile:
        assert "<script>alert(1)</script>" in page.text()
        assert HOSTILE not in page.text()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("sample", [wrong, hostile])
def test_axe_finds_no_violation(opened, source, sample, dark, width):
    script = os.environ.get("AXE_CORE", "")
    if not script:
        pytest.skip("AXE_CORE names no axe.min.js; .ci/run fetches one")
    source.publish(sample())
    page = opened(width=width, dark=dark)
    live(page)
    page.evaluate(Path(script).read_text("utf-8"))
    found = page.evaluate("axe.run().then(found => found.violations.map(one => [one.id, one.nodes.map(n => n.html)]))")
    assert found == []


def test_the_policy_admits_no_script_but_ours(opened, source, browser):
    page = opened()
    live(page)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.x = 1'}))"
    )
    assert page.evaluate("window.x === undefined")
    assert any("Content Security Policy" in str(one) for one in page.complaints)
    page.complaints.clear()


def test_another_site_cannot_frame_or_read_it(source):
    with listening("127.0.0.1", 0, source) as url:
        answer = requests.get(url, headers={"Origin": "https://evil.example"}, timeout=20)
    assert "access-control-allow-origin" not in answer.headers
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
