"""A folder with a manifest and model files, beside a server: what tests of planning and applying work on."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path  # dataclasses and their readers resolve it at run time
from typing import Any

import requests

from mmsync.client import Client, RetryPolicy
from mmsync.client.auth import HttpDevoStandAloneTokenAuth
from mmsync.connection import Connection
from mmsync.ledger import Ledger
from mmsync.manifest import read_manifest
from mmsync.reconcile import Options, apply_plan, make_plan
from mmsync.types import ServerName

__all__ = ["Site", "View", "json_bytes", "sha256", "stopping"]

SOON = RetryPolicy(first_wait=0.01, longest_wait=0.05, longest_retry_after=0.2)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def json_bytes(tag: object, size: int = 0) -> bytes:
    """A file that every JSON engine takes; at least ``size`` bytes."""
    return json.dumps({"tag": str(tag), "fill": "x" * size}).encode()


def stopping(process: subprocess.Popen[str]) -> None:
    """Wait until a command says that it stops."""
    assert process.stderr is not None
    for line in process.stderr:
        if "Stopping" in line:
            return
    raise AssertionError("it did not say that it stops")


class View:
    """What a server holds and a way to change it, without mmsync."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["standAloneToken"] = token

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=30, **options)

    def rows(self) -> list[dict[str, Any]]:
        answer = self.ask("GET", "/models")
        answer.raise_for_status()
        return answer.json()

    def names(self) -> list[str]:
        return sorted(row["name"] for row in self.rows())

    def detail(self, name: str, *, fast: bool = True) -> dict[str, Any]:
        answer = self.ask("GET", f"/models/{requests.utils.quote(name, safe='')}", params={"fast": fast})
        return answer.json() if answer.content else {}

    def digest(self, name: str) -> str:
        import base64

        return sha256(base64.b64decode(self.detail(name, fast=False)["image"]["image"]))

    def digests(self) -> dict[str, str]:
        return {name: self.digest(name) for name in self.names()}

    def upload(self, content: bytes, engine: str = "BIGML") -> dict[str, Any]:
        files = {"fileName": ("m", content)}
        return self.ask("POST", "/models/images/upload", data={"engine": engine}, files=files).json()

    def save(self, **body: Any) -> requests.Response:
        return self.ask("POST", "/models", json=body)

    def put(self, name: str, content: bytes, engine: str = "BIGML", **more: Any) -> None:
        """Add a model or replace the one there, as anybody could."""
        stored = self.detail(name)
        body = {"name": name, "engine": engine, "image": {"id": self.upload(content, engine)["imageId"]}}
        body |= {"description": stored.get("description"), "hidden": stored.get("hidden", False)}
        body |= {"id": stored["id"], "parentId": stored["parentId"]} if stored else {}
        answer = self.save(**{**body, **more})
        assert answer.ok, answer.text

    def edit(self, name: str, **changes: Any) -> None:
        """Save the stored detail with changes, uploading nothing."""
        stored = self.detail(name)
        stored["image"] = {"id": stored["image"]["id"], "size": stored["image"]["size"]}
        answer = self.save(**{**stored, **changes})
        assert answer.ok, answer.text

    def delete(self, name: str) -> None:
        assert self.ask("DELETE", f"/models/{requests.utils.quote(name, safe='')}").ok

    def close(self) -> None:
        self.session.close()


@dataclass
class Site:
    """A manifest and its files, the server they are for, and the ledger.

    Attributes:
        folder: Where ``models.yaml`` and the files are.
        url: The server, or a proxy in front of it.
        token: Its token.
        entries: The manifest's models by name, as dictionaries; written to disk by `save`.
        scope: The manifest's scope.
        ledger: The ledger's file.
        slept: The seconds an apply in this process would have waited for the server.
    """

    folder: Path
    url: str
    token: str
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    scope: tuple[str, ...] = ("*",)
    ledger: Path | None = None
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ledger = self.ledger or self.folder.parent / "cache" / "ledger.sqlite"

    def model(self, name: str, content: bytes, engine: str = "BIGML", **more: Any) -> Path:
        """Put a model into the manifest and its file into the folder; return the file."""
        file = self.folder / f"{name}.json"
        file.write_bytes(content)
        self.entries[name] = {"name": name, "engine": engine, "file": file.name, **more}
        return file

    def models(self, count: int, size: int = 0) -> list[str]:
        """Put so many models into the manifest; return their names."""
        for number in range(count):
            self.model(f"m{number:03}", json_bytes(number, size))
        return sorted(self.entries)

    def save(self) -> Path:
        """Write the manifest (JSON is YAML, but for escaped pairs of surrogates)."""
        path = self.folder / "models.yaml"
        document = {"version": 1, "scope": list(self.scope), "models": list(self.entries.values())}
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        return path

    def digests(self) -> dict[str, str]:
        """What the server is to hold."""
        return {name: sha256((self.folder / entry["file"]).read_bytes()) for name, entry in self.entries.items()}

    def client(self, **settings: Any) -> Client:
        settings = {"retry": SOON, "timeout": 20, "pool_size": 20, **settings}
        return Client(self.url, HttpDevoStandAloneTokenAuth(self.token), **settings)

    def connection(self, client: Client, ledger: Ledger) -> Connection:
        return Connection(client, ServerName("http://tests"), ledger)

    def plan(self, options: Options = Options(), **settings: Any) -> Any:
        """Plan in this process."""
        manifest = read_manifest([str(self.save())])
        with self.client() as client, self.open_ledger() as ledger:
            return make_plan(manifest, self.connection(client, ledger), options, **settings)

    def apply(self, options: Options = Options(), *, between: Any = None, **settings: Any) -> Any:
        """Plan and apply in this process; ``between`` is called with the plan before it is applied."""
        manifest = read_manifest([str(self.save())])
        with self.client() as client, self.open_ledger() as ledger:
            connection = self.connection(client, ledger)
            made = make_plan(manifest, connection, options)
            if between:
                between(made)
            return apply_plan(made, connection, **{"jobs": options.jobs, "sleep": self.slept.append, **settings})

    def apply_past_the_plan(self, *, jobs: int = 8) -> Any:
        """Plan with changes of signature allowed, and apply with none allowed: what apply itself refuses."""
        allowed = {name: {**entry, "allow_signature_change": True} for name, entry in self.entries.items()}
        made = Site(self.folder, self.url, self.token, allowed, self.scope, self.ledger).plan()
        changes = tuple(
            replace(change, desired=change.desired and change.desired._replace(allow_signature_change=False))
            for change in made.changes
        )
        with self.client() as client, self.open_ledger() as ledger:
            connection = self.connection(client, ledger)
            return apply_plan(replace(made, changes=changes), connection, jobs=jobs, sleep=self.slept.append)

    def open_ledger(self) -> Ledger:
        return Ledger(self.ledger, warn=lambda sentence: None, now=1_800_000_000)

    def environment(self, **more: str) -> dict[str, str]:
        own = {"MMSYNC_URL": self.url, "MMSYNC_TOKEN": self.token, "MMSYNC_CACHE_DIR": str(self.ledger.parent)}
        return {**os.environ, **own, **more}

    def start(self, *arguments: str, env: dict[str, str] | None = None, **settings: Any) -> subprocess.Popen[str]:
        """Start the command line in the folder."""
        self.save()
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
        command = [sys.executable, "-m", "mmsync", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment(**(env or {})), text=True, **settings)

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line in the folder to its end."""
        process = self.start(*arguments, env=env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
