"""Every fault of the libraries underneath comes out as one of ours."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest
import requests
import urllib3

from mmsync.client import Client
from mmsync.client.auth import HttpDevoStandAloneTokenAuth
from mmsync.client.error import ModelManagerError, TransportError
from support.clients import Clock, client_of
from support.loopback import Loopback
from support.wire import answer


def family(root: type) -> list[type]:
    return [root, *(each for child in root.__subclasses__() for each in family(child))]


def made(kind: type) -> BaseException:
    error = kind.__new__(kind)
    error.args = ("provoked",)
    error.partial, error.expected, error.length = (
        (0 if kind.__module__.startswith("urllib3") else b""),
        1,
        b"x",
    )  # what some of them show of themselves
    return error


class Broken(requests.adapters.BaseAdapter):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def send(self, request, **_):
        raise self.error

    def close(self):
        pass


OURS_UNDERNEATH = sorted(
    {*family(requests.RequestException), *family(urllib3.exceptions.HTTPError), *family(http.client.HTTPException)},
    key=lambda kind: (kind.__module__, kind.__name__),
)


@pytest.mark.parametrize(
    "kind", [kind for kind in OURS_UNDERNEATH if kind.__module__.startswith(("requests", "urllib3", "http"))]
)
def test_every_error_of_the_libraries_underneath_becomes_ours(kind):
    client = client_of("http://127.0.0.1:1", retry=Clock().policy())
    client.api.transport.session.mount("http://", Broken(made(kind)))
    with pytest.raises(ModelManagerError) as caught:
        client.get_models()
    assert isinstance(caught.value.__cause__, kind)
    assert str(caught.value)


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(104, "reset"), TimeoutError(), UnicodeError("label too long"), OSError("no CA bundle")],
)
def test_so_does_what_escapes_them(error):
    client = client_of("http://127.0.0.1:1", retry=Clock().policy())
    client.api.transport.session.mount("http://", Broken(error))
    with pytest.raises(ModelManagerError):
        client.get_models()


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".test", "xn--\u00fc.test", "no-such-host.invalid", "1.2.3.4.5.test", "*.test"]
)
def test_hosts_that_cannot_be(host):
    with pytest.raises(ModelManagerError):
        client_of(f"http://{host}:9").get_models()


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "localhost",
        "ftp://localhost",
        "http://",
        "http:///x",
        "http://in valid",
        "http://h\n",
        "http://h?x=1",
        "http://h#f",
        "http://h:99999",
        "http://h:x",
        "http://a..b",
        "http://[1]",
        None,
    ],
)
def test_addresses_that_cannot_be_are_refused_at_once(url):
    with pytest.raises(ModelManagerError, match="Invalid url"):
        Client(url, HttpDevoStandAloneTokenAuth("t"))


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "https://testing_url",
        "http://single",
        "http://svc:8080/",
        "http://[::1]:80",
        "https://api-us.devo.com/mlmodelmanager/",
        "HTTP://H",
    ],
)
def test_addresses_people_have_are_taken(url):
    assert Client(url, HttpDevoStandAloneTokenAuth("t")).url == url.rstrip("/")


def test_a_server_that_speaks_no_tls_is_not_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_plainly():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer_plainly)
        thread.start()
        clock = Clock()
        with pytest.raises(TransportError, match="secure connection") as caught:
            client_of(f"https://127.0.0.1:{listener.getsockname()[1]}", retry=clock.policy()).get_models()
        thread.join()
    assert not caught.value.transient
    assert not caught.value.sent
    assert clock.slept == []


@pytest.mark.parametrize("upload", [False, True])
def test_plain_http_on_an_https_address_is_told_with_the_way_out(wire, tmp_path, upload):
    def answer_plainly(connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    path = tmp_path / "m.onnx"
    path.write_bytes(b"x" * 3_000_000)
    server = Loopback(lambda connection, _: connection.recv(65536) and answer_plainly(connection))
    client = client_of(server.url.replace("http:", "https:"))
    with pytest.raises(TransportError, match="does not speak TLS") as caught:
        client.upload_image("ONNX", path) if upload else client.get_models()
    server.close()
    assert "http://" in caught.value.hint
    assert not caught.value.transient


@pytest.mark.parametrize("upload", [False, True])
@pytest.mark.parametrize("last", [b"\x15\x03\x01\x00\x02\x02\x46", b""])
def test_a_tls_port_on_an_http_address_is_told_with_the_way_out(tmp_path, upload, last):
    """Some servers send a TLS alert, most just break off."""

    def break_off(connection, _):
        connection.recv(5)
        connection.sendall(last)

    path = tmp_path / "m.onnx"
    path.write_bytes(b"x" * 3_000_000)
    server = Loopback(break_off)
    client = client_of(server.url, retry=Clock().policy())
    with pytest.raises(TransportError) as caught:
        client.upload_image("ONNX", path) if upload else client.get_models()
    server.close()
    assert "https" in caught.value.hint
    assert "timeout" not in caught.value.hint


def test_a_missing_certificate_file_is_ours_too(wire):
    with pytest.raises(ModelManagerError, match="no/such/bundle"):
        client_of("https://127.0.0.1:1", verify="/no/such/bundle").get_models()


def test_keywords_reach_the_request_and_unknown_ones_are_refused_at_once(wire):
    server = wire(lambda _: answer(200, []))
    heard = []
    client = client_of(
        server.url,
        headers={"X-Mine": "1", "Accept": None},
        cookies={"c": "2"},
        timeout=(3, 4),
        hooks={"response": lambda r, **_: heard.append(r.status_code)},
    )
    client.get_models()
    headers = server.requests[0].headers
    assert (headers["x-mine"], headers["cookie"], "accept" in headers) == ("1", "c=2", False)
    assert heard == [200]
    assert client.api.timeout == (3, 4)
    with pytest.raises(TypeError, match="time_out"):
        client_of(server.url, time_out=3)
    assert client_of(server.url, timeout=None).api.timeout == 30


def test_cookies_of_an_answer_are_not_kept(wire):
    server = wire(lambda _: answer(200, [], headers={"Set-Cookie": "session=1"}))
    client = client_of(server.url)
    client.get_models()
    client.get_models()
    assert "cookie" not in server.requests[1].headers


def test_the_environment_names_a_proxy_and_a_keyword_wins(wire, monkeypatch):
    direct, proxy, other = (
        wire(lambda _, name=name: answer(200, [{"name": name}])) for name in ("direct", "proxy", "other")
    )
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    assert client_of("http://server.test").get_models() == [{"name": "proxy"}]
    assert client_of("http://server.test", proxies={"http": other.url}).get_models() == [{"name": "other"}]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert client_of(direct.url).get_models() == [{"name": "direct"}]


def test_the_environment_names_a_bundle_and_a_keyword_wins(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle")
    with pytest.raises(ModelManagerError, match="no/such/bundle"):
        client_of("https://127.0.0.1:1").get_models()
    with pytest.raises(TransportError, match="Cannot connect"):
        client_of("https://127.0.0.1:1", verify=False).get_models()


def test_any_callable_authenticates(wire):
    server = wire(lambda _: answer(200, []))

    def sign(request):
        request.headers["X-Signature"] = f"{request.method} {request.path_url}"
        return request

    Client(server.url, sign).get_models()
    Client(server.url, ("user", "password")).get_models()
    assert server.requests[0].headers["x-signature"] == "GET /models"
    assert server.requests[1].headers["authorization"].startswith("Basic ")
