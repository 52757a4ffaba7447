"""How long the attacks go on: short in the suite, long where ``ATTACK_SCALE`` says so (``tests/attacks/long``)."""

from __future__ import annotations

import os

import pytest

_SCALE = int(os.environ.get("ATTACK_SCALE", "1"))


@pytest.fixture
def scale() -> int:
    """The factor by which an attack multiplies its rounds: 1 in the suite."""
    return _SCALE
