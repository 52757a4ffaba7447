"""Check every run: block of the workflows and actions given, as the runner would start it, with shellcheck.

usage: run_blocks.py FILE…   (exit 1 where shellcheck finds anything)
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml


def run_blocks(document: dict) -> Iterator[tuple[str, str]]:
    """Yield each script of a workflow or an action with the name of its step."""
    jobs = document.get("jobs", {"action": document.get("runs", {})})
    for job, settings in jobs.items():
        for number, step in enumerate(settings.get("steps", []), 1):
            if "run" in step:
                yield f"{job}, {step.get('name', f'step {number}')}", step["run"]


def main(paths: list[str]) -> int:
    """Print what shellcheck finds; return the exit status."""
    status = 0
    for path in paths:
        for where, script in run_blocks(yaml.safe_load(Path(path).read_text("utf-8"))):
            text = re.sub(r"\$\{\{.*?\}\}", "EXPRESSION", script)
            done = subprocess.run(
                ["shellcheck", "--shell=bash", "--severity=style", "-"], input=text, text=True, check=False
            )
            if done.returncode:
                print(f"{path}: {where}: the lines above", file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
