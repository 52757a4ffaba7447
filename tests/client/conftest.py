from __future__ import annotations

import pytest

from support.wire import Wire


@pytest.fixture
def wire():
    """Start raw servers: ``wire(reply)``, ``wire(reply, on_head=…)``."""
    started = []

    def start(reply, **settings) -> Wire:
        server = Wire(reply, **settings).__enter__()
        started.append(server)
        return server

    yield start
    for server in started:
        server.__exit__()
