"""``--help`` of every command is what was last agreed on.

After a change that is meant, write the texts anew and read the difference: ``REWRITE_HELP=1 pytest tests/docs/test_help.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXTS = Path(__file__).parent / "help"
COMMANDS = [
    "validate",
    "plan",
    "apply",
    "watch",
    "status",
    "init",
    "add",
    "import",
    "list",
    "show",
    "check",
    "pull",
    "serve",
    "schema",
    "completion",
    "help",
    "explain",
]
COMMANDS += ["ci", *(f"ci {name}" for name in ("plan", "apply", "drift", "digest", "comment", "run"))]


def help_of(command, home):
    done = subprocess.run(
        [Path(sys.executable).with_name("mmsync"), *command.split(), "--help"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("command", ["", *COMMANDS], ids=lambda command: command or "mmsync")
def test_help_is_what_was_agreed_on(command, tmp_path):
    shown = help_of(command, tmp_path)
    text = TEXTS / f"{command or 'mmsync'}.txt"
    if os.environ.get("REWRITE_HELP"):
        TEXTS.mkdir(exist_ok=True)
        text.write_text(shown)
    assert shown == text.read_text()


def test_the_commands_are_those_that_are_pinned(tmp_path):
    _, _, listed = help_of("", tmp_path).partition("Commands:\n")
    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and not line.startswith("   ")]
    assert sorted(names) == sorted(command for command in COMMANDS if " " not in command)
    assert {file.stem for file in TEXTS.iterdir()} == {"mmsync", *COMMANDS}


def test_every_option_says_what_it_does(tmp_path):
    for command in COMMANDS:
        _, _, rest = help_of(command, tmp_path).partition("\nOptions:\n")
        options, _, _ = rest.partition("\n\n")  # an example may follow
        lines = options.splitlines()
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith("  -"):
                described = "  " in line.strip() or after.startswith("    ")
                assert described, f"{command}: {line.strip()}"
