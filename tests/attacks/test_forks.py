"""A client made before a fork: parent and child read side by side, and neither gets the other's answer."""

from __future__ import annotations

import json
import os
import threading

import pytest

from support.clients import client_of
from support.wire import Wire, answer

pytestmark = [
    pytest.mark.timeout(110),
    # What is shown is a fork with threads running: newer Pythons warn of it.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

NAMES = [f"model {number}" for number in range(8)]


def describe(request):
    name = request.target.split("?")[0].rpartition("/")[2].replace("%20", " ")
    return answer(200, {"id": NAMES.index(name), "name": name, "engine": "ONNX", "image": {"id": 1, "size": 5}})


def read(client, rounds: int) -> dict[str, int]:
    """Read every model in eight threads and count what came back."""
    count = {"right": 0, "wrong": 0, "failed": 0}

    def work(name):
        for _ in range(rounds):
            try:
                detail = client.find_detail(name)
                count["right" if detail["name"] == name else "wrong"] += 1
            except Exception:  # noqa: BLE001 - counted
                count["failed"] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count


def in_a_child(work) -> dict:
    """Return what ``work`` returns in a fork of this process."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(into, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as said:
        result = said.read()
    os.waitpid(child, 0)
    return json.loads(result or b"{}")


def test_no_answer_crosses_a_fork(scale):
    rounds, reads = 6 if scale > 1 else 2, 90 if scale > 1 else 15
    with Wire(describe) as server:
        client = client_of(server.url)
        for _ in range(rounds):
            read(client, 1)  # connections for the child to inherit
            going, stop = threading.Event(), threading.Event()

            def keep_reading(going=going, stop=stop):
                while not stop.is_set():
                    read(client, 1)
                    going.set()

            parent = threading.Thread(target=keep_reading)
            parent.start()
            going.wait()
            try:
                assert in_a_child(lambda: read(client, reads)) == {"right": 8 * reads, "wrong": 0, "failed": 0}
            finally:
                stop.set()
                parent.join()
        assert read(client, 1) == {"right": 8, "wrong": 0, "failed": 0}


def test_the_child_uses_connections_of_its_own_and_leaves_the_parents_alone():
    with Wire(describe) as server:
        client = client_of(server.url)
        assert client.find_detail("model 1")
        assert in_a_child(lambda: client.find_detail("model 2"))["name"] == "model 2"
        assert server.connections == 2
        assert client.find_detail("model 3")
        assert server.connections == 2


def test_locks_that_threads_held_at_the_fork_do_not_hang_the_child():
    with Wire(describe) as server:
        client = client_of(server.url)
        assert client.find_detail("model 1")
        session = client.api.transport.session
        manager = session.adapters["http://"].poolmanager
        pool = manager.pools._container.copy().popitem()[1]
        with manager.pools.lock, session.cookies._cookies_lock:
            held, let_go = threading.Event(), threading.Event()

            def hold():
                with pool.pool.mutex:
                    held.set()
                    let_go.wait()

            holder = threading.Thread(target=hold)
            holder.start()
            held.wait()
            assert in_a_child(lambda: client.find_detail("model 2"))["name"] == "model 2"
            let_go.set()
            holder.join()


def test_clients_that_are_gone_cost_a_fork_nothing():
    from mmsync.client import _transport

    before = len(_transport._transports)
    client_of("http://127.0.0.1:1").close()
    assert len(_transport._transports) == before
