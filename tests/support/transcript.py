"""Reads transcripts out of Markdown and runs them, so that what the documentation shows is what happens.

A transcript is a fenced block marked ``console``: lines that begin with ``$ `` are commands (continued while they end
in a backslash), what follows is the output to expect, standard error included. In expected output ``…`` stands for any
text within the line, and a line that is only ``…`` for any number of lines. A block whose fence is preceded by
``<!-- not run: REASON -->`` is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BLOCK = re.compile(r"^(?P<skip><!-- not run: .+ -->\n)?```console\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A command of a transcript: its place, what to run, and the output to expect, lines joined by line ends."""

    line: int
    script: str
    expected: str


def read(text: str) -> Iterator[Command]:
    """Yield every command of the transcripts in a Markdown text, in order."""
    for block in _BLOCK.finditer(text):
        if block["skip"]:
            continue
        at = text.count("\n", 0, block.start("body"))
        lines = block["body"].splitlines()
        if not lines or not lines[0].startswith("$ "):
            raise AssertionError(f"line {at + 1}: a transcript begins with a command")
        index = 0
        while index < len(lines):
            line = at + index + 1
            script = [lines[index].removeprefix("$ ")]
            while script[-1].endswith("\\"):
                index += 1
                script.append(lines[index])
            index += 1
            expected = []
            while index < len(lines) and not lines[index].startswith("$ "):
                expected.append(lines[index])
                index += 1
            yield Command(line, "\n".join(script), "\n".join(expected))


def matches(expected: str, actual: str) -> bool:
    """Whether ``actual`` is what ``expected`` describes; space at the end of a line is of no account."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
    normal = "".join(f"{line.rstrip()}\n" for line in actual.splitlines())
    return re.fullmatch(pattern, normal) is not None


def run(command: Command, folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command in ``folder`` with bash and return its output; raise AssertionError where it is not as expected."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.script],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    shown = f"line {command.line}: $ {command.script}\n{done.stdout}"
    assert done.returncode == 0, f"exit {done.returncode} of {shown}"
    assert matches(command.expected, done.stdout), f"output of {shown}is not what is written:\n{command.expected}"
    return done.stdout


def environment(home: Path, programs: Path) -> dict[str, str]:
    """Return an environment with a home of its own, the programs of one folder first, and a terminal's usual width."""
    return {
        "PATH": os.pathsep.join([str(programs), "/usr/local/bin:/usr/bin:/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
    }
