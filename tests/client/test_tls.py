"""TLS and proxies against real servers on loopback: whom the client trusts, and what it says where it does not."""

from __future__ import annotations

import logging
import shutil
import subprocess
import threading

import pytest

from mmsync.client import create_client_from_profile
from mmsync.client._request_log import NOTICE
from mmsync.client.error import ModelManagerError, ProfileError, TransportError
from mmsync.server import running
from support.clients import TOKEN, client_of
from support.loopback import Loopback
from support.tls import Authority, ConnectProxy, TlsFront, self_signed
from support.wire import answer

SECRET = "s3cr3t"
VARIABLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "certificates")


@pytest.fixture
def plain(wire):
    return wire(lambda _: answer(200, []))


@pytest.fixture
def front(authority, plain):
    with TlsFront(plain.port, authority.issue("server", "127.0.0.1")) as made:
        yield made


def error_of(url, **settings):
    with client_of(url, **settings) as client, pytest.raises(ModelManagerError) as caught:
        client.get_models()
    assert TOKEN not in f"{caught.value}{caught.value.hint}"
    return caught.value


def works(url, **settings):
    with client_of(url, **settings) as client:
        return client.get_models() == []


def test_a_private_authority_is_refused_until_it_is_given(front, authority, plain):
    error = error_of(front.url)
    assert isinstance(error, TransportError)
    assert not error.transient
    assert "from an authority that is not in this system's trust store" in str(error)
    assert "--cacert FILE" in error.hint
    assert not plain.requests
    assert works(front.url, verify=authority.pem)
    assert works(front.url, verify=str(authority.pem))


def test_without_truststore_requests_own_certificates_are_used(front, monkeypatch):
    monkeypatch.setattr("mmsync.client._tls._truststore", lambda: None)
    assert "not in the certificates that come with Python's requests" in str(error_of(front.url))


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_private_authority_may_come_from_the_environment(front, authority, variable, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, str(authority.pem))
    assert works(front.url)
    other = Authority(tmp_path / "other")
    monkeypatch.setenv(variable, str(other.pem))
    error = error_of(front.url)
    assert f"the certificates in {other.pem} ({variable})" in str(error)
    assert variable in error.hint
    assert "--cacert FILE" in error.hint  # the system's own file is nothing to edit
    assert works(front.url, verify=authority.pem)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_file_of_certificates_that_is_not_there_is_named_with_its_variable(front, variable, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, str(tmp_path / "gone.pem"))
    error = error_of(front.url)
    assert (
        str(error) == f"the certificates {tmp_path / 'gone.pem'} ({variable}) cannot be read: No such file or directory"
    )
    assert error.hint == f"correct {variable}"


def test_a_folder_of_certificates_is_trusted(front, authority, tmp_path):
    folder = tmp_path / "hashed"
    folder.mkdir()
    shutil.copy(authority.pem, folder)
    digest = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", authority.pem], check=True, capture_output=True, text=True
    ).stdout.strip()
    (folder / f"{digest}.0").symlink_to(folder / authority.pem.name)
    assert works(front.url, verify=folder)


def test_a_file_without_certificates_is_said_to_be_none(front, tmp_path):
    (tmp_path / "empty.pem").write_text("nothing\n")
    error = error_of(front.url, verify=tmp_path / "empty.pem")
    assert "holds none in PEM" in str(error)
    assert "(verify=)" in str(error)


def test_a_self_signed_certificate_is_refused_until_it_is_given(plain, tmp_path):
    cert, both = self_signed(tmp_path)
    with TlsFront(plain.port, both) as front:
        error = error_of(front.url)
        assert "self-signed" in str(error)
        assert "--cacert FILE" in error.hint
        assert works(front.url, verify=cert)


def test_a_certificate_for_another_name_is_refused(authority, plain):
    with TlsFront(plain.port, authority.issue("server", "models.example")) as front:
        error = error_of(front.url, verify=authority.pem)
    assert "its certificate is for another name" in str(error)
    assert "127.0.0.1" in str(error)
    assert "address" in error.hint


def test_an_expired_certificate_is_refused(authority, plain):
    with TlsFront(plain.port, authority.issue("server", "127.0.0.1", expired=True)) as front:
        error = error_of(front.url, verify=authority.pem)
    assert "its certificate has expired" in str(error)
    assert "renew" in error.hint


@pytest.fixture
def wanting(authority, plain):
    """A server that wants a client certificate of the authority."""
    server = authority.issue("server", "127.0.0.1")
    with TlsFront(plain.port, server, clients=authority.pem) as made:
        yield made


def test_a_client_certificate_is_shown(wanting, authority):
    assert works(wanting.url, verify=authority.pem, cert=str(authority.issue("me", "me@example.com")))


def test_a_client_certificate_may_have_its_key_in_another_file(wanting, authority, tmp_path):
    both = authority.issue("me", "me@example.com").read_text()
    end = both.index("-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_text(both[:end])
    (tmp_path / "cert.pem").write_text(both[end:])
    files = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    assert works(wanting.url, verify=authority.pem, cert=files)
    assert "not hold both a certificate and its key" in str(error_of(wanting.url, verify=authority.pem, cert=files[0]))
    other = authority.issue("other", "other@example.com")
    error = error_of(wanting.url, verify=authority.pem, cert=(files[0], str(other)))
    assert "does not fit its key" in str(error)


def test_a_client_certificate_that_is_wanted_is_asked_for(wanting, authority, plain):
    error = error_of(wanting.url, verify=authority.pem)
    assert "the server wants a client certificate" in str(error)
    assert "--client-cert FILE" in error.hint
    assert not plain.requests


def test_a_client_certificate_of_another_authority_is_named(wanting, authority, tmp_path):
    stranger = Authority(tmp_path / "stranger").issue("stranger", "stranger@example.com")
    error = error_of(wanting.url, verify=authority.pem, cert=str(stranger))
    assert f"the server does not accept the client certificate {stranger} (cert=)" in str(error)


def test_a_client_certificate_that_is_not_there_is_named(wanting, authority, tmp_path):
    error = error_of(
        wanting.url, verify=authority.pem, cert=str(tmp_path / "gone.pem"), sources={"cert": "--client-cert"}
    )
    assert f"{tmp_path / 'gone.pem'} (--client-cert) cannot be read: No such file" in str(error)


def test_an_encrypted_key_is_not_asked_about_at_the_terminal(wanting, authority, tmp_path):
    me, locked = authority.issue("me", "me@example.com"), tmp_path / "locked.pem"
    subprocess.run(["openssl", "pkey", "-in", me, "-aes256", "-passout", "pass:secret", "-out", locked], check=True)
    error = error_of(wanting.url, verify=authority.pem, cert=(str(me), str(locked)))
    assert "has an encrypted key" in str(error)
    assert "openssl pkey" in error.hint


def test_a_certificate_written_anew_is_used_from_then_on(plain, authority, tmp_path):
    trusted = tmp_path / "trusted.pem"
    shutil.copy(Authority(tmp_path / "old").pem, trusted)
    with (
        TlsFront(plain.port, authority.issue("server", "127.0.0.1")) as front,
        client_of(front.url, verify=trusted) as client,
    ):
        with pytest.raises(TransportError, match="authority"):
            client.get_models()
        shutil.copy(authority.pem, tmp_path / "new.pem")
        (tmp_path / "new.pem").replace(trusted)
        assert client.get_models() == []


def test_one_connection_serves_many_requests(front, authority):
    with client_of(front.url, verify=authority.pem) as client:
        for _ in range(5):
            client.get_models()
    assert front.handshakes == 1


def test_unchecked_certificates_on_loopback_are_no_warning(front):
    assert works(front.url, verify=False)


PROFILE = """[p]
url = {url}
token = {token}
{more}
"""


def test_a_profile_says_how_its_server_is_reached(wanting, authority, tmp_path, monkeypatch):
    authority.issue("me", "me@example.com")
    more = "cacert = certificates/ca.pem\nclient_cert = certificates/me.pem"
    (tmp_path / "modelmanager.ini").write_text(PROFILE.format(url=wanting.url, token=TOKEN, more=more))
    monkeypatch.chdir("/")
    with create_client_from_profile("p", path=tmp_path) as client:
        assert client.get_models() == []
    with create_client_from_profile("p", path=tmp_path, verify=True) as client, pytest.raises(TransportError):
        client.get_models()


def test_a_profile_may_leave_certificates_unchecked_on_loopback_alone(front, tmp_path):
    file = tmp_path / "modelmanager.ini"
    file.write_text(PROFILE.format(url=front.url, token=TOKEN, more="insecure = yes"))
    with create_client_from_profile("p", path=file) as client:
        assert client.get_models() == []
    file.write_text(PROFILE.format(url="https://models.invalid", token=TOKEN, more="insecure = yes"))
    with pytest.raises(ProfileError, match="this machine alone"):
        create_client_from_profile("p", path=file)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("insecure = perhaps", "must be yes or no"),
        ("client_key = k.pem", "without client_cert"),
        ("insecure = yes\nproxy = http://127.0.0.1:1", "contradict"),
    ],
)
def test_a_profile_with_a_wrong_key_is_refused(tmp_path, more, what):
    file = tmp_path / "modelmanager.ini"
    file.write_text(PROFILE.format(url="https://127.0.0.1:1", token=TOKEN, more=more))
    with pytest.raises(ProfileError, match=what):
        create_client_from_profile("p", path=file)


def test_a_proxy_is_used_and_the_server_behind_it_checked(front, authority):
    with ConnectProxy() as proxy:
        assert works(front.url, verify=authority.pem, proxies={"https": proxy.url})
        assert proxy.asked == [f"127.0.0.1:{front.port}"]
        assert "authority" in str(error_of(front.url, proxies={"https": proxy.url}))


def test_a_dead_proxy_is_named_with_who_named_it(front, monkeypatch):
    dead = f"http://me:{SECRET}@127.0.0.1:1"
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, dead)
        error = error_of(front.url)
        assert f"The proxy http://***@127.0.0.1:1 ({variable}) to {front.url} failed: " in str(error)
        assert "NO_PROXY" in error.hint
        assert SECRET not in f"{error}{error.hint}"
        monkeypatch.delenv(variable)
    error = error_of(front.url, proxies={"https": dead}, sources={"proxies": "--proxy"})
    assert error.hint.startswith("correct the proxy, or leave it out")  # NO_PROXY would change nothing
    assert "(--proxy)" in str(error)
    assert "(--proxy)" in str(error_of("http://models.invalid", proxies={"http": dead}, sources={"proxies": "--proxy"}))


def test_a_server_in_no_proxy_is_reached_directly(front, authority, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert works(front.url, verify=authority.pem)


def test_a_proxy_that_wants_a_password_says_how_one_is_given(front, wire, monkeypatch):
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\n\r\n"
    with ConnectProxy(refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = error_of(front.url)
    assert f"The proxy {proxy.url} (HTTPS_PROXY)" in str(error)
    assert "407" in str(error)
    assert "USER:PASSWORD" in error.hint
    asking = wire(lambda _: answer(407))
    monkeypatch.setenv("HTTP_PROXY", asking.url)
    error = error_of("http://models.invalid")
    assert f"The proxy {asking.url} (HTTP_PROXY) refuses" in str(error)
    assert "USER:PASSWORD" in error.hint


def test_https_to_an_http_port_says_so(plain, tmp_path):
    with running(tmp_path / "srv", patience=0.2) as address:
        error = error_of(address.url.replace("http:", "https:"))
    assert "does not speak TLS" in str(error)
    assert "http://" in error.hint


def test_https_to_a_port_that_waits_for_more_says_what_it_may_be(plain):
    error = error_of(plain.url.replace("http:", "https:"), timeout=0.2)
    assert "handshake" in str(error)
    assert "http://" in error.hint


def test_http_to_a_tls_port_says_so(front):
    error = error_of(front.url.replace("https:", "http:"))
    assert "answers with TLS" in str(error) or "https" in error.hint


@pytest.mark.parametrize("words", [b"No required SSL certificate was sent", b"The SSL certificate error"])
def test_a_server_that_asks_for_a_client_certificate_by_a_page_is_understood(wire, words):
    page = b"<html><head><title>400 " + words + b"</title></head></html>"
    server = wire(lambda _: answer(400, raw=page, headers={"Content-Type": "text/html"}))
    assert "--client-cert" in error_of(server.url).hint


def test_a_server_that_tells_of_http_on_its_tls_port_by_a_page_is_understood(wire):
    page = b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
    server = wire(lambda _: answer(400, raw=page, headers={"Content-Type": "text/html"}))
    assert "https://" in error_of(server.url).hint


def test_a_handshake_that_is_broken_off_is_no_certificates_fault():
    broken = Loopback(lambda connection, _: connection.close())
    try:
        assert "certificate" not in str(error_of(broken.url.replace("http:", "https:")))
    finally:
        broken.close()


def test_a_slow_answer_over_tls_is_said_while_it_is_waited_for(caplog, monkeypatch, wire, authority):
    monkeypatch.setattr("mmsync.client._connection_pool.SILENCE", 0.05)
    told, seen = threading.Event(), []

    def slow(connection):
        assert told.wait(30)
        connection.sendall(answer(body=[{"name": "a"}]))

    def count(record):
        seen.append(record.getMessage())
        if len(seen) == 3:
            told.set()
        return True

    caplog.set_level(NOTICE, "mmsync.client")
    log = logging.getLogger("mmsync.client")
    log.addFilter(count)
    try:
        with (
            TlsFront(wire(lambda _request: slow).port, authority.issue("server", "127.0.0.1")) as front,
            client_of(front.url, verify=authority.pem) as client,
        ):
            assert [model["name"] for model in client.get_models()] == ["a"]
    finally:
        log.removeFilter(count)
    assert seen[0].startswith("still waiting for the server's answer to GET /models (")
