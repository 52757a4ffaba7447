"""The registry's pages in a real browser: its rules for forms, cookies and policies are what they were made for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmsync.server import running
from support.browser import needs_chromium

pytestmark = needs_chromium


def send(page, token):
    """Give the token as a person does."""
    page.until("document.activeElement?.name === 'token'")
    page.type(token)
    page.press("Enter", 13, "\r")


def sign_in(page, address):
    page.open(f"{address.url}/ui")
    send(page, address.token)
    page.until("document.title !== '' && !document.title.startsWith('Sign in') && document.readyState === 'complete'")


def complaints(page):
    page.evaluate("1")
    return [each for each in page.complaints if "status of 40" not in str(each)]


def test_the_token_is_asked_for_once_and_signing_out_ends_it(http, browser):
    http.add("secret_model", description="</title><script>document.title = 'run'</script>")
    page = browser.page()
    page.open(f"{http.address.url}/ui")
    send(page, "wrong")
    page.until("document.querySelector('[role=alert]')?.textContent.includes('That is not the token')")
    send(page, http.address.token)
    page.until("document.body?.innerText.includes('secret_model')")
    assert page.evaluate("location.pathname") == "/ui"
    assert page.evaluate("document.cookie") == ""  # no script sees it
    page.evaluate("document.querySelector('.models a[href*=model]').click()")
    page.until("location.pathname === '/ui/model' && document.title.startsWith('secret_model')")
    page.evaluate("document.querySelector('header button').click()")
    page.until("document.title.startsWith('Sign in')")
    page.open(f"{http.address.url}/ui/model?id=1")
    assert "secret_model" not in page.text()
    assert complaints(page) == []


def test_another_server_of_this_machine_cannot_send_the_form(http, browser, tmp_path):
    """Cookies know no ports: for a browser all servers of this machine are the same site."""
    http.add("secret_model")
    page = browser.page()
    with running(tmp_path / "other") as other:
        sign_in(page, http.address)
        page.call("Page.setBypassCSP", enabled=True)  # a page that lets its forms be sent anywhere
        page.open(f"{other.url}/ui")
        page.evaluate(
            f"document.body.innerHTML = `<form method=post action='{http.address.url}/ui/logout'></form>`;"
            "document.forms[0].submit()"
        )
        page.until("document.body?.innerText.includes('another site')")
        page.open(f"{http.address.url}/ui")
        assert "secret_model" in page.text()


def test_a_search_an_engine_and_an_order_go_with_the_form(http, browser):
    http.add("alpha", b"1")
    http.add("beta", b"22")
    page = browser.page()
    sign_in(page, http.address)
    page.evaluate("document.querySelector('[name=q]').focus()")
    page.type("BETA")
    page.press("Enter", 13, "\r")
    page.until("location.search.includes('q=BETA') && document.querySelectorAll('tbody tr').length === 1")
    page.open(f"{http.address.url}/ui")
    page.evaluate("document.querySelector('[name=sort]').value = '-size'; document.forms[1].requestSubmit()")
    page.until(
        "document.querySelector('[aria-sort=descending]') && document.querySelector('tbody a')?.innerText === 'beta'"
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits_and_can_be_used_by_all(http, browser, width, dark):
    fields = [{"name": "input_" + "x" * 60, "type": "float8", "description": "d"}] * 9
    http.add("m" * 300, description="w" * 2000 + "\nline", fields=fields)
    http.add("hidden_one", hidden=True)
    axe = os.environ.get("AXE_CORE", "")  # .ci/run fetches one
    page = browser.page(width=width, dark=dark)
    page.open(f"{http.address.url}/ui")
    for path in ("", "/ui", "/ui?q=nothing", "/ui/model?id=1", "/ui/model?id=2", "/ui/model?id=3"):
        if path == "/ui":
            send(page, http.address.token)
            page.until("document.body?.innerText.includes('hidden_one')")
        if path:
            page.open(http.address.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if axe:
            page.evaluate(Path(axe).read_text("utf-8") + ";0")
            found = page.evaluate(
                "axe.run().then(run => run.violations.map(one => [one.id, one.nodes.map(n => n.html)]))"
            )
            assert found == []
    assert complaints(page) == []
