"""What every benchmark needs: its options, processes measured, and rows of figures that a table can be made of."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import mmsync

# As pip does it at an installation: else a checkout, unlike its peers, may be compiled by every process that is measured.
compileall.compile_dir(Path(mmsync.__file__).parent, quiet=1)

# What a process is said to have had in memory at its peak includes whoever started it: this is small.
STARTER = """
import os, sys, time
out, *command = sys.argv[1:]
to = [(os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY, 0)] if out else []
began = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ, file_actions=to), 0)
print("", time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, sep="\\n")
sys.exit(os.waitstatus_to_exitcode(status))
"""


def options(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """Return the parser of the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser


class Run(NamedTuple):
    """What one process took."""

    seconds: float
    cpu: float  # seconds, user and system
    peak: float  # MB of resident memory


def measured(command: Sequence[str], *, folder: Path | None = None, says: bool = False, **environment: str) -> Run:
    """Run a command in a folder, with more variables; ``says``: the last word on its stdout is its seconds."""
    # What nobody reads goes nowhere: some write every line by itself, and would wait for whoever takes it.
    started = [sys.executable, "-I", "-S", "-c", STARTER, "" if says else os.devnull, *command]
    done = subprocess.run(
        started, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command[:3]} failed")
    *told, seconds, cpu, peak = done.stdout.split()
    return Run(float(told[-1] if says else seconds), float(cpu), float(peak))


def medians(runs: Sequence[Run]) -> Run:
    """Return the medians of the seconds, of the processor seconds and of the peaks."""
    return Run(*map(statistics.median, zip(*runs, strict=True)))


@dataclass(frozen=True)
class Row:
    """One figure of mmsync, alone or beside a peer's from the same run."""

    name: str
    mmsync: float
    unit: str  # of both figures: "s", "MB/s", "MB", …
    sense: Literal["at least", "at most"]
    target: float | None  # for the ratio, or for the figure where there is no peer
    peer: float | None = None
    peer_name: str = ""
    limit: str = ""  # what bounds the figure, measured in the same run

    @property
    def ratio(self) -> float | None:
        """Return times as fast as the peer (at least), or times the peer's figure (at most); None without a peer."""
        if self.peer is None:
            return None
        faster = (self.unit == "s") == (self.sense == "at least")
        return self.peer / self.mmsync if faster else self.mmsync / self.peer

    @property
    def met(self) -> bool | None:
        """Return whether the target is met; None where there is none."""
        if self.target is None:
            return None
        found = self.mmsync if self.ratio is None else self.ratio
        return found >= self.target if self.sense == "at least" else found <= self.target

    def __str__(self) -> str:
        beside = "" if self.ratio is None else f"  {self.peer:9.2f} {self.peer_name}: {self.ratio:.2f}"
        wanted = "" if self.target is None else f"  {self.sense} {self.target:g}: {'met' if self.met else 'MISSED'}"
        return f"{self.name:46} {self.mmsync:9.2f} {self.unit:4}{beside}{wanted}" + (self.limit and f"  ({self.limit})")


def report(rows: Iterable[Row], path: Path | None) -> None:
    """Print rows, and write them as a JSON list of objects, the ratio and whether the target is met among their keys."""
    told = []
    for row in rows:
        print(row)
        told.append(asdict(row) | {"ratio": row.ratio, "met": row.met})
    if path:
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
