"""A proxy that cannot be one is named by its variable, with what to do, and without its password."""

from __future__ import annotations

import pytest

from mmsync.client import create_client_from_token
from mmsync.client.error import ModelManagerError
from mmsync.printable import masked_url
from support.clients import TOKEN, Clock
from support.wire import answer

SECRET = "s3cr3t"
MALFORMED = {
    f"http://user:pa/{SECRET}@127.0.0.1:1": "%2F",
    f"http://user:{SECRET}#x@127.0.0.1:1": "%23",
    f"http://user:{SECRET}?x@127.0.0.1:1": "%3F",
    f"http://user:{SECRET}@127.0.0.1:99999": "http://HOST:PORT",
    f"http://user:{SECRET}@127.0.0.1:0": "http://HOST:PORT",
    f"http://user:{SECRET}@127.0.0.1:abc": "http://HOST:PORT",
    f"http://user:{SECRET}@[::1": "http://HOST:PORT",
    f"http://user:{SECRET}@": "http://HOST:PORT",
    f"user:{SECRET}@127.0.0.1:1": "http://HOST:PORT",
    "not a proxy": "http://HOST:PORT",
    f"ftp://user:{SECRET}@127.0.0.1:1": "socks5h://",
    f"socks5://user:{SECRET}@127.0.0.1:1": "pip install PySocks",
}


@pytest.mark.parametrize("proxy", MALFORMED)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_malformed_proxy_is_named_by_its_variable(proxy, variable, monkeypatch):
    monkeypatch.setenv(variable, proxy)
    with (
        create_client_from_token("http://models.invalid", TOKEN, retry=Clock().policy()) as client,
        pytest.raises(ModelManagerError) as caught,
    ):
        client.get_models()
    assert f"({variable})" in str(caught.value)
    assert MALFORMED[proxy] in caught.value.hint
    assert SECRET not in str(caught.value) + caught.value.hint
    assert TOKEN not in str(caught.value)


def test_a_proxy_with_a_password_is_used(wire, monkeypatch):
    proxy = wire(lambda _: answer(200, []))
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", f"//user:{SECRET}%2F@"))
    with create_client_from_token("http://models.invalid", TOKEN, retry=Clock().policy()) as client:
        assert client.get_models() == []
    assert proxy.requests[0].target.startswith("http://models.invalid/")


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@h:0",
        f"http://me:a/{SECRET}@h",
        f"http://me:a#{SECRET}@h",
        f"http://{SECRET}@h:99999/x",
        f"http://h/?token={SECRET}",
        f"http://h#{SECRET}",
        f"me:{SECRET}@h",
        f"http://me:a://{SECRET}@h",
        f"//me:{SECRET}@h",
    ],
)
def test_no_form_of_an_address_shows_its_secret(url):
    assert SECRET not in masked_url(url)
    assert "h" in masked_url(url).replace("http", "")
    with pytest.raises(ModelManagerError) as caught:
        create_client_from_token(url, TOKEN)
    assert SECRET not in str(caught.value)
