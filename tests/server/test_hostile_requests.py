"""Names that want to be paths, and bodies that are not what they should be: an error each, and nothing written."""

from __future__ import annotations

import pytest

from support.model_files import MULTIPART, form

NAMES = [
    "a/b", "../x", "../../etc/passwd", "..\\x", "%2F", "%252F", "a?b#c&d=e", "a;b", "a+b c", " ", "\t", "-rf", "a.onnx",
    "имя ✓ 名前 🦊", "e\u0301", "\u202egnp.exe", "a\0b", "a\nb", "'; DROP TABLE models;--", "{name}", "fast", "x" * 1024,
    "💥" * 1024, "None", "null",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_kept_and_addressed(http, legacy, folder, name):
    http.add(name, b"12345")
    for peer in (http, legacy):
        assert peer.model(name)["name"] == name
    assert [row["name"] for row in http.get("/models").json()] == [name]
    assert sorted(path.name for path in (folder / "images").iterdir()) == ["1"]


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 1025, "x" * 10_000, "\ud800", None, 5, ["m"]])
def test_a_name_nobody_could_address_is_refused(http, name):
    reply = http.save({"name": name, "engine": "MLSTATS", "image": {"id": http.image()}})
    assert (reply.status_code, reply.json()["code"]) == (400, 400)
    assert http.get("/models").json() == []


def test_a_very_long_name_in_an_address_is_just_not_there(http):
    assert http.get("/models/" + "x" * 10_000).status_code == 204
    assert http.get("/models/" + "%F0%9F%A6%8A" * 5000 + "?fast=true").status_code == 204


def test_an_address_that_is_not_utf_8_is_an_error(http):
    assert http.get("/models/%ff%fe").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"text"', b"5", b"\xff\xfe\x00", b"{" * 100_000, b"[" * 100_000,
        b'{"name": NaN}', b'{"name": "m", "engine": "MLSTATS", "image": {"id": Infinity}}',
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_save_that_is_not_a_json_object_is_400(http, body):
    reply = http.ask("POST", "/models", data=body)
    assert (reply.status_code, reply.json()["code"]) == (400, 400)


@pytest.mark.parametrize(
    "change",
    [
        {"name": 5}, {"engine": None}, {"engine": 5}, {"engine": ["ONNX"]}, {"description": 5}, {"description": {}},
        {"image": None}, {"image": 1}, {"image": {}}, {"image": {"id": None}}, {"image": {"id": "1"}},
        {"image": {"id": True}}, {"image": {"id": 1.0}}, {"image": {"id": 10**30}}, {"image": {"id": 1, "size": "5"}},
        {"id": "1"}, {"id": 1.5}, {"id": True}, {"id": 2**63}, {"hidden": "no"}, {"hidden": 0}, {"parentId": "1"},
        {"fields": {}}, {"fields": "x"}, {"fields": [1]}, {"clusters": [[]]}, {"outputType": 1}, {"category": []},
        {"runtimeSize": "1"}, {"runtimeSize": 10**20}, {"description": "x" * (1 << 20) + "x"}, {"description": "\udfff"},
    ],
)  # fmt: skip
def test_a_wrong_type_anywhere_is_400_and_saves_nothing(http, change):
    body = {"name": "m", "engine": "MLSTATS", "image": {"id": http.image()}, **change}
    reply = http.save(body)
    assert (reply.status_code, reply.json()["code"]) == (400, 400), reply.text
    assert http.get("/models").json() == []


@pytest.mark.parametrize("missing", ["name", "engine", "image"])
def test_a_missing_field_is_named(http, missing):
    body = {"name": "m", "engine": "MLSTATS", "image": {"id": http.image()}}
    del body[missing]
    reply = http.save(body)
    assert reply.status_code == 400
    assert f"'{missing}'" in reply.json()["msg"]


def test_a_huge_save_is_refused_without_being_held(http):
    reply = http.ask("POST", "/models", data=b'{"name": "' + b"x" * (17 << 20) + b'"}')
    assert (reply.status_code, reply.json()["code"]) == (413, 413)
    assert http.get("/models").json() == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no multipart at all", b"--edge", b"--edge--\r\n", b"--edge\r\n\r\n",
        form("MLSTATS", b"content")[:-12], form("MLSTATS", b"content").replace(b"--edge--", b"--ed"),
        form("MLSTATS", None), form(None, b"content"), form("MLSTATS", b"content", part="file"),
        b"--edge\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\nx\r\n--edge--\r\n",
        b'--edge\r\nContent-Disposition: form-data; name="engine"\r\n\r\n' + b"E" * 5000 + b"\r\n--edge--\r\n",
        form("MLSTATS", b"one")[:-10] + form(None, b"two"),
        b"--edge\r\nContent-Disposition: form-data\r\n\r\n\r\n" * 100 + form("MLSTATS", b"x"),
    ],
)  # fmt: skip
def test_a_broken_upload_is_400_and_leaves_nothing(http, folder, body):
    reply = http.ask("POST", "/models/images/upload", data=body, headers=MULTIPART)
    assert (reply.status_code, reply.json()["code"]) == (400, 400), reply.text
    assert not list((folder / "incoming").iterdir())
    assert not list((folder / "images").iterdir())


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=" + "b" * 5000,
        "multipart/mixed; boundary=edge",
    ],
)
def test_an_upload_of_another_type_is_400(http, content_type):
    reply = http.ask(
        "POST", "/models/images/upload", data=form("MLSTATS", b"x"), headers={"Content-Type": content_type}
    )
    assert reply.status_code == 400


@pytest.mark.parametrize("file_name", ["../../x", "/etc/passwd", "a/b", "C:\\x", ""])
def test_a_file_name_is_only_ever_shown(http, folder, file_name):
    reply = http.ask(
        "POST", "/models/images/upload", data=form("MLSTATS", b"x", file_name=file_name), headers=MULTIPART
    )
    assert reply.json()["fileName"] == file_name.replace("C:\\x", "x")
    assert [path.name for path in (folder / "images").iterdir()] == ["1"]
