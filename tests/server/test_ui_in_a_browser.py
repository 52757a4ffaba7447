"""The registry's pages in a real browser: its rules for forms, cookies and policies are what they were made for."""

from __future__ import annotations

import pytest
import requests

from mmsync.server import running
from support.chromium import browsing, needs_chromium

pytestmark = needs_chromium


def send(browser, token):
    browser.evaluate(f"document.querySelector('input[name=token]').value = {token!r}")
    browser.evaluate("document.querySelector('form.door').requestSubmit()", leads_on=True)


def test_the_token_is_asked_for_once_and_signing_out_ends_it(http):
    http.add("secret_model", description="</title><script>document.title = 'run'</script>")
    with browsing() as browser:
        browser.open(f"{http.address.url}/ui")
        assert browser.evaluate("document.activeElement.name") == "token"
        send(browser, "wrong")
        assert "That is not the token" in browser.evaluate("document.querySelector('[role=alert]').textContent")
        send(browser, http.address.token)
        assert browser.evaluate("location.pathname") == "/ui"
        assert "secret_model" in browser.evaluate("document.body.textContent")
        assert browser.evaluate("document.cookie") == ""  # no script sees it
        browser.open(f"{http.address.url}/ui/model?id=1")
        assert "secret_model" in browser.evaluate("document.title")
        assert [each for each in browser.complaints if "status of 40" not in each] == []
        browser.evaluate("[...document.querySelectorAll('form')].at(-1).requestSubmit()", leads_on=True)
        assert "Sign in" in browser.evaluate("document.title")
        browser.open(f"{http.address.url}/ui/model?id=1")
        assert "secret_model" not in browser.evaluate("document.body.textContent")


def test_another_site_on_this_machine_can_neither_send_the_form_nor_read_a_page(http, tmp_path):
    """Cookies know no ports: for a browser every server of this machine is the same site."""
    http.add("secret_model")
    with running(tmp_path / "other") as other, browsing() as browser:
        browser.open(f"{http.address.url}/ui")
        send(browser, http.address.token)
        browser.open(f"{other.url}/ui")
        # A page of the other server, whose policy would not let it: what a page without one could do.
        browser.ask("Page.setBypassCSP", enabled=True)
        browser.open(f"{other.url}/ui")
        browser.evaluate(
            f"document.body.innerHTML = `<form method=post action='{http.address.url}/ui/logout'></form>`;"
            "document.forms[0].submit()",
            leads_on=True,
        )
        assert "another site" in browser.evaluate("document.body.textContent")
        browser.open(f"{http.address.url}/ui")
        assert "secret_model" in browser.evaluate("document.body.textContent")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(http, width):
    fields = [{"name": "input_" + "x" * 60, "type": "float8"}] * 9
    http.add("m" * 300, description="w" * 2000, fields=fields)
    headers = {"standAloneToken": http.address.token}
    with browsing(width=width) as browser:
        browser.ask("Network.enable")
        browser.ask("Network.setExtraHTTPHeaders", headers=headers)
        for path in ("/ui", "/ui?q=nothing", "/ui/model?id=1"):
            assert requests.get(http.address.url + path, headers=headers, timeout=10).ok
            browser.open(http.address.url + path)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
