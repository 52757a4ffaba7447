"""What shards cost: ``mmsync apply`` of so many models in one run, and in shards side by side on this machine.

    python tests/benchmarks/shards.py [--models 2000] [--shards 8] [--size 2048] [--latency 0.02] [--rounds 3]

The server runs in a process of its own and waits ``--latency`` seconds before each answer, as a network would. Runs and
shards are timed as whole processes at their default settings, in turn, each with an empty server and no ledger. At the
end stands what reading the server's list costs each shard, a row: what a larger fleet pays as often as it has shards.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apply import server, write_models


def run(folder: Path, url: str, cache: Path, shards: int, command: str = "apply") -> tuple[float, float]:
    """Return the seconds until all shards have ended, and their processor seconds."""
    environment = {**os.environ, "MMSYNC_URL": url, "MMSYNC_TOKEN": "t0ken", "MMSYNC_CACHE_DIR": str(cache)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    processes = []
    for index in range(shards):
        shard = ["--shard-index", str(index), "--shard-count", str(shards)] if shards > 1 else []
        words = [sys.executable, "-m", "mmsync", command, *shard]
        processes.append(
            subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        )
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--size", type=int, default=2048, help="bytes of each model")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    took: dict[int, list[float]] = {1: [], given.shards: []}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MMSYNC_LOCK_DIR"] = f"{scratch}/locks"
        site = Path(scratch) / "site"
        site.mkdir()
        write_models(site, given.models, given.size)
        for number in range(given.rounds):
            for shards, walls in took.items():
                place = Path(scratch) / f"{number}-{shards}"
                spent: list[float] = []
                with server(place / "server", given.latency, spent) as url:
                    wall, cpu = run(site, url, place / "cache", shards)
                walls.append(wall)
                print(
                    f"{shards:3} at once {wall:6.2f} s (CPU {cpu:5.2f} s, its server {spent[0]:5.2f} s, "
                    f"{spent[1]:.0f} requests)",
                    flush=True,
                )
        # The last server holds everything and the ledger knows it: a plan is one reading of the list.
        plans: dict[int, list[float]] = {1: [], given.shards: []}
        spent = []
        with server(place / "server", given.latency, spent) as url:
            run(site, url, place / "cache", 1, "plan")  # at another address it is another server
            for _ in range(given.rounds):
                for shards, cpu_of_each in plans.items():
                    cpu_of_each.append(run(site, url, place / "cache", shards, "plan")[1] / shards)
    one, side_by_side = (statistics.median(took[shards]) for shards in took)
    print(f"{given.models} models: {given.shards} shards take {side_by_side / one:.2f} of the time of one run")
    for shards, cpu in plans.items():
        each = statistics.median(cpu)
        print(f"a plan of a {f'{shards}th' if shards > 1 else 'whole'}, nothing to change: {each:.2f} s of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
