"""Names that a newcomer has to be told do not come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BAD = '''
"""A fault, a glance, other hands: prose is free."""
class StandingOrder: ...
async def look_closely(way_on, *notes, held=None, **places): ...
lost = lambda problem: problem
shown = "a name of no function"
class Entry:
    restless: bool = False
'''


def names(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "names", folder], capture_output=True, text=True, timeout=60, check=False
    )


def test_no_name_in_the_source_needs_to_be_told():
    found = names(ROOT / "src")
    assert (found.returncode, found.stdout) == (0, "")


def test_each_kind_of_name_is_looked_at(tmp_path):
    (tmp_path / "teller.py").write_text(BAD)
    found = names(tmp_path)
    assert found.returncode == 1
    told = {line.split(": ")[1] for line in found.stdout.splitlines()}
    assert told == {
        "teller",
        "StandingOrder",
        "look_closely",
        "way_on",
        "held",
        "notes",
        "places",
        "problem",
        "restless",
    }
