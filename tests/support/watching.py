"""A real ``mmsync watch`` under test: its process, its log, and the server it keeps in step."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

__all__ = ["PATIENCE", "ServerView", "Watch", "inside", "json_model", "namespaces", "sha256", "write_manifest"]

PATIENCE = 30.0  # seconds; only a failing test waits that long


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def json_model(value):
    """A file the server takes for a BigML model; equal values give equal bytes, others differ in length too."""
    return json.dumps(
        {"resource": "model/1", "value": value, "fill": "x" * (value % 7 if isinstance(value, int) else 3)}
    ).encode()


def write_manifest(folder, models=(), *, discover=None, scope="*", name="models.yaml"):
    """Write a manifest that lists BigML models, each a JSON file beside it, and return its path."""
    lines = ["version: 1", f'scope: ["{scope}"]', "defaults: {engine: BIGML}"]
    lines.append("models:" if models else "models: []")
    lines += [f"  - {{name: {model}, file: {file}}}" for model, file in dict(models).items()]
    if discover:
        lines += ["discover:", f'  - {{glob: "{discover}", engine: BIGML, name: "{{stem}}"}}']
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


class ServerView:
    """What the server holds, read without mmsync."""

    def __init__(self, address):
        self.url = address.url
        self.token = address.token
        self._session = requests.Session()
        self._session.headers["standAloneToken"] = address.token

    def names(self):
        answer = self._session.get(f"{self.url}/models", timeout=10)
        answer.raise_for_status()
        return sorted(model["name"] for model in answer.json())

    def digest(self, name):
        answer = self._session.get(f"{self.url}/models/{requests.utils.quote(name, safe='')}?fast=False", timeout=10)
        if answer.status_code != 200 or not answer.content:
            return None
        return sha256(base64.b64decode(answer.json()["image"]["image"]))

    def holds(self, contents):
        """Whether exactly these models are there, each with these bytes."""
        wanted = {name: sha256(data) for name, data in contents.items()}
        return self.names() == sorted(wanted) and all(self.digest(name) == digest for name, digest in wanted.items())

    def close(self):
        self._session.close()


class Watch:
    """The process and everything it has logged so far."""

    def __init__(self, arguments, *, server, before=(), patch=None, env=None, cwd=None):
        environment = {**os.environ, "MMSYNC_URL": server.url, "MMSYNC_TOKEN": server.token, **(env or {})}
        environment = {key: value for key, value in environment.items() if value is not None}
        code = f"{patch or ''}\nimport sys; from mmsync.cli.main import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", code, "watch", "--log-format", "json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=cwd,
            text=True,
        )
        self.records = []
        self.other = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self.process.pid

    def events(self):
        return [record["event"] for record in self.records]

    def of(self, event):
        return [record for record in self.records if record["event"] == event]

    def seen(self, event, **fields):
        """Wait until a record with this event and these fields was logged; return it."""

        def matching():
            return next(
                (r for r in list(self.records) if r["event"] == event and fields.items() <= r.items()),
                None,
            )

        self.until(lambda: matching() is not None, f"{event} {fields}")
        return matching()

    def until(self, condition, what="it"):
        """Wait until a condition holds; it is asked after each record, and now and then."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None or condition(), f"watch ended: {self.tail()}"
            assert time.monotonic() < deadline, f"{what} did not come: {self.tail()}"
            with self._news:
                self._news.wait(0.05)

    def rounds(self):
        return len(self.of("reconciled"))

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ask it to end; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self, patience=PATIENCE):
        code = self.process.wait(patience)
        self._reader.join(5)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()

    def tail(self):
        return "\n".join([*(json.dumps(record) for record in self.records[-15:]), *self.other[-20:]])

    def resident(self):
        """Bytes of memory it has resident."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def _read(self):
        for line in self.process.stderr:
            with self._news:
                try:
                    self.records.append(json.loads(line))
                except ValueError:
                    self.other.append(line.rstrip())
                self._news.notify_all()


def namespaces(*flags):
    """Return the command that starts another in new namespaces, or None where the machine forbids them."""
    command = shutil.which("unshare")
    if command is None or shutil.which("nsenter") is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if subprocess.run([command, *flags, "true"], capture_output=True, timeout=10, check=False).returncode == 0:
            return [command, *flags]
    return None


def inside(watch, script):
    """Run a shell script in the namespaces of a watch."""
    subprocess.run(
        ["nsenter", "-t", str(watch.pid), "-U", "-m", "--preserve-credentials", "sh", "-ec", script],
        check=True,
        capture_output=True,
        timeout=30,
    )
