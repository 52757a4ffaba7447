"""Check that a tag may be released, and print its section of CHANGELOG.md, for the notes of the release.

usage: release_notes.py TAG   (exit 1 where the tag is not the version, or the section is missing, undated or empty)
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?[ \t]*$", re.MULTILINE)


def read_version(text: str) -> str:
    """Return the version that src/mmsync/_version.py holds."""
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        sys.exit("src/mmsync/_version.py holds no version")
    return found[1]


def cut_section(changelog: str, version: str) -> str:
    """Return what stands between the heading of a version and the next one; end the program where that is nothing."""
    headings = list(HEADING.finditer(changelog))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading["version"] == version:
            if heading["date"] is None:
                sys.exit(f"CHANGELOG.md: the section of {version} has no date")
            body = changelog[heading.end() : following.start() if following else None]
            # Addresses of links may follow the last section.
            body = re.sub(r"^\[[^\]]+\]: \S+[ \t]*$", "", body, flags=re.MULTILINE).strip()
            if not re.search(r"^- ", body, re.MULTILINE):
                sys.exit(f"CHANGELOG.md: the section of {version} lists nothing")
            return body
    sys.exit(f"CHANGELOG.md has no section ## [{version}] - DATE")


def main(tag: str) -> None:
    """Print the notes of a tag, or say why there are none."""
    version = read_version((ROOT / "src" / "mmsync" / "_version.py").read_text("utf-8"))
    if tag != f"v{version}":
        sys.exit(f"the tag is {tag}, and src/mmsync/_version.py says {version}: they must agree")
    print(cut_section((ROOT / "CHANGELOG.md").read_text("utf-8"), version))


if __name__ == "__main__":
    main(*sys.argv[1:])
