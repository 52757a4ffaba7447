"""The page in a real browser: live, with the keyboard, for a screen reader, on a phone, and without a script."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from mmsync.html.environment import ago
from mmsync.status.listener import listening
from support.browser import needs_chromium
from support.sample_status import HOSTILE, hostile, many, wrong
from support.status_source import SettableSource

pytestmark = needs_chromium


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


def test_what_happens_is_seen_live(opened, source):
    page = opened()
    live(page)
    row = "document.querySelector('tbody').innerText"
    for state in ("synced", "failed", "synced"):
        source.publish(with_state(source.status, "new_one", state))
        page.until(f"/{state}\\s+new_one/.test({row})", patience=10.0)
    source.publish(many(3))
    page.until("document.querySelector('h1').textContent === 'All is well: all 3 models are in sync.'", patience=10.0)
    assert "All is well" in page.evaluate("document.title")
    page.until("document.getElementById('news').textContent.startsWith('All is well')")
    assert page.evaluate("document.getElementById('live').textContent") == "Live."


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
    page.until("document.activeElement.id === 'models'")
    page.until("document.getElementById('models').getBoundingClientRect().bottom > 0")


def test_without_a_script_it_is_whole(opened):
    page = opened("/?state=failed", scripts=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)  # only to look at it
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 1
    assert page.evaluate("document.getElementById('live').textContent") == ""
    assert page.evaluate("document.querySelector('form').method") == "get"


def test_a_lost_watcher_is_told_once_and_a_new_one_too(browser, source):
    with listening("127.0.0.1", 0, source) as url:
        page = browser.page()
        page.open(url)
        live(page)
        page.evaluate("""window.said = [];
            new MutationObserver(() => said.push(document.getElementById('live').textContent))
                .observe(document.getElementById('live'), {childList: true})""")
        port = int(url.rpartition(":")[2])
    page.until("document.getElementById('live').textContent.startsWith('Not live since')")
    assert "login_odds" in page.text(), "what was known stays"
    # Another watcher, which counts from the beginning and has come as far as the one before.
    other = SettableSource(replace(many(3), revision=source.status.revision))
    with listening("127.0.0.1", port, other):
        page.until("document.querySelector('h1').textContent === 'All is well: all 3 models are in sync.'")
        assert page.evaluate("said.length") == 2
        assert page.evaluate("said[1]") == "Live again."
    page.close()


def test_a_stream_that_is_refused_is_asked_for_again(browser, source, monkeypatch):
    monkeypatch.setattr("mmsync.status.listener._MOST_STREAMS", 0)
    with listening("127.0.0.1", 0, source) as url:
        page = browser.page()
        page.open(url)
        page.until("document.getElementById('live').textContent.startsWith('Not live since')")
        monkeypatch.setattr("mmsync.status.listener._MOST_STREAMS", 10)
        page.until("document.getElementById('live').textContent === 'Live again.'")
        source.publish(many(3))
        page.until("document.querySelector('h1').textContent === 'All is well: all 3 models are in sync.'")
    page.close()


def test_what_is_unfolded_and_what_has_the_focus_stays(opened, source):
    long = " ".join(f"word{n}" for n in range(200))
    status = source.status
    source.publish(
        replace(status, conditions=tuple(one._replace(message=long, hint=long) for one in status.conditions))
    )
    page = opened()
    live(page)
    unfolded = "[...document.querySelectorAll('.conditions details')].map(one => one.open)"
    page.evaluate("const one = document.querySelectorAll('.conditions summary')[2]; one.focus(); one.click()")
    expected = [n == 2 for n in range(8)]
    assert page.evaluate(unfolded) == expected
    source.publish(with_state(source.status, "new_one", "synced"))
    page.until("/synced\\s+new_one/.test(document.querySelector('tbody').innerText)")
    assert page.evaluate(unfolded) == expected
    assert page.evaluate("document.activeElement === document.querySelectorAll('.conditions summary')[2]")
    # What had the focus is no more: the keyboard goes on near by, not at the top of the page.
    page.evaluate(
        "document.getElementById('state-pending')?.focus() ?? document.getElementById('state-settling').focus()"
    )
    source.publish(replace(many(3), revision=source.status.revision))
    page.until("document.querySelector('h1').textContent.startsWith('All is well')")
    assert page.evaluate("document.activeElement.id") == "models"


@pytest.mark.parametrize("seconds", [0, 15, 59.9, 60, 3599, 3600, 2 * 86_400 - 1, 2 * 86_400, 900_000])
def test_times_go_on_while_nothing_happens(opened, source, seconds):
    source.publish(replace(many(1), history=()))
    page = opened()
    live(page)
    page.evaluate(f"const was = Date.now; Date.now = () => was() + {seconds * 1000}")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    model = source.status.models[0]
    shown = page.evaluate("document.querySelector('tbody time').textContent")
    # A second or two may pass between the page and the question.
    now = wrong().at + seconds
    assert shown in {ago(model.since, now + passed) for passed in (0, 1, 2, 3)}


def test_on_a_phone_the_models_can_be_ordered(opened, source):
    page = opened(width=390)
    live(page)
    assert page.evaluate("document.getElementById('by-size').getBoundingClientRect().height") > 0
    assert page.evaluate("document.querySelector('caption').getBoundingClientRect().height") < 50, "one line"
    page.evaluate("document.getElementById('by-size').click()")
    page.until("document.querySelector('[aria-sort=descending] a')?.id === 'by-size'")
    assert page.evaluate("document.querySelector('tbody th').innerText").startswith("login_odds")


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
