"""The token goes to one server and nowhere else: no other origin, message, log, repr or pickle."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from pathlib import Path

import pytest

from mmsync.client import Client, create_client_from_token
from mmsync.client.auth import HttpDevoBearerTokenAuth, HttpDevoStandAloneTokenAuth
from mmsync.client.error import ModelManagerError, RedirectRefused, TokenError, TransportError
from mmsync.client.validator import normalise_url
from support.clients import TOKEN, Clock, client_of, legacy_of
from support.wire import answer


def headers_hold_token(request) -> bool:
    return any(TOKEN in value for value in request.headers.values())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("auth", [HttpDevoStandAloneTokenAuth, HttpDevoBearerTokenAuth])
def test_a_second_server_never_sees_the_token(wire, tmp_path, status, auth):
    path = tmp_path / "m.json"
    path.write_text("{}")
    second = wire(lambda _: answer(200, []))
    first = wire(lambda request: answer(status, headers={"Location": f"{second.url}{request.target}"}))
    client = Client(first.url, auth(TOKEN), retry=Clock().policy())
    calls = (
        client.get_models,
        lambda: client.find_detail("m"),
        lambda: client.download_image("m"),
        lambda: client.upload_image("ONNX", path),
        lambda: client.save_model({"name": "m"}),
    )
    for call in calls:
        with pytest.raises(RedirectRefused, match="another origin") as caught:
            call()
        assert TOKEN not in str(caught.value)
    assert second.connections == 0
    assert len(first.requests) == len(calls)


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.test/x",
        "//elsewhere.test/x",
        "https://127.0.0.1/x",
        "http://[",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:1/",
    ],
)
def test_other_hosts_ports_and_schemes_are_other_origins(wire, location):
    server = wire(lambda _: answer(302, headers={"Location": location}))
    with pytest.raises(RedirectRefused):
        client_of(server.url).get_models()


def test_a_redirect_within_the_origin_is_followed(wire, tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(bytes(3 << 20))

    def reply(request):
        if request.target.startswith("/old"):
            return answer(308, headers={"Location": request.target.replace("/old", "/new")})
        return answer(200, {"valid": True} if request.method == "POST" else [])

    server = wire(reply)
    client = client_of(server.url + "/old")
    assert client.get_models() == []
    assert client.upload_image("ONNX", path) == {"valid": True}
    assert [each.target for each in server.requests] == [
        "/old/models",
        "/new/models",
        "/old/models/images/upload",
        "/new/models/images/upload",
    ]
    assert all(headers_hold_token(each) for each in server.requests)


def test_a_write_is_not_turned_into_a_read_and_loops_end(wire):
    server = wire(lambda _: answer(302, headers={"Location": "/models"}))
    client = client_of(server.url)
    with pytest.raises(RedirectRefused, match="lose its body"):
        client.save_model({"name": "m"})
    with pytest.raises(RedirectRefused, match="More than 10"):
        client.get_models()


def test_netrc_never_overrides_the_token_nor_stands_in_for_one(wire):
    (Path.home() / ".netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    (Path.home() / ".netrc").chmod(0o600)
    server = wire(lambda _: answer(200, []))
    Client(server.url, HttpDevoBearerTokenAuth(TOKEN)).get_models()
    Client(server.url, lambda request: request).get_models()
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize("token", ["line\nend", "r\r", "ümläut", "nul\0", "t\t", "\u2028"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(wire, token):
    server = wire(lambda _: answer(200, []))
    own = lambda request: request.headers.update({"X-Own": f"pre{token}"}) or request  # noqa: E731 - as people write them
    for auth in (HttpDevoStandAloneTokenAuth(token), HttpDevoBearerTokenAuth(token), own):
        client = Client(server.url, auth)
        if auth is own and token in ("ümläut", "t\t"):
            client.get_models()  # what http allows is the business of who wrote it
            continue
        with pytest.raises(ModelManagerError, match="cannot be sent") as caught:
            client.get_models()
        shown = "".join(traceback.format_exception(caught.value))
        assert token not in shown.replace("line\\nend", token)


def test_neither_objects_nor_errors_nor_logs_show_the_token(wire, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "m.json"
    path.write_text("{}")
    shown = []
    server = wire(lambda request: answer(500, {"code": 1, "msg": "no"}))
    dead = wire(lambda _: None)
    for client in (
        client_of(server.url),
        legacy_of(server.url),
        client_of(dead.url),
        create_client_from_token(server.url, TOKEN),
    ):
        shown += [
            repr(client),
            str(client),
            repr(client.api),
            repr(client.api.auth),
            str(client.api.auth),
            repr(client.api.transport),
        ]
        for call in (
            client.get_models,
            lambda client=client: client.upload_image("ONNX", path),
            lambda client=client: client.save_model({"name": "m"}),
        ):
            with pytest.raises(ModelManagerError) as caught:
                call()
            error = caught.value
            shown += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
            assert TOKEN.encode() not in pickle.dumps(error)
            assert str(pickle.loads(pickle.dumps(error))) == str(error)
            while error is not None:
                # What requests attaches to its errors holds the headers.
                assert getattr(error, "request", None) is None
                assert getattr(error, "response", None) is None
                error = error.__cause__ or error.__context__
    assert TOKEN not in "\n".join([*shown, caplog.text])
    assert caplog.text


@pytest.mark.parametrize("auth", [HttpDevoStandAloneTokenAuth, HttpDevoBearerTokenAuth])
def test_an_authentication_is_pickled_without_its_token_and_copied_with_it(wire, auth):
    server = wire(lambda _: answer(200, []))
    one = auth(TOKEN)
    assert repr(one) == f"{auth.__name__}('***')"
    for twin in (copy.copy(one), copy.deepcopy(one)):
        assert (twin, twin.token) == (one, TOKEN)
    assert TOKEN.encode() not in pickle.dumps(one)
    with pytest.raises(ModelManagerError, match="There is no token"):
        Client(server.url, pickle.loads(pickle.dumps(one))).get_models()
    with pytest.raises(TypeError, match="holds a token"):
        pickle.dumps(client_of(server.url))


def test_errors_survive_pickling_whole():
    error = TransportError("gone", sent=False, hint="h")
    error.status = 502
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), vars(twin)) == (TransportError, "gone", vars(error))
    assert str(pickle.loads(pickle.dumps(TokenError()))) == "5: Token invalid or expired"


def test_a_password_in_an_address_is_in_no_message_and_no_name():
    with pytest.raises(ModelManagerError) as caught:
        create_client_from_token("http://user:hunter2@host.test/?x=1", TOKEN)
    assert "hunter2" not in str(caught.value)
    assert normalise_url("HTTP://user:hunter2@Host.test:80/Path/") == "http://host.test/Path"
    assert normalise_url("https://[::1]:443") == "https://[::1]"
