"""A server, a proxy that misbehaves on demand, and a folder of models for it."""

from __future__ import annotations

import pytest

from mmsync.server import running
from support.applying import Site, View
from support.fault_proxy import FaultProxy


@pytest.fixture
def server(tmp_path):
    with running(tmp_path / "server", token="t0ken") as address:
        yield address


@pytest.fixture
def view(server):
    """What the server holds, past the proxy."""
    seen = View(server.url, server.token)
    yield seen
    seen.close()


@pytest.fixture
def proxy(server):
    with FaultProxy(server.url) as between:
        yield between


@pytest.fixture
def site(tmp_path, proxy, server):
    """A folder of models, for the server behind the proxy."""
    return Site(tmp_path / "site", proxy.url, server.token)
