"""Hashing with a cold ledger, as a whole process: a few large files, and very many small ones.

    python tests/benchmarks/hash.py [--size 4096] [--files 20000] [--rounds 5] [--json FILE]

``mmsync validate`` reads every pinned file. Beside it, in turn, on the same files: one thread of ``openssl dgst -sha256``
over four large ones, of ``--size`` MiB together, and ``sha256sum`` over the list of the small ones, 20 KB each. All of
them are in the page cache. Medians are printed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from _measure import Row, Run, measured, medians, options, report

from mmsync.manifest.writer import Entry, manifest_text

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
        entries.append(Entry(f"m{number}", name, "MLSTATS", sha256=digest.hexdigest()))
    (folder / "models.yaml").write_text(manifest_text(entries))
    return names


def compare(sizes: list[int], peer: list[str], rounds: int) -> list[Run]:
    """Return the medians of mmsync and of a peer that is given the files' names."""
    with tempfile.TemporaryDirectory(prefix="mmsync-hash-") as name:
        names = write_files(Path(name), sizes)
        commands = [sys.executable, "-m", "mmsync", "validate"], [*peer, *names]
        runs: tuple[list[Run], ...] = [], []
        for _ in range(rounds):
            for found, command in zip(runs, commands, strict=True):
                with tempfile.TemporaryDirectory(prefix="mmsync-cache-") as cache:
                    found.append(measured(command, folder=Path(name), MMSYNC_CACHE_DIR=cache))
                what = command[0].rpartition("/")[2]
                print(f"  {what:12} {found[-1].seconds:.2f} s, {found[-1].cpu:.2f} s cpu", flush=True)
    return [medians(found) for found in runs]


def main() -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--size", type=int, default=4096, help="MiB of the four large files together")
    parser.add_argument("--files", type=int, default=20_000, help="how many small ones")
    given = parser.parse_args()
    if not shutil.which("openssl") or not shutil.which("sha256sum"):
        sys.exit("openssl and sha256sum are needed")
    rows = []
    large: dict[int, Run] = {}
    for size in (given.size // 4, given.size):
        what = f"hash {size} MiB in four files"
        print(what)
        ours, theirs = compare([(size << 20) // 4] * 4, ["openssl", "dgst", "-sha256"], given.rounds)
        large[size] = ours
        limit = f"{os.cpu_count()} cores, each at {size * 1.048576 / theirs.seconds / 1000:.2f} GB/s"
        if size == given.size:
            rows.append(Row(what, ours.seconds, "s", "at least", 1.6, theirs.seconds, "openssl, one thread", limit))
            grown = f"{size} against {given.size // 4} MiB"
            times = ours.seconds / large[given.size // 4].seconds
            rows.append(Row(f"{what}: grown", times, "×", "at most", None, limit=grown))
            rows.append(Row(f"{what}: memory", ours.peak, "MB", "at most", None))
    what = f"hash {given.files:,} files of 20 KB"
    print(what)
    ours, theirs = compare([20_000] * given.files, ["sha256sum"], given.rounds)
    limit = f"Python: {ours.cpu:.2f} s of processor, {ours.cpu / given.files * 1e6:.0f} µs a file"
    rows.append(Row(what, ours.seconds, "s", "at least", 1.0, theirs.seconds, "sha256sum", limit))
    report(rows, given.json)


if __name__ == "__main__":
    main()
