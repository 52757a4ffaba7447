"""The page of several servers, against two that run here under the names of its profiles."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from mmsync import help as pages
from mmsync.server import running
from support import transcript

ROOT = Path(__file__).parents[2]
_PROFILES = re.compile(r"^```ini\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_transcripts_are_what_happens(tmp_path):
    text = pages.page("environments")
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    shutil.copytree(ROOT / "examples/quickstart", folder, ignore=shutil.ignore_patterns("__pycache__"))
    environment = transcript.environment(home, Path(sys.executable).parent)
    environment["PYTHONPATH"] = str(Path(pages.__file__).parents[2])
    [profiles] = _PROFILES.findall(text)
    with (
        running(tmp_path / "dev", prefix="/mlmodelmanager", token="one") as dev,
        running(tmp_path / "production", prefix="/mlmodelmanager", token="two") as production,
    ):
        for name, address in (("dev", dev), ("models", production)):
            origin = address.url.removesuffix("/mlmodelmanager")
            profiles = profiles.replace(f"https://{name}.example.com", origin).replace("…", address.token, 1)
        file = home / "modelmanager.ini"
        file.write_text(profiles)
        file.chmod(0o600)
        first, *commands = transcript.read(text)
        assert first.script == "cd examples/quickstart"  # of the reader: each command here is a shell of its own
        for command in commands:
            transcript.run(command, folder, environment)
