"""Upload and download one large model: ours, the official client and curl, in one run.

``python tests/benchmarks/transfer.py [--size MIB] [--rounds N] [--server sink|embedded] [--growth MIB] [--json FILE]``

Each transfer has a process of its own, and so has the server. ``sink`` takes a body and forgets it, and sends one it
makes up: the client is what is measured. ``embedded`` is ``mmsync serve``: it writes to disk, and is the slower end.
Rounds are interleaved; medians and best times, CPU seconds and the highest peak of resident memory are printed. curl
hashes nothing. ``alone`` are the parts that no client can do without: the hash of the file, and the answer received
by a bare socket. ``--growth`` adds transfers of a larger model to the sink (4096 MiB; 0 leaves it out): memory should
stay as it is, and time grow as the model does.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from _measure import Row, Run, measured, medians, options, report

BLOCK = bytes(range(256)) * 4096 * 3  # 3 MiB: its base64 has no padding
TOKEN = "benchmark"
OFFICIAL_ROUNDS = 2  # it takes as long as all others together

CLIENT = """
import sys, time, importlib
package, action, url, path, sha256, folder = sys.argv[1:]
client = importlib.import_module(package).create_client_from_token(url, "benchmark", download_path=folder, timeout=600)
extra = {"expected_sha256": sha256} if sha256 else {}
began = time.perf_counter()
if action == "upload":
    client.add_model("big", "MLSTATS", path, force=True, **extra)
else:
    client.get_model("big", download_file=True)
print(time.perf_counter() - began)
"""

HASH_ALONE = """
import hashlib, sys, time
began, digest, buffer = time.perf_counter(), hashlib.sha256(), memoryview(bytearray(1 << 18))
with open(sys.argv[1], "rb", buffering=0) as file:
    while count := file.readinto(buffer):
        digest.update(buffer[:count])
print(time.perf_counter() - began)
"""

RECEIVE_ALONE = """
import socket, sys, time
began, buffer = time.perf_counter(), bytearray(1 << 18)
host, port = sys.argv[1].removeprefix("http://").split(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(b"GET /models/big?fast=False HTTP/1.1\\r\\nHost: x\\r\\nstandAloneToken: benchmark\\r\\n"
                       b"Connection: close\\r\\n\\r\\n")
    while connection.recv_into(buffer):
        pass
print(time.perf_counter() - began)
"""


def sink(size: int) -> None:
    """Serve one connection a thread; the port goes to stdout."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        threading.Thread(target=_serve, args=(listener.accept()[0], size), daemon=True).start()


# Linux drops what comes without a copy: the less the sink works, the more it is the client that is measured.
_DROP = socket.MSG_TRUNC if sys.platform == "linux" else 0


def _serve(connection: socket.socket, size: int) -> None:
    buffer, data = memoryview(bytearray(1 << 20)), b""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError), connection:
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, data = data.split(b"\r\n\r\n", 1)
            lines = head.lower().split(b"\r\n")
            if b"expect: 100-continue" in lines:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            left = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0) - len(
                data
            )
            data = b""
            while left > 0:
                got = connection.recv_into(buffer, min(left, len(buffer)), _DROP)
                if not got:
                    return
                left -= got
            _answer(connection, head, size)
            if b"connection: close" in lines:
                return


def _answer(connection: socket.socket, head: bytes, size: int) -> None:
    if b"upload" in head.split(b"\r\n")[0]:
        body = json.dumps({"valid": True, "imageId": 1, "size": size, "fields": [], "clusters": []}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    elif b"fast=False" not in head:
        status = b"200 OK" if head.startswith(b"POST") else b"204 No Content"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    else:
        before = b'{"id": 1, "name": "big", "engine": "MLSTATS", "image": {"id": 1, "size": %d, "image": "' % size
        after, whole = b'"}}', base64.b64encode(BLOCK)
        count, rest = divmod(size, len(BLOCK))
        last = base64.b64encode(BLOCK[:rest])
        length = len(before) + count * len(whole) + len(last) + len(after)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + before)
        for _ in range(count):
            connection.sendall(whole)
        connection.sendall(last + after)


def embedded(folder: str) -> None:
    """Serve the embedded Model Manager; the address goes to stdout."""
    from mmsync.server import running

    with running(folder, token=TOKEN) as address:
        print(address.url, flush=True)
        sys.stdin.read()


@contextlib.contextmanager
def served(server: str, size: int) -> Iterator[str]:
    """Serve until this is left; what an embedded server stored is gone then."""
    with tempfile.TemporaryDirectory() as folder:
        started = [sys.executable, __file__, f"--{server}-process", str(size) if server == "sink" else folder]
        with subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.stdout.readline().strip()
            finally:
                process.kill()


def commands(url: str, file: Path, folder: Path) -> dict[str, list[str]]:
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()

    def python(package: str, action: str, digest: str = "") -> list[str]:
        return [sys.executable, "-c", CLIENT, package, action, url, str(file), digest, str(folder)]

    curl = ["curl", "-sf", "-o", "/dev/null", "-w", "%{time_total}\n", "-H", f"standAloneToken: {TOKEN}"]
    found = {
        "upload    mmsync, digest compared": python("mmsync.client", "upload", sha256),
        "upload    mmsync": python("mmsync.client", "upload"),
        "upload    curl -F": [*curl, "-F", "engine=MLSTATS", "-F", f"fileName=@{file}", f"{url}/models/images/upload"],
        "upload    official": python("devo_ml.modelmanager", "upload"),
        "download  mmsync, decoded and hashed": python("mmsync.client", "download"),
        "download  curl, base64 as it is": [*curl, f"{url}/models/big?fast=False"],
        "download  official": python("devo_ml.modelmanager", "download"),
        "alone     sha256": [sys.executable, "-c", HASH_ALONE, str(file)],
        "alone     receiving": [sys.executable, "-c", RECEIVE_ALONE, url],
    }
    return found if shutil.which("curl") else {name: each for name, each in found.items() if "curl" not in name}


def transfers(server: str, size: int, rounds: int, *, only: str = "") -> dict[str, list[Run]]:
    """Run all transfers whose name has ``only`` in it, round by round, and print what each took."""
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "downloads").mkdir()
        file = work / "model.bin"
        with file.open("wb") as opened:
            for left in range(size, 0, -len(BLOCK)):
                opened.write(BLOCK[:left])
            opened.flush()
            os.fsync(opened.fileno())
        for number in range(rounds):
            os.sync()  # what the round before left to be written is none of this one's business
            with served(server, size) as url:
                for name, command in commands(url, file, work / "downloads").items():
                    if only in name and ("official" not in name or number < OFFICIAL_ROUNDS):
                        runs.setdefault(name, []).append(measured(command, says=True))
                        for written in (work / "downloads").iterdir():
                            written.unlink()
    print(f"{size >> 20} MiB, server: {server}, {rounds} rounds")
    for name, each in runs.items():
        best, cpu, peak = min(run.seconds for run in each), min(run.cpu for run in each), max(run.peak for run in each)
        print(
            f"  {name:38} median {medians(each).seconds:6.2f} s  best {best:6.2f} s {size / best / 1e6:6.0f} MB/s "
            f"{cpu:6.2f} s CPU {peak:5.0f} MB peak RSS"
        )
    return runs


UPLOAD, DOWNLOAD = "upload    mmsync, digest compared", "download  mmsync, decoded and hashed"
MAX_PEAK = {UPLOAD: 48, DOWNLOAD: 64}


def rows(server: str, size: int, rounds: int) -> list[Row]:
    """Measure the transfers of one size and return the figures that have a target, or a peer."""
    runs = transfers(server, size, rounds)
    seconds = {name: medians(each).seconds for name, each in runs.items()}
    is_sink = server == "sink"
    up, down = f"upload to {server}, {size >> 20} MiB", f"download from {server}, {size >> 20} MiB"
    sent, received, speed = seconds[UPLOAD], seconds[DOWNLOAD], size / seconds[DOWNLOAD] / 1e6
    curl, hashing = seconds.get("upload    curl -F"), seconds["alone     sha256"]
    limit = f"sha256 alone {hashing:.2f} s"
    found = [
        Row(up, sent, "s", "at most", 1.4 if is_sink else 0.85, curl, "curl -F", limit),
        Row(up, sent, "s", "at most", 1.2 if is_sink else None, hashing, "sha256 alone"),
        Row(up, sent, "s", "at least", None, seconds["upload    official"], "official"),
        Row(f"{up}, no digest", seconds["upload    mmsync"], "s", "at most", None, curl, "curl -F"),
        Row(down, received, "s", "at least", 6, seconds["download  official"], "official"),
        Row(
            down,
            speed,
            "MB/s",
            "at least",
            400 if is_sink else None,
            limit=f"{limit}, receiving alone {seconds['alone     receiving']:.2f} s, of {received:.2f} s",
        ),
    ]
    return found + [
        Row(f"{what}, peak RSS", max(run.peak for run in runs[name]), "MB", "at most", MAX_PEAK[name])
        for what, name in ((up, UPLOAD), (down, DOWNLOAD))
    ]


def growth(size: int, larger: int, rounds: int) -> list[Row]:
    """Measure mmsync alone with a larger model beside one of ``size``."""
    small, large = transfers("sink", size, rounds, only="mmsync,"), transfers("sink", larger, rounds, only="mmsync,")
    found = []
    for name, most in MAX_PEAK.items():
        what, times = f"{name.split()[0]}, sink, {larger >> 20} MiB", larger / size
        took, expected = medians(large[name]).seconds, medians(small[name]).seconds * times
        peak = max(run.peak for run in large[name])
        found += [
            Row(what, took, "s", "at most", 1.15, expected, f"{times:g} × {size >> 20} MiB"),
            Row(f"{what}, peak RSS", peak, "MB", "at most", most),
        ]
    return found


def main() -> None:
    parser = options(__doc__, rounds=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--server", choices=["sink", "embedded"], action="append")
    parser.add_argument("--growth", type=int, default=4096, help="MiB")
    parser.add_argument("--sink-process", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--embedded-process", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.sink_process:
        sink(chosen.sink_process)
    if chosen.embedded_process:
        embedded(chosen.embedded_process)
        return
    began = time.perf_counter()
    found: list[Row] = []
    for server in chosen.server or ["sink", "embedded"]:
        found += rows(server, chosen.size << 20, chosen.rounds)
    if chosen.growth:
        found += growth(chosen.size << 20, chosen.growth << 20, min(chosen.rounds, 3))
    report(found, chosen.json)
    print(f"took {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
