"""How long a plan with nothing to do takes, beside a program that only composes the same YAML; and starting up.

    python tests/benchmarks/plan.py [MODELS …] [--rounds 7] [--json FILE]

For each number of models (10,000 and 100,000 if none is given) it writes that many model files and a manifest, fills a
ledger as an apply would have, and serves the list of models from memory, counting requests. Then it runs ``mmsync plan``
and the composing program in turn, each as a whole process. The first number is measured with ONNX models too. Starting
up is a plan of four models and ``--version``, beside programs that only import what mmsync uses. Medians are printed.
"""

from __future__ import annotations

import http.server
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from _measure import Row, Run, measured, medians, options, report

from mmsync.files.digest import read_contents
from mmsync.ledger import Ledger
from mmsync.manifest import read_manifest
from mmsync.types import ServerName

COMPOSE = "import sys, yaml\nwith open(sys.argv[1]) as f:\n    yaml.compose(f, Loader=yaml.CSafeLoader)\n"


def write_models(folder: Path, count: int, engine: str) -> None:
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


def in_turn(
    count: int, engine: str, rounds: int, commands: Callable[[str], dict[str, list[str]]]
) -> tuple[dict[str, Run], int]:
    """Run commands in turn beside so many models that are in place, and return the medians of each, and all requests.

    ``commands`` is called with the server's address.
    """
    with tempfile.TemporaryDirectory(prefix="mmsync-plan-") as name:
        folder, ledger = Path(name) / "models", Path(name) / "cache" / "ledger.sqlite"
        folder.mkdir()
        write_models(folder, count, engine)
        server = ListServer()
        server.body = fill(folder, ledger, ServerName(server.url))
        environment = {"MMSYNC_CACHE_DIR": str(ledger.parent), "MMSYNC_TOKEN": "benchmark"}
        runs: dict[str, list[Run]] = {}
        for _ in range(rounds):
            for what, command in commands(server.url).items():
                runs.setdefault(what, []).append(measured(command, folder=folder, **environment))
        server.server.shutdown()
        server.server.server_close()
    found = {what: medians(some) for what, some in runs.items()}
    for what, run in found.items():
        print(f"  {what:20} {run.seconds:.3f} s wall, {run.cpu:.3f} s cpu, {run.peak:.0f} MB", flush=True)
    return found, server.requests


def measure(count: int, engine: str, rounds: int) -> dict[str, Run]:
    """Return the medians of a plan and of the composing program."""
    print(f"{count:,} {engine} models")

    def commands(url: str) -> dict[str, list[str]]:
        return {
            "plan": [sys.executable, "-m", "mmsync", "plan", "--url", url, "--detailed-exitcode"],
            "compose": [sys.executable, "-c", COMPOSE, "models.yaml"],
        }

    found, requests = in_turn(count, engine, rounds, commands)
    assert requests == rounds, f"{requests} requests for {rounds} plans"
    return found


def start_up(rounds: int) -> list[Row]:
    """A plan of four models, and ``--version``, beside programs that only import."""
    print("start-up")

    def commands(url: str) -> dict[str, list[str]]:
        return {
            "plan": [sys.executable, "-m", "mmsync", "plan", "--url", url],
            "imports": [sys.executable, "-c", "import requests, yaml, click"],
            "version": [str(Path(sys.executable).parent / "mmsync"), "--version"],
            "click": [sys.executable, "-c", "import click"],
        }

    found, _ = in_turn(4, "BIGML", 3 * rounds, commands)
    peers = ("import requests, yaml, click", "import click")
    limit = "Python's own start is part of both"
    return [
        Row("plan of 4 models", found["plan"].seconds, "s", "at most", 1.6, found["imports"].seconds, peers[0], limit),
        Row("mmsync --version", found["version"].seconds, "s", "at most", 1.0, found["click"].seconds, peers[1], limit),
    ]


def main() -> None:
    parser = options(__doc__, rounds=7)
    parser.add_argument("counts", nargs="*", type=int, metavar="MODELS", default=[10_000, 100_000])
    given = parser.parse_args()
    rows, before = start_up(given.rounds), None
    for place, count in enumerate(given.counts):
        for engine in ("BIGML", "ONNX") if place == 0 else ("BIGML",):
            found = measure(count, engine, given.rounds if count <= 10_000 else 3)
            plan, compose = found["plan"], found["compose"]
            what = f"no-op plan of {count:,} ({engine})"
            limit = f"Python: {plan.cpu:.2f} s of processor; 1 request, no model file opened"
            target = None if place else 1.5
            rows.append(Row(what, plan.seconds, "s", "at most", target, compose.seconds, "compose the YAML", limit))
            if engine == "BIGML":
                rows.append(Row(f"{what}: memory", plan.peak, "MB", "at most", None))
            if before:
                grown = f"{count:,} against {before[0]:,} models"
                rows.append(Row(f"{what}: grown", plan.seconds / before[1].seconds, "×", "at most", None, limit=grown))
            if engine == "BIGML":
                last = count, plan
        before = last
    report(rows, given.json)


if __name__ == "__main__":
    main()
