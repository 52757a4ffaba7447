"""Many threads, and two servers on one folder: nothing is lost, doubled or mixed up."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from mmsync.server import Address, running, store as storage
from support.model_files import MULTIPART, form


def add(address: Address, name: str, content: bytes) -> int:
    """Add a model over a connection of its own; return the status of the save."""
    headers = {"standAloneToken": address.token}
    with requests.Session() as session:
        session.headers.update(headers)
        upload = session.post(
            f"{address.url}/models/images/upload", data=form("MLSTATS", content), headers=MULTIPART, timeout=30
        )
        body = {"name": name, "engine": "MLSTATS", "image": {"id": upload.json()["imageId"]}}
        return session.post(f"{address.url}/models", json=body, timeout=30).status_code


def test_every_model_gets_its_own_bytes(server, http):
    names = [f"m{number}" for number in range(100)]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda name: add(server, name, name.encode() * 500), names))
    assert set(statuses) == {200}
    rows = http.get("/models").json()
    assert sorted(row["name"] for row in rows) == sorted(names)
    assert len({row["id"] for row in rows}) == len({row["imageId"] for row in rows}) == 100
    for name in names[::10]:
        image = http.get(f"/models/{name}/image").json()["image"]
        assert base64.b64decode(image) == name.encode() * 500


def test_of_many_creating_one_name_one_wins(server, http):
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda number: add(server, "same", b"%d" % number), range(16)))
    assert sorted(statuses) == [200] + [409] * 15
    assert len(http.get("/models").json()) == 1


def test_writes_that_find_no_database_together_all_fail_and_the_next_one_does_not(folder, monkeypatch):
    connect, refusals = storage._connect, [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]

    def refuse_once(folder):
        if refusals:
            raise refusals.pop()
        return connect(folder)

    with contextlib.closing(storage.Store(folder)) as store, ThreadPoolExecutor(3) as pool:
        with store._writer:  # all of them wait, and become one transaction
            found = [pool.submit(store.delete, "self", f"m{number}") for number in range(3)]
            while len(store._waiting) < 3:
                time.sleep(0.001)
            monkeypatch.setattr(storage, "_connect", refuse_once)
            store._writer.release()
            errors = [each.exception(timeout=30) for each in found]
            store._writer.acquire()
        assert [type(error) for error in errors] == [OSError] * 3
        store.delete("self", "m0")


def test_two_servers_may_share_a_folder(folder):
    with running(folder) as one, running(folder) as two, ThreadPoolExecutor(8) as pool:
        names = [f"m{number}" for number in range(40)]
        turns = [(one, two)[number % 2] for number in range(40)]
        assert set(pool.map(lambda address, name: add(address, name, name.encode()), turns, names)) == {200}
        for address in (one, two):
            rows = requests.get(f"{address.url}/models", headers={"standAloneToken": address.token}, timeout=10).json()
            assert sorted(row["name"] for row in rows) == sorted(names)
            assert len({row["imageId"] for row in rows}) == 40
