"""First applies: many small models over a network's latency beside a loop over the official client; and very many.

    python tests/benchmarks/apply.py [--models 200] [--size 20480] [--latency 0.02] [--fleet 10000] [--rounds 3]

The server is the embedded one, in a process of its own; with ``--latency`` it waits that long before each answer, as a
network would. Both sides begin with an empty server; mmsync is timed as a whole process at its default settings, with
no ledger; the official client without its process's start. The fleet is applied without latency, and a tenth of it as
well, to show how the cost grows. Medians of the rounds are printed.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from _measure import Row, measured, options, report

from mmsync.manifest.writer import Entry, manifest_text

SERVER = """
import os, sys
from mmsync.http_server import connection_limits
from mmsync.server import running
requests, began = 0, connection_limits.LimitedProtocol.on_headers_complete
def counted(self):
    global requests
    requests += 1
    began(self)
connection_limits.LimitedProtocol.on_headers_complete = counted
with running(sys.argv[1], token="t0ken", latency=float(sys.argv[2])) as address:
    print(address.url, flush=True)
    sys.stdin.read()
print(sum(os.times()[:2]), requests, flush=True)
"""

OFFICIAL = """
import sys, time
from devo_ml.modelmanager import create_client_from_token
client = create_client_from_token(sys.argv[1], "t0ken")
began = time.perf_counter()
for number in range(int(sys.argv[2])):
    client.add_model(f"m{number}", "BIGML", f"m{number}.json", force=True)
print(time.perf_counter() - began)
"""


class Side(NamedTuple):
    """What one side took to make an empty server hold the models."""

    seconds: float
    cpu: float  # seconds of the client's process
    peak: float  # MB of its resident memory
    server_cpu: float  # seconds of the server's process
    requests: int


@contextlib.contextmanager
def server(folder: Path, latency: float, told: list[float]) -> Iterator[str]:
    """Serve ``folder``; at the end ``told`` gets the server's processor seconds and the number of requests."""
    command = [sys.executable, "-c", SERVER, str(folder), str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            out, _ = process.communicate("")
            told += map(float, out.split())


def write_models(folder: Path, count: int, size: int) -> None:
    """Write model files of ``size`` bytes, and the manifest that lists them."""
    entries = []
    for number in range(count):
        content = json.dumps({"n": number, "fill": ""})
        content = json.dumps({"n": number, "fill": "x" * (size - len(content))})
        (folder / f"m{number}.json").write_text(content)
        entries.append(Entry(f"m{number}", f"m{number}.json", "BIGML"))
    (folder / "models.yaml").write_text(manifest_text(entries))


def timed(who: str, count: int, size: int, latency: float) -> Side:
    """Let mmsync or the official client fill a new server."""
    with tempfile.TemporaryDirectory(prefix="mmsync-apply-") as scratch:
        folder, told = Path(scratch), []
        (folder / "site").mkdir()
        write_models(folder / "site", count, size)
        with server(folder / "server", latency, told) as url:
            commands = {
                "mmsync": [sys.executable, "-m", "mmsync", "apply", "--url", url],
                "official": [sys.executable, "-c", OFFICIAL, url, str(count)],
            }
            run = measured(
                commands[who],
                folder=folder / "site",
                says=who == "official",
                MMSYNC_TOKEN="t0ken",
                MMSYNC_CACHE_DIR=str(folder / "cache"),
            )
    return Side(*run, told[0], int(told[1]))


def middle(sides: list[Side]) -> Side:
    """Return the side whose seconds are the median."""
    return sorted(sides)[len(sides) // 2]


def small_models(count: int, size: int, latency: float, rounds: int) -> list[Row]:
    """Both sides in turn, over a network's latency."""
    sides: dict[str, list[Side]] = {"mmsync": [], "official": []}
    for _ in range(rounds):
        for who, found in sides.items():
            found.append(timed(who, count, size, latency))
            print(f"  {who:9} {found[-1]}", flush=True)
    ours, theirs = (middle(found) for found in sides.values())
    what = f"apply {count:,} × {size // 1024} KB at {latency * 1000:g} ms"
    limit = f"{2 * count} requests of {latency * 1000:g} ms, 32 at a time, take {2 * count * latency / 32:.2f} s"
    peer = statistics.median(side.seconds for side in sides["official"])
    return [
        Row(what, ours.seconds, "s", "at least", 12, peer, "official loop", limit),
        Row(f"{what}: requests", ours.requests, "", "at most", 2.1 * count, limit=f"official loop {theirs.requests}"),
    ]


def fleet(count: int, rounds: int) -> list[Row]:
    """Very many models without latency, and a tenth as many."""
    few, many = [], []
    for _ in range(rounds):
        few.append(timed("mmsync", count // 10, 1000, 0))
        many.append(timed("mmsync", count, 1000, 0))
        print(f"  {few[-1]}\n  {many[-1]}", flush=True)
    one, ten = middle(few), middle(many)
    what = f"first apply of {count:,} × 1 KB"
    limit = f"Python at both ends: {ten.cpu:.1f} s of the client, {ten.server_cpu:.1f} s of the server"
    grown = f"{count:,} against {count // 10:,} models"
    return [
        Row(what, ten.seconds, "s", "at most", 20 * count / 10_000, limit=limit),
        Row(f"{what}: grown", ten.seconds / one.seconds, "×", "at most", None, limit=grown),
        Row(f"{what}: memory", ten.peak, "MB", "at most", None, limit=f"{one.peak:.0f} MB with {count // 10:,} models"),
    ]


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--size", type=int, default=20_480, help="bytes of each model")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds")
    parser.add_argument("--fleet", type=int, default=10_000, help="models; 0 leaves it out")
    given = parser.parse_args()
    rows = small_models(given.models, given.size, given.latency, given.rounds)
    if given.fleet:
        rows += fleet(given.fleet, given.rounds)
    report(rows, given.json)


if __name__ == "__main__":
    main()
