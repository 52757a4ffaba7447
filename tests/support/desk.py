"""A user's desk: a folder with a manifest and model files, a server, and commands run in it, kept as transcripts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmsync.client import Client
from mmsync.client.auth import HttpDevoStandAloneTokenAuth
from support.applying import View
from support.commands import Ran, Shell

TOKEN = "mark-of-a-t0ken"

# What differs from run to run, and a word for it. Ports have five digits here, so that lines break alike.
_VARYING = [
    (re.compile(r"127\.0\.0\.1:\d{5}\b"), "127.0.0.1:PORT"),
    (re.compile(r"(?m)(Digest:? `?|digest is |\"digest\": \")[0-9a-f]{64}"), r"\1DIGEST"),
    (re.compile(r"\b20\d{6}T\d{6}Z-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"correlation id [0-9a-f]+"), "correlation id CID"),
    (re.compile(r"\b1[6-9]\d{11}\b"), "DATE"),
    (re.compile(r'("mmsync(?:_version)?" ?: ?"|mmsync )[0-9]+\.[0-9.]+'), r"\1VERSION"),
]


class Desk:
    """Runs mmsync in this process, in ``folder``, with the server and the token in the environment."""

    def __init__(self, folder: Path, url: str, capsys, monkeypatch) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.url = url
        self.environment = monkeypatch
        self.view = View(url, TOKEN)
        self._shell = Shell(folder, capsys, monkeypatch)
        monkeypatch.setenv("MMSYNC_URL", url)
        monkeypatch.setenv("MMSYNC_TOKEN", TOKEN)

    def __call__(self, *words: object) -> Ran:
        return self._shell(*words)

    def start(self, *words: object, **settings):
        return self._shell.start(*words, **settings)

    def client(self) -> Client:
        return Client(self.url, HttpDevoStandAloneTokenAuth(TOKEN))

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)  # of a token that others can read mmsync warns, but only once a process
        return path

    def profile(self, name: str, token: str, *more: str, url: str = "", folder: str = "") -> Path:
        """Write a profile of this server, or of ``url``, in the home folder or in ``folder``."""
        place = self.folder / folder if folder else Path(os.environ["HOME"])
        place.mkdir(parents=True, exist_ok=True)
        text = "\n".join([f"[{name}]", f"url = {url or self.url}", f"token = {token}", *more, ""])
        (place / "modelmanager.ini").write_text(text)
        (place / "modelmanager.ini").chmod(0o600)
        return place / "modelmanager.ini"

    def manifest(self, models: str = "", *, scope: str = '["*"]', head: str = "", name: str = "models.yaml") -> Path:
        """Write a manifest; ``models`` are lines ``NAME ENGINE FILE [KEY: VALUE]…`` parted by two spaces."""
        text = f"version: 1\n{head}scope: {scope}\nmodels:{'' if models.strip() else ' []'}\n"
        for line in filter(None, map(str.strip, models.splitlines())):
            first, *more = line.split("  ")
            model, engine, file = first.split(" ")
            text += f"  - name: {model}\n    engine: {engine}\n    file: {file}\n"
            text += "".join(f"    {key}\n" for key in more)
        return self.file(name, text.encode())

    def transcript(self, *words: str, shown: str = "") -> str:
        """Run a command; return it with all it wrote, and its exit code, free of what varies."""
        ran = self(*words)
        text = f"$ mmsync {shown or ' '.join(words)}\n"
        text += f"{ran.out}{'--- stderr' if ran.err else ''}\n{ran.err}" if ran.err else ran.out
        text += f"--- exit {ran.code}\n"
        text = text.replace(f"{self.folder}/", "/FOLDER/")
        for pattern, word in _VARYING:
            text = pattern.sub(word, text)
        return text
