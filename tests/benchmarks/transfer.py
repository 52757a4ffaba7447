"""Upload and download one large model: ours, the official client and curl, in one run.

``python tests/benchmarks/transfer.py [--size MIB] [--rounds N] [--server sink|embedded]``

Each transfer has a process of its own, and so has the server. ``sink`` takes a body and forgets it, and sends one it
makes up: the client is what is measured. ``embedded`` is ``mmsync serve``: it writes to disk, and is the slower end.
The best time of the rounds and the highest peak of resident memory are printed; curl hashes nothing.
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
from pathlib import Path

BLOCK = bytes(range(256)) * 4096 * 3  # 3 MiB: its base64 has no padding
TOKEN = "benchmark"

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


def sink(size: int) -> None:
    """Serve one connection a thread; the port goes to stdout."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        threading.Thread(target=_serve, args=(listener.accept()[0], size), daemon=True).start()


def _serve(connection: socket.socket, size: int) -> None:
    buffer, data = memoryview(bytearray(1 << 20)), b""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):
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
                got = connection.recv_into(buffer, min(left, len(buffer)))
                if not got:
                    return
                left -= got
            _answer(connection, head, size)


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


def measured(command: list[str]) -> tuple[float, int]:
    """Run a command that prints its seconds; return them and its peak resident memory in MB."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed")
    return float(told.split()[-1]), usage.ru_maxrss // 1024


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
    }
    return found if shutil.which("curl") else {name: each for name, each in found.items() if "curl" not in name}


def compare(server: str, size: int, rounds: int, work: Path) -> None:
    file = work / "model.bin"
    with file.open("wb") as opened:
        for left in range(size, 0, -len(BLOCK)):
            opened.write(BLOCK[:left])
    argument = str(size) if server == "sink" else str(work / "server")
    started = [sys.executable, __file__, f"--{server}", argument]
    with subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            print(f"{size >> 20} MiB, server: {server}, best of {rounds}")
            best: dict[str, tuple[float, int]] = {}
            for _ in range(rounds):
                for name, command in commands(url, file, work).items():
                    seconds, peak = measured(command)
                    known = best.get(name, (seconds, peak))
                    best[name] = min(known[0], seconds), max(known[1], peak)
            for name, (seconds, peak) in best.items():
                print(f"  {name:38} {seconds:7.2f} s {size / seconds / 1e6:7.0f} MB/s {peak:6} MB peak RSS")
        finally:
            process.kill()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=1024, help="MiB")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--server", choices=["sink", "embedded"], action="append")
    options.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    options.add_argument("--embedded", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.sink:
        sink(chosen.sink)
    if chosen.embedded:
        embedded(chosen.embedded)
        return
    began = time.perf_counter()
    for server in chosen.server or ["sink", "embedded"]:
        with tempfile.TemporaryDirectory() as work:
            compare(server, chosen.size << 20, chosen.rounds, Path(work))
    print(f"took {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
