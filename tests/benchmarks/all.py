"""Every benchmark in one run: a table of mmsync, its peer and what limits both, and the same as JSON.

    python tests/benchmarks/all.py [--quick] [--json FILE] [BENCHMARK …]

Each benchmark measures mmsync and its peer in turn, in processes of their own, so that a machine whose speed drifts
slows both. ``--quick`` takes a tenth of the sizes or less: a look at whether it all runs, whose figures say little.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
QUICK = {
    "apply": ["--models", "40", "--fleet", "400", "--rounds", "1"],
    "hash": ["--size", "256", "--files", "1000", "--rounds", "1"],
    "plan": ["500", "1000", "--rounds", "1"],
    "transfer": ["--size", "64", "--growth", "256", "--rounds", "1"],
}
HEADS = ("", "mmsync", "peer", "ratio", "target", "limit")


def machine() -> str:
    """Describe what this runs on."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    memory = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]) / 2**20
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{len(cpus)} cores ({cpus[0]}), {memory:.0f} GiB, {kernel}, Python {platform.python_version()}"


def run(name: str, words: list[str], folder: Path) -> list[dict[str, Any]]:
    """Run one benchmark, what it prints going to stderr, and return its rows."""
    found = folder / f"{name}.json"
    command = [sys.executable, str(HERE / f"{name}.py"), *words, "--json", str(found)]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit(f"{name} failed with {done.returncode}")
    rows: list[dict[str, Any]] = json.loads(found.read_text(encoding="utf-8"))
    return rows


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row's cells as text."""

    def figure(value: float) -> str:
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
        return f"{shown} {row['unit']}".rstrip()

    target = "" if row["target"] is None else f"{row['sense']} {row['target']:g}{'' if row['met'] else ', missed'}"
    return (
        row["name"],
        figure(row["mmsync"]),
        "" if row["peer"] is None else f"{figure(row['peer'])} ({row['peer_name']})",
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        target,
        row["limit"],
    )


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADS, tuple("---" for _ in HEADS), *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(QUICK)}; all if none")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    given = parser.parse_args()
    if unknown := set(given.benchmarks) - QUICK.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    began, rows = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="mmsync-benchmarks-") as folder:
        for name in given.benchmarks or QUICK:
            rows += run(name, QUICK[name] if given.quick else [], Path(folder))
    print(f"{machine()}\n\n{table(rows)}\n\n{time.monotonic() - began:.0f} s in all")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
