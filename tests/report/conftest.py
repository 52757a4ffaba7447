"""Goldens: ``GOLDEN=write pytest tests/report`` writes them anew; read the difference before committing it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent / "golden"


@pytest.fixture
def is_golden():
    """Compares a text with a file of tests/report/golden, to the character."""

    def compare(name: str, text: str) -> None:
        path = _FOLDER / name
        if os.environ.get("GOLDEN") == "write":
            path.write_text(text, encoding="utf-8", newline="")
        assert text == path.read_text(encoding="utf-8")

    return compare
