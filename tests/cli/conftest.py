"""A desk to work at, and goldens: ``GOLDEN=write pytest tests/cli`` writes them anew; read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent / "golden"


@pytest.fixture
def is_golden():
    """Compares a transcript with a file of tests/cli/golden, to the character."""

    def compare(name: str, text: str) -> None:
        path = _FOLDER / f"{name}.txt"
        if os.environ.get("GOLDEN") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        assert text == path.read_text(encoding="utf-8")

    return compare
