from __future__ import annotations

from support.applying_fixtures import proxy, server, site, view  # noqa: F401  # pytest finds fixtures by name
