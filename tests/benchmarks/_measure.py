"""What every benchmark needs: a process measured, and rows of figures that a table can be made of."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple


class Run(NamedTuple):
    """What one process took."""

    seconds: float  # as the process itself says
    cpu: float  # seconds, user and system
    peak: int  # MB of resident memory


def measured(command: Sequence[str]) -> Run:
    """Run a command whose last word on stdout is its seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed")
    return Run(float(told.split()[-1]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def median(runs: Sequence[Run]) -> float:
    """Return the median of the seconds."""
    return statistics.median(run.seconds for run in runs)


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


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as a JSON list of objects, the ratio and whether the target is met among their keys."""
    told = [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows]
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
