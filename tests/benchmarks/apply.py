"""How much faster ``mmsync apply`` adds models than a loop over the official client, in the same run.

    python tests/benchmarks/apply.py [--models 200] [--size 20480] [--latency 0.02] [--rounds 3]

The server runs in a process of its own and waits ``--latency`` seconds before each answer, as a network would. Both
sides begin with an empty server; mmsync is timed as a whole process at its default settings, with no ledger; the
official client without its process's start. The best round of each counts. Exit code 1 below a ratio of ``--least``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SERVER = """
import sys
from mmsync.server import connection_limits, running
requests, began = 0, connection_limits.LimitedProtocol.on_headers_complete
def counted(self):
    global requests
    requests += 1
    began(self)
connection_limits.LimitedProtocol.on_headers_complete = counted
with running(sys.argv[1], token="t0ken", latency=float(sys.argv[2])) as address:
    print(address.url, flush=True)
    sys.stdin.read()
import os
print(sum(os.times()[:2]), requests, flush=True)
"""


@contextlib.contextmanager
def server(folder: Path, latency: float, spent: list[float]):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder), str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        out, _ = process.communicate("")
        spent += map(float, out.split())


def models(folder: Path, count: int, size: int) -> None:
    entries = []
    for number in range(count):
        content = json.dumps({"n": number, "fill": ""})
        content = json.dumps({"n": number, "fill": "x" * (size - len(content))})
        (folder / f"m{number}.json").write_text(content)
        entries.append(f"  - {{name: m{number}, engine: BIGML, file: m{number}.json}}")
    (folder / "models.yaml").write_text("version: 1\nmodels:\n" + "\n".join(entries) + "\n")


def ours(folder: Path, url: str, cache: Path) -> tuple[float, float]:
    environment = {**os.environ, "MMSYNC_URL": url, "MMSYNC_TOKEN": "t0ken", "MMSYNC_CACHE_DIR": str(cache)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "mmsync", "apply"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def theirs(folder: Path, url: str, count: int) -> tuple[float, float]:
    from devo_ml.modelmanager import create_client_from_token

    client = create_client_from_token(url, "t0ken")
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(count):
        client.add_model(f"m{number}", "BIGML", str(folder / f"m{number}.json"), force=True)
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--size", type=int, default=20_480, help="bytes of each model")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--least", type=float, default=10.0, help="the ratio below which the exit code is 1")
    given = parser.parse_args()
    ours_took, theirs_took = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(given.rounds):
            place = Path(scratch) / str(number)
            (place / "site").mkdir(parents=True)
            models(place / "site", given.models, given.size)
            spent: list[float] = []
            with server(place / "ours", given.latency, spent) as url:
                took, cpu = ours(place / "site", url, place / "cache")
            with server(place / "theirs", given.latency, spent) as url:
                their_took, their_cpu = theirs(place / "site", url, given.models)
            ours_took.append(took)
            theirs_took.append(their_took)
            print(
                f"mmsync apply {took:6.2f} s (CPU {cpu:.2f} s, its server {spent[0]:.2f} s)   "
                f"official loop {their_took:6.2f} s (CPU {their_cpu:.2f} s, its server {spent[1]:.2f} s)   "
                f"ratio {their_took / took:5.1f}",
                flush=True,
            )
    ratio = min(theirs_took) / min(ours_took)
    print(f"{given.models} models of {given.size} bytes at {given.latency * 1000:g} ms: {ratio:.1f} times faster")
    return 0 if ratio >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
