"""A server in this process, and what it holds."""

from __future__ import annotations

import pytest

from mmsync.server import running
from support.watching import ServerView


@pytest.fixture(name="server")
def viewed_server(tmp_path):
    with running(tmp_path / "server") as address:
        view = ServerView(address)
        yield view
        view.close()
