"""A list some seconds behind: the watcher takes neither its own work for a failure nor the old list for somebody's doing."""

from __future__ import annotations

import pytest

from support.fault_proxy import FaultProxy
from support.lagging import Behind
from support.watching import ServerView, json_model, write_manifest


@pytest.fixture
def proxy(server):
    with FaultProxy(server.url) as between:
        between.token = server.token
        yield between


def test_a_list_behind_is_no_failure_and_no_drift(root, watch, server, proxy):
    contents = {"a": json_model(1), "b": json_model(2)}
    for name, data in contents.items():
        (root / f"{name}.json").write_bytes(data)
    write_manifest(root, discover="*.json")
    process = watch("--prune", server=ServerView(proxy), interval="0.3")
    process.until(lambda: server.holds(contents))
    process.until(lambda: process.rounds() >= 1)
    Behind(proxy, ["list"], 4)
    process.until(lambda: proxy.count("list") > 4)  # the list before is known
    uploads = proxy.count("upload")
    contents |= {"a": json_model(10), "c": json_model(3)}
    for name in ("c", "a"):
        (root / f"{name}.json").write_bytes(contents[name])
    process.until(lambda: server.holds(contents))
    lists = proxy.count("list")
    process.until(lambda: proxy.count("list") > lists + 6)
    assert proxy.count("upload") == uploads + 2
    told = process.events()
    assert not {"drift_found", "model_failed", "plan_failed"} & set(told), process.tail()
    assert not [record for record in process.records if record["level"] in ("warning", "error")], process.tail()
