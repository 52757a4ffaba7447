"""Where our client differs from the official one on purpose: each difference is shown on both."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmsync.client.auth import HttpDevoStandAloneTokenAuth
from support.clients import Clock
from support.wire import answer, reset

# The official client leaves its uploads open for the garbage collector to warn of.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

OFFICIAL, OURS = PACKAGES = "devo_ml.modelmanager", "mmsync.client"
STORED = {
    "id": 4,
    "name": "m",
    "engine": "ONNX",
    "description": "d",
    "hidden": True,
    "parentId": 2,
    "image": {"id": 1, "size": 9},
}


@pytest.fixture(params=PACKAGES)
def package(request):
    return request.param


def client_of(package, url, name="Client", **settings):
    library = importlib.import_module(package)
    auth = importlib.import_module(f"{package}.auth").HttpDevoStandAloneTokenAuth("t")
    if package == OURS:
        settings["retry"] = Clock().policy()
    arguments = (url, "self", auth) if name == "LegacyClient" else (url, auth)
    return getattr(library, name)(*arguments, **settings)


def outcome(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is compared
        return type(error).__name__, str(error)


def test_a_login_page_is_an_error_not_an_absence(wire, package):
    server = wire(lambda _: answer(200, raw=b"<html>", headers={"Content-Type": "text/html"}))
    client = client_of(package, server.url)
    seen = outcome(client.get_models), outcome(client.find_model, "m")
    if package == OFFICIAL:
        assert seen == (None, None)
    else:
        error = ("UnexpectedResponse", "HTTP 200 with a body that is not JSON (text/html)")
        assert seen == (error, error)


def test_a_list_with_a_row_that_names_no_model_is_an_error(wire, package):
    seen = outcome(client_of(package, wire(lambda _: answer(200, [{"id": 1}])).url).get_models)
    message = "The server's list of models has a row without a name"
    assert seen == {OFFICIAL: [{"id": 1}], OURS: ("UnexpectedResponse", message)}[package]


def test_another_model_than_asked_for_is_an_error(wire, package):
    server = wire(lambda _: answer(200, {"id": 4, "name": "other"}))
    seen = outcome(client_of(package, server.url).find_model, "m")
    error = ("UnexpectedResponse", "The server was asked for 'm' and answered with 'other'")
    assert seen == {OFFICIAL: {"id": 4, "name": "other"}, OURS: error}[package]


def test_the_status_of_an_error_without_json_is_kept(wire, package):
    seen = outcome(client_of(package, wire(lambda _: answer(418, raw=b"teapot")).url).get_models)
    assert (
        seen
        == {OFFICIAL: ("ModelManagerError", "Unexpected error"), OURS: ("ModelManagerError", "418: HTTP 418 Fault")}[
            package
        ]
    )


def test_the_token_follows_no_redirect_to_another_origin(wire, package):
    second = wire(lambda _: answer(200, []))
    first = wire(lambda _: answer(307, headers={"Location": second.url + "/models"}))
    seen = outcome(client_of(package, first.url).get_models)
    tokens = [request.headers.get("standalonetoken") for request in second.requests]
    if package == OFFICIAL:
        assert (seen, tokens) == ([], ["t"])
    else:
        assert (seen[0], tokens) == ("RedirectRefused", [])


def test_passing_faults_are_waited_out(wire, package):
    replies = iter([answer(503), reset, answer(200, [])])
    seen = outcome(client_of(package, wire(lambda _: next(replies)).url).get_models)
    assert seen == {OFFICIAL: ("ModelManagerError", "Unexpected error"), OURS: []}[package]


def test_an_update_keeps_hidden_and_parent(wire, package, tmp_path):
    path = tmp_path / "m"
    path.write_text("x")

    def reply(request):
        return answer(200, STORED if request.method == "GET" else {"valid": True, "imageId": 7, "size": 1})

    server = wire(reply)
    client_of(package, server.url).add_model("m", "ONNX", path, force=True)
    sent = server.requests[-1].json()
    assert (sent["hidden"], sent.get("parentId")) == {OFFICIAL: (False, None), OURS: (True, 2)}[package]


def test_connections_are_kept(wire, package, tmp_path):
    path = tmp_path / "m"
    path.write_text("x")
    server = wire(
        lambda request: answer(204) if request.method == "GET" else answer(200, {"valid": True, "imageId": 7})
    )
    client_of(package, server.url).add_model("m", "ONNX", path)
    assert server.connections == {OFFICIAL: 3, OURS: 1}[package]


def test_a_client_may_be_shared_by_threads(wire, package):
    started = threading.Barrier(8)
    server = wire(lambda request: answer(200, [] if request.method == "GET" else None))
    client = client_of(package, server.url)

    def work(number):
        started.wait()
        for _ in range(25):
            outcome(client.get_models) if number % 2 else outcome(client.api.post, f"{server.url}/posted", json={})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    astray = [request for request in server.requests if (request.method == "POST") != (request.target == "/posted")]
    if package == OURS:  # with the official client it is a matter of luck how many go astray
        assert astray == []


def test_a_name_never_leads_out_of_the_folder(wire, package, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    model = {"id": 1, "name": "../escaped", "engine": "ONNX", "image": {"id": 1, "size": 3, "image": "QUJD"}}
    downloader = importlib.import_module(f"{package}.downloader").FileSystemDownloader(folder)
    client = client_of(package, wire(lambda _: answer(200, model)).url, downloader=downloader)
    client.get_model("../escaped", download_file=True)
    escaped = (tmp_path / "escaped.onnx").exists()
    assert escaped is (package == OFFICIAL)


def test_a_slash_in_a_name_is_part_of_it(wire, package):
    server = wire(lambda _: answer(204))
    outcome(client_of(package, server.url).find_model, "a/b")
    assert server.requests[0].target == {OFFICIAL: "/models/a/b?fast=True", OURS: "/models/a%2Fb?fast=True"}[package]


def test_an_empty_name_is_added_nowhere(wire, package, tmp_path):
    server = wire(lambda _: answer(204))
    seen = outcome(client_of(package, server.url).add_model, "", "ONNX", tmp_path / "none")
    if package == OFFICIAL:
        assert seen[0] == "FileNotFoundError"
    else:
        assert (seen, server.requests) == (("ModelManagerError", "Invalid name: ''"), [])


def test_a_legacy_object_without_id_is_no_model(wire, package):
    server = wire(lambda _: answer(200, {"id": None, "name": None}))
    seen = client_of(package, server.url, "LegacyClient").find_model("m")
    assert seen == {OFFICIAL: {"id": None, "name": None}, OURS: None}[package]


@pytest.mark.parametrize(
    ("url", "official", "ours"),
    [
        ("https://testing_url", False, True),
        ("http://my-svc:8080", False, True),
        ("ftp://x.com", True, False),
        ("http://x.com/?a=1", True, False),
    ],
)
def test_addresses_of_clusters_are_taken_and_those_that_cannot_work_are_not(package, url, official, ours):
    assert isinstance(outcome(client_of, package, url), tuple) is not {OFFICIAL: official, OURS: ours}[package]


def test_the_extension_of_catboost_is_its_own(package):
    engines = importlib.import_module(f"{package}.engines")
    assert list(engines.get_engine_extensions("catboost")) == {OFFICIAL: [".cmb"], OURS: [".cbm", ".cmb"]}[package]


def test_a_profile_that_names_its_file_is_searched_for_in_the_home_folder(package, tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    (home / "named.ini").write_text("[p]\nurl = http://localhost\ntoken = t\n")
    seen = outcome(importlib.import_module(f"{package}.profile").read_profile_from_file, "p", "named.ini")
    assert isinstance(seen, dict) is (package == OURS)


def test_no_error_shows_a_line_of_a_profile(package, tmp_path):
    (tmp_path / "modelmanager.ini").write_text("[p]\nurl = http://localhost\n  token s3cr3t\nbroken line s3cr3t\n")
    seen = outcome(importlib.import_module(f"{package}.profile").read_profile_from_file, "p", str(tmp_path))
    assert seen[0] == "ProfileError"
    assert ("s3cr3t" in seen[1]) is (package == OFFICIAL)


def test_an_authentication_does_not_travel_in_the_open():
    assert repr(HttpDevoStandAloneTokenAuth("s3cr3t")) == "HttpDevoStandAloneTokenAuth('***')"
