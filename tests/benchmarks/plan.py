"""How long a plan with nothing to do takes, beside a program that only composes the same YAML.

Run it as a script: ``python tests/benchmarks/plan.py [MODELS …]``. For each number of models (10,000 and 100,000 if
none is given) it writes that many model files and a manifest, fills a ledger as an apply would have, and serves the
list of models from a process of its own, which answers ``GET /models`` from memory and counts requests. Then it runs
``mmsync plan`` and the composing program in turn, each as a whole process, and prints medians and their ratio. Rounds
are interleaved, so that a machine whose speed drifts slows both.
"""

from __future__ import annotations

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

from mmsync.files.digest import read_contents
from mmsync.ledger import Ledger
from mmsync.manifest import read_manifest
from mmsync.types import ServerName

ROUNDS = 5
COMPOSE = "import sys, yaml\nwith open(sys.argv[1]) as f:\n    yaml.compose(f, Loader=yaml.CSafeLoader)\n"


def write_models(folder: Path, count: int) -> None:
    """Write model files, 200 a folder, and the manifest that lists them."""
    lines = ["version: 1", "scope: ['m_*']", "models:"]
    for number in range(count):
        part = folder / f"part{number // 200:04d}"
        part.mkdir(exist_ok=True)
        (part / f"m_{number:06d}.json").write_text(f'{{"model": {number}}}\n')
        lines += [
            f"  - name: m_{number:06d}",
            "    engine: BIGML",
            f"    file: {part.name}/m_{number:06d}.json",
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


def timed(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    """Return the process's wall and processor seconds."""
    before = os.times()
    began = time.perf_counter()
    subprocess.run(command, env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return wall, spent


def measure(count: int) -> tuple[float, float]:
    """Print one row; return the medians of mmsync's wall and processor seconds."""
    with tempfile.TemporaryDirectory(prefix="mmsync-plan-") as name:
        folder = Path(name) / "models"
        folder.mkdir()
        write_models(folder, count)
        server = ListServer()
        ledger = Path(name) / "cache" / "ledger.sqlite"
        server.body = fill(folder, ledger, ServerName(server.url))
        environment = {**os.environ, "MMSYNC_CACHE_DIR": str(ledger.parent), "MMSYNC_TOKEN": "benchmark"}
        plan = [sys.executable, "-m", "mmsync", "plan", "--url", server.url, "--detailed-exitcode"]
        compose = [sys.executable, "-c", COMPOSE, str(folder / "models.yaml")]
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(timed(plan, environment, folder))
            theirs.append(timed(compose, environment, folder))
        assert server.requests == ROUNDS, f"{server.requests} requests for {ROUNDS} plans"
        wall, spent = (statistics.median(run[part] for run in ours) for part in (0, 1))
        base_wall, base_spent = (statistics.median(run[part] for run in theirs) for part in (0, 1))
        print(
            f"{count:>8,} models: plan {wall:.2f} s wall, {spent:.2f} s cpu; compose {base_wall:.2f} s wall, "
            f"{base_spent:.2f} s cpu; plan/compose {wall / base_wall:.2f} wall, {spent / base_spent:.2f} cpu"
        )
        server.server.shutdown()
        server.server.server_close()
        return wall, spent


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [10_000, 100_000]
    rows = [measure(count) for count in counts]
    for (wall, spent), count, (next_wall, next_spent), next_count in zip(
        rows, counts, rows[1:], counts[1:], strict=False
    ):
        print(f"{next_count:,} / {count:,}: {next_wall / wall:.1f} wall, {next_spent / spent:.1f} cpu")


if __name__ == "__main__":
    main()
