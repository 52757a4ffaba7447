"""One client, many threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmsync.server import running
from support.clients import client_of, legacy_of
from support.model_files import bigml
from support.wire import answer


def connections(client) -> int:
    pools = client.api.transport.session.get_adapter(client.url).poolmanager.pools
    return sum(pools[key].num_connections for key in pools.keys())  # noqa: SIM118 - iterating over the pools themselves is refused


def test_more_threads_than_kept_connections_is_no_fault(wire, caplog):
    together = threading.Barrier(8)

    def reply(_request):
        together.wait(10)
        return answer(200, [])

    server = wire(reply)
    client = client_of(server.url, pool_size=2)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: client.get_models(), range(8))) == [[]] * 8
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
    assert server.connections == 8


@pytest.mark.parametrize("make", [client_of, legacy_of])
def test_200_adds_over_32_threads_all_succeed_on_at_most_32_connections(tmp_path, make):
    path = tmp_path / "model.json"
    path.write_bytes(bigml())
    names = [f"model {number:03}" for number in range(200)]
    with running(tmp_path / "server", latency=0.02) as address, make(address.url, token=address.token) as client:
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda name: client.add_model(name, "BIGML", path, name), names))
        assert sorted((model["name"], model["description"]) for model in client.get_models()) == [
            (name, name) for name in names
        ]
        assert connections(client) <= 32
