"""A running server and a plain HTTP client of it, which knows nothing of mmsync's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import requests

from mmsync.server import Address, running
from support.model_files import MULTIPART, form


@dataclass
class Http:
    """Requests to one server, by path."""

    address: Address
    session: requests.Session
    base: str = ""

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"standAloneToken": self.address.token, **options.pop("headers", {})}
        url = self.address.url + self.base + path
        return self.session.request(method, url, headers=headers, timeout=30, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.ask("GET", path, **options)

    def upload(self, engine: str, content: bytes) -> requests.Response:
        return self.ask("POST", "/models/images/upload", data=form(engine, content), headers=MULTIPART)

    def image(self, content: bytes = b"bytes", engine: str = "MLSTATS") -> int:
        review = self.upload(engine, content).json()
        assert review["valid"], review
        return review["imageId"]

    def save(self, body: dict[str, Any]) -> requests.Response:
        return self.ask("POST", "/models", json=body)

    def add(self, name: str, content: bytes = b"bytes", **more: Any) -> dict[str, Any]:
        body = {"name": name, "engine": "MLSTATS", "image": {"id": self.image(content)}, **more}
        reply = self.save(body)
        assert reply.status_code == 200, reply.text
        return self.model(name)

    def model(self, name: str) -> dict[str, Any]:
        return self.get(f"/models/{requests.utils.quote(name, safe='')}?fast=true").json()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "server"


@pytest.fixture
def server(folder):
    with running(folder) as address:
        yield address


@pytest.fixture
def http(server):
    with requests.Session() as session:
        yield Http(server, session)


@pytest.fixture
def legacy(server):
    with requests.Session() as session:
        yield Http(server, session, base="/domains/self")
