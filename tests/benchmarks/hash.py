"""Hashing with a cold ledger, as a whole process: a few large files, and very many small ones.

    python tests/benchmarks/hash.py [--size 4096] [--files 20000] [--rounds 5] [--json FILE]

``mmsync validate`` reads every pinned file. Beside it, in turn, on the same files: one thread of ``openssl dgst -sha256``
over four large ones, of ``--size`` MiB together, and ``sha256sum`` over the list of the small ones, 20 KB each. All of
them are in the page cache. Medians are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import Row, write_json

BLOCK = os.urandom(1 << 20)


def write_files(folder: Path, sizes: list[int]) -> list[str]:
    """Write files of these sizes in bytes, each of another content, and a manifest that pins them; return their names."""
    names, entries = [], []
    for number, size in enumerate(sizes):
        part = folder / f"part{number // 200:04d}"
        part.mkdir(parents=True, exist_ok=True)
        name, digest, left = f"{part.name}/m{number}.bin", hashlib.sha256(), size
        with (folder / name).open("wb") as file:
            while left:
                piece = (number.to_bytes(8, "big") + BLOCK)[: min(left, len(BLOCK))]
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
        names.append(name)
        entries.append(f"  - {{name: m{number}, engine: MLSTATS, file: {name}, sha256: {digest.hexdigest()}}}")
    (folder / "models.yaml").write_text("version: 1\nmodels:\n" + "\n".join(entries) + "\n")
    return names


def timed(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Return seconds of the clock and of processors, and MB at the peak, of a whole process with a cold ledger."""
    with tempfile.TemporaryDirectory(prefix="mmsync-cache-") as cache:
        began = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, env={**os.environ, "MMSYNC_CACHE_DIR": cache}, stdout=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{command[:3]} failed")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(sizes: list[int], peer: list[str], rounds: int) -> list[tuple[float, ...]]:
    """Return the medians of mmsync and of a peer that is given the files' names."""
    with tempfile.TemporaryDirectory(prefix="mmsync-hash-") as name:
        names = write_files(Path(name), sizes)
        runs: list[list[tuple[float, float, float]]] = [[], []]
        for _ in range(rounds):
            for found, command in zip(
                runs, ([sys.executable, "-m", "mmsync", "validate"], [*peer, *names]), strict=True
            ):
                found.append(timed(command, Path(name)))
                print(
                    f"  {command[0].rpartition('/')[2]:12} {found[-1][0]:.2f} s, {found[-1][1]:.2f} s cpu", flush=True
                )
    return [tuple(map(statistics.median, zip(*found, strict=True))) for found in runs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096, help="MiB of the four large files together")
    parser.add_argument("--files", type=int, default=20_000, help="how many small ones")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    given = parser.parse_args()
    if not shutil.which("openssl") or not shutil.which("sha256sum"):
        sys.exit("openssl and sha256sum are needed")
    rows = []
    large: dict[int, tuple[float, ...]] = {}
    for size in (given.size // 4, given.size):
        what = f"hash {size} MiB in four files"
        print(what)
        ours, theirs = compare([(size << 20) // 4] * 4, ["openssl", "dgst", "-sha256"], given.rounds)
        large[size] = ours
        limit = f"{os.cpu_count()} cores, each at {size * 1.048576 / theirs[0] / 1000:.2f} GB/s"
        if size == given.size:
            rows.append(Row(what, ours[0], "s", "at least", 1.6, theirs[0], "openssl, one thread", limit))
            grown = f"{size} against {given.size // 4} MiB"
            rows.append(Row(f"{what}: grown", ours[0] / large[given.size // 4][0], "×", "at most", None, limit=grown))
            rows.append(Row(f"{what}: memory", ours[2], "MB", "at most", None))
    what = f"hash {given.files:,} files of 20 KB"
    print(what)
    ours, theirs = compare([20_000] * given.files, ["sha256sum"], given.rounds)
    limit = f"Python: {ours[1]:.2f} s of processor, {ours[1] / given.files * 1e6:.0f} µs a file"
    rows.append(Row(what, ours[0], "s", "at least", 1.0, theirs[0], "sha256sum", limit))
    for row in rows:
        print(row)
    if given.json:
        write_json(given.json, rows)


if __name__ == "__main__":
    main()
