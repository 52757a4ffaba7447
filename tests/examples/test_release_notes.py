"""Only a tag that is the version, with a section of its own in the changelog, is released, and with just that section."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmsync import __version__

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- What comes next.

## [1.10.0] - 2026-11-30

### Fixed

- A fault, [told of](https://example.com) elsewhere.

## [1.1.0] - 2026-10-01

### Added

- What was first.

[1.10.0]: https://example.com/1.10.0
"""


@pytest.fixture
def release(tmp_path):
    """Ask for the notes of a tag in a checkout with this version and this changelog."""
    tools = tmp_path / ".github" / "tools"
    tools.mkdir(parents=True)
    shutil.copy(ROOT / ".github" / "tools" / "release_notes.py", tools)
    package = tmp_path / "src" / "mmsync"
    package.mkdir(parents=True)

    def ask(tag, version, changelog=CHANGELOG):
        text = (ROOT / "src" / "mmsync" / "_version.py").read_text()
        (package / "_version.py").write_text(text.replace(__version__, version))
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        return subprocess.run(
            [sys.executable, tools / "release_notes.py", tag], capture_output=True, text=True, check=False
        )

    return ask


@pytest.mark.parametrize(
    ("version", "notes"),
    [
        ("1.10.0", "### Fixed\n\n- A fault, [told of](https://example.com) elsewhere.\n"),
        ("1.1.0", "### Added\n\n- What was first.\n"),
    ],
)
def test_the_notes_are_the_section_of_the_version(release, version, notes):
    ran = release(f"v{version}", version)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, notes, "")


@pytest.mark.parametrize(
    ("tag", "version", "reason"),
    [
        ("v1.10.1", "1.10.0", "says 1.10.0"),
        ("1.10.0", "1.10.0", "says 1.10.0"),
        ("v1.10", "1.10.0", "says 1.10.0"),
        ("v2.0.0", "2.0.0", "no section"),
        ("v1.1", "1.1", "no section"),
        ("vUnreleased", "Unreleased", "no date"),
    ],
)
def test_any_other_tag_is_refused(release, tag, version, reason):
    ran = release(tag, version)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert reason in ran.stderr


def test_an_empty_section_is_refused(release):
    ran = release("v1.10.0", "1.10.0", CHANGELOG.replace("- A fault,", "A fault,"))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "lists nothing" in ran.stderr


def test_the_changelog_of_this_project_is_one_that_it_reads(release):
    changelog = (ROOT / "CHANGELOG.md").read_text().replace("## [Unreleased]", "## [9.9.9] - 2026-11-30")
    ran = release("v9.9.9", "9.9.9", changelog)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("### Added")
