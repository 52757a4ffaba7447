"""How long a plan with nothing to do takes, beside a program that only composes the same YAML; and starting up.

    python tests/benchmarks/plan.py [MODELS …] [--rounds 7] [--json FILE]

For each number of models (10,000 and 100,000 if none is given) it writes that many model files and a manifest, fills a
ledger as an apply would have, and serves the list of models from memory, counting requests. Then it runs ``mmsync plan``
and the composing program in turn, each as a whole process. The first number is measured with ONNX models too. Starting
up is a plan of four models and ``--version``, beside programs that only import what mmsync uses. Medians are printed.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from _measure import Row, write_json

from mmsync.files.digest import read_contents
from mmsync.ledger import Ledger
from mmsync.manifest import read_manifest
from mmsync.types import ServerName

COMPOSE = "import sys, yaml\nwith open(sys.argv[1]) as f:\n    yaml.compose(f, Loader=yaml.CSafeLoader)\n"


def write_models(folder: Path, count: int, engine: str = "BIGML") -> None:
    """Write model files, 200 a folder, and the manifest that lists them; none of them is ever opened."""
    extension = {"BIGML": "json", "ONNX": "onnx"}[engine]
    lines = ["version: 1", "scope: ['m_*']", "models:"]
    for number in range(count):
        part = folder / f"part{number // 200:04d}"
        part.mkdir(exist_ok=True)
        (part / f"m_{number:06d}.{extension}").write_text(f'{{"model": {number}}}\n')
        lines += [
            f"  - name: m_{number:06d}",
            f"    engine: {engine}",
            f"    file: {part.name}/m_{number:06d}.{extension}",
            f"    description: Model number {number} of the fleet",
        ]
    (folder / "models.yaml").write_text("\n".join(lines) + "\n")


def fill(folder: Path, ledger_path: Path, server: ServerName) -> bytes:
    """Make the ledger know every file and image, and return the list a server would answer with."""
    os.utime(folder / "models.yaml")
    manifest = read_manifest([str(folder / "models.yaml")])
    with Ledger(ledger_path, warn=print, now=int(time.time())) as ledger:
        # Ten seconds on, no file is too fresh for its digest to be remembered.
        contents = read_contents(manifest.models, manifest.stats, ledger, now_ns=time.time_ns() + 10**10)
        rows, lessons = [], []
        for number, wanted in enumerate(manifest.models, 1):
            content = contents[wanted.name]
            rows.append(
                {
                    "id": number,
                    "name": wanted.name,
                    "engine": wanted.engine,
                    "description": wanted.description,
                    "updateDate": 1_780_000_000_000,
                    "creationDate": 1_780_000_000_000,
                    "outputType": "float8",
                    "imageId": number,
                    "domainId": "1",
                    "domainName": "self",
                    "category": "Regression",
                    "parentId": number,
                    "runtimeSize": content.size,
                }
            )
            lessons.append(((str(number), "1780000000000", str(number)), (content.sha256, content.size, None)))
        ledger.learn(server, lessons)
        ledger.learn_fits([(contents[wanted.name].sha256, wanted.engine) for wanted in manifest.models])
    return json.dumps(rows).encode()


class ListServer:
    """Answers every GET with the list, over one keep-alive connection after another, and counts."""

    def __init__(self) -> None:
        self.body = b"[]"
        self.requests = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Run(NamedTuple):
    """What a process took: seconds of the clock and of processors, and MB of resident memory at its peak."""

    wall: float
    cpu: float
    peak: float


def timed(command: list[str], environment: dict[str, str], folder: Path) -> Run:
    """Run a whole process."""
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{command} failed")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def medians(commands: dict[str, list[str]], environment: dict[str, str], folder: Path, rounds: int) -> dict[str, Run]:
    """Run the commands in turn, so many rounds, and return the medians of each."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(timed(command, environment, folder))
    found = {name: Run(*map(statistics.median, zip(*some, strict=True))) for name, some in runs.items()}
    for name, run in found.items():
        print(f"  {name:20} {run.wall:.3f} s wall, {run.cpu:.3f} s cpu, {run.peak:.0f} MB", flush=True)
    return found


def measure(count: int, engine: str, rounds: int) -> dict[str, Run]:
    """Return the medians of a plan and of the composing program."""
    print(f"{count:,} {engine} models")
    with tempfile.TemporaryDirectory(prefix="mmsync-plan-") as name:
        folder = Path(name) / "models"
        folder.mkdir()
        write_models(folder, count, engine)
        server = ListServer()
        ledger = Path(name) / "cache" / "ledger.sqlite"
        server.body = fill(folder, ledger, ServerName(server.url))
        environment = {**os.environ, "MMSYNC_CACHE_DIR": str(ledger.parent), "MMSYNC_TOKEN": "benchmark"}
        commands = {
            "plan": [sys.executable, "-m", "mmsync", "plan", "--url", server.url, "--detailed-exitcode"],
            "compose": [sys.executable, "-c", COMPOSE, str(folder / "models.yaml")],
        }
        found = medians(commands, environment, folder, rounds)
        assert server.requests == rounds, f"{server.requests} requests for {rounds} plans"
        server.server.shutdown()
        server.server.server_close()
    return found


def start_up(rounds: int) -> list[Row]:
    """A plan of four models, and ``--version``, beside programs that only import."""
    print("start-up")
    with tempfile.TemporaryDirectory(prefix="mmsync-plan-") as name:
        folder = Path(name) / "models"
        folder.mkdir()
        write_models(folder, 4)
        server = ListServer()
        ledger = Path(name) / "cache" / "ledger.sqlite"
        server.body = fill(folder, ledger, ServerName(server.url))
        environment = {**os.environ, "MMSYNC_CACHE_DIR": str(ledger.parent), "MMSYNC_TOKEN": "benchmark"}
        commands = {
            "plan": [sys.executable, "-m", "mmsync", "plan", "--url", server.url],
            "imports": [sys.executable, "-c", "import requests, yaml, click"],
            "version": [str(Path(sys.executable).parent / "mmsync"), "--version"],
            "click": [sys.executable, "-c", "import click"],
        }
        found = medians(commands, environment, folder, 3 * rounds)
        server.server.shutdown()
        server.server.server_close()
    peers = ("import requests, yaml, click", "import click")
    limit = "Python's own start is part of both"
    return [
        Row("plan of 4 models", found["plan"].wall, "s", "at most", 1.6, found["imports"].wall, peers[0], limit),
        Row("mmsync --version", found["version"].wall, "s", "at most", 1.0, found["click"].wall, peers[1], limit),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, metavar="MODELS", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    given = parser.parse_args()
    rows, before = start_up(given.rounds), None
    for place, count in enumerate(given.counts):
        for engine in ("BIGML", "ONNX") if place == 0 else ("BIGML",):
            found = measure(count, engine, given.rounds if count <= 10_000 else 3)
            plan, compose = found["plan"], found["compose"]
            what = f"no-op plan of {count:,} ({engine})"
            limit = f"Python: {plan.cpu:.2f} s of processor; 1 request, no model file opened"
            target = None if place else 1.5
            rows.append(Row(what, plan.wall, "s", "at most", target, compose.wall, "compose the YAML", limit))
            if engine == "BIGML":
                rows.append(Row(f"{what}: memory", plan.peak, "MB", "at most", None))
            if before:
                grown = f"{count:,} against {before[0]:,} models"
                rows.append(Row(f"{what}: grown", plan.wall / before[1].wall, "×", "at most", None, limit=grown))
            if engine == "BIGML":
                last = count, plan
        before = last
    for row in rows:
        print(row)
    if given.json:
        write_json(given.json, rows)


if __name__ == "__main__":
    main()
