"""The page of a real watcher in a real browser: what the log tells is seen as it comes, without a reload."""

from support.browser import needs_chromium
from support.watching import json_model, write_manifest

pytestmark = needs_chromium


def test_a_drop_a_failure_and_a_recovery_are_seen_live(root, watch, server, browser):
    write_manifest(root, discover="*.json")
    (root / "a.json").write_bytes(json_model(1))
    process = watch("--listen", "127.0.0.1:0")
    page = browser.page()
    page.open(process.seen("listening")["url"])
    page.until("document.getElementById('live').textContent.startsWith('Live')")
    row = "document.querySelector('.models tbody')?.innerText ?? ''"
    process.seen("model_added", model="a")
    page.until(f"/synced\\s+a\\b/.test({row})", patience=10.0)
    (root / "b.json").write_bytes(b"no json at all")
    process.seen("model_failed", model="b")
    page.until(f"/blocked\\s+b\\b/.test({row})", patience=10.0)
    assert "Something needs you" in page.evaluate("document.querySelector('h1').innerText")
    (root / "b.json").write_bytes(json_model(2))
    process.seen("model_recovered", model="b")
    page.until(f"/synced\\s+b\\b/.test({row})", patience=10.0)
    page.until("document.querySelector('h1').innerText === 'All is well: all 2 models are in sync.'", patience=10.0)
    assert page.complaints == []
