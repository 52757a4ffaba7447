"""No text sends people to a package index for mmsync: the name is not registered there, and anybody could take it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOLD = ["README.md", "CHANGELOG.md", ".pre-commit-hooks.yaml", "src", "examples", ".github", ".ci"]
INSTALLS = re.compile(
    r"\b(?:pip3? install|pip wheel|pip download|pipx (?:install|run)|uv (?:add|tool (?:install|run))|uvx)\b"
)
BARE = re.compile(r"mmsync(?:\[[\w,]*\])?(?:[=<>!~].*)?", re.IGNORECASE)


def named_from_an_index(text: str) -> Iterator[str]:
    """The lines of a text that install mmsync by its name alone: with neither an address nor a path."""
    for line in text.replace("\\\n", " ").splitlines():
        for install in INSTALLS.finditer(line):
            command = re.split(r"&&|\|\||[;|`]", line[install.end() :])[0]
            for word in (each.strip(",.") for each in re.sub(r"[\"'()]", " ", command).split()):
                if BARE.fullmatch(word) and not re.search(rf"{re.escape(word)}\s+@\s", command):
                    yield line.strip()


@pytest.mark.parametrize("place", TOLD)
def test_nothing_tells_people_to_install_mmsync_by_its_name(place):
    files = [ROOT / place, *(ROOT / place).rglob("*")]
    texts = [path.read_text("utf-8", errors="replace") for path in files if path.is_file()]
    assert texts
    assert [line for text in texts for line in named_from_an_index(text)] == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("pip install mmsync", True),
        ("f\"run pip install 'mmsync[server]' ({error})\"", True),
        ("python -m pip install --quiet 'mmsync[server,onnx]==1.2' && mmsync plan", True),
        ("pip install --quiet \\\n  mmsync", True),
        ("pipx run mmsync plan", True),
        ("uvx mmsync plan", True),
        ("pip install . && mmsync plan", False),
        ("pip install '.[server]'; mmsync serve", False),
        ('pip install "mmsync @ git+https://HOST/OWNER/mmsync@COMMIT"', False),
        ('pip install "mmsync[server] @ git+https://HOST/OWNER/mmsync@COMMIT"', False),
        ("pip install mmsync-1.0-py3-none-any.whl", False),
        ("pip install PySocks", False),
    ],
)
def test_a_name_is_told_from_an_address_or_a_path(line, is_found):
    assert bool(list(named_from_an_index(line))) is is_found
