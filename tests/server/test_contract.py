"""Shapes, codes and oddities of the contract, seen from the wire."""

from __future__ import annotations

import base64
import time

import pytest
import requests

from mmsync.server import running
from support.model_files import bigml, regression_onnx

ROW = {
    "id", "name", "engine", "description", "updateDate", "creationDate", "outputType", "imageId", "domainId",
    "domainName", "category", "parentId", "runtimeSize",
}  # fmt: skip
DETAIL = ROW - {"imageId"} | {"image", "fields", "clusters", "hidden"}
REVIEW = {
    "valid", "errorDetail", "outputType", "category", "imageId", "fields", "clusters", "fileName", "size",
    "runtimeSize",
}  # fmt: skip


def is_error(reply: requests.Response, status: int, code: int | None = None) -> bool:
    error = reply.json()
    return (
        reply.status_code == status
        and set(error) == {"code", "msg", "cid"}
        and error["code"] == (status if code is None else code)
        and isinstance(error["msg"], str)
        and bool(error["cid"])
    )


def test_a_list_row_has_the_image_id_and_nothing_of_the_image(http):
    started = int(time.time() * 1000)
    http.add("m", description="d")
    (row,) = http.get("/models").json()
    assert set(row) == ROW
    assert (row["name"], row["engine"], row["description"], row["imageId"]) == ("m", "MLSTATS", "d", 1)
    assert started <= row["creationDate"] == row["updateDate"] <= time.time() * 1000
    assert row["parentId"] == row["id"]
    assert isinstance(row["domainId"], str)


def test_a_detail_has_the_image_and_no_image_id(http):
    http.add("m", b"12345")
    fast = http.get("/models/m?fast=True").json()
    assert set(fast) == DETAIL
    assert fast["image"] == {"id": 1, "size": 5, "image": None}
    whole = http.get("/models/m?fast=False").json()
    assert whole == fast | {"image": {"id": 1, "size": 5, "image": base64.b64encode(b"12345").decode()}}
    assert http.get("/models/m").json() == whole


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "tRuE"])
def test_fast_is_read_in_any_case(http, word):
    http.add("m")
    assert http.get(f"/models/m?fast={word}").json()["image"]["image"] is None


def test_fast_must_be_a_truth_value(http):
    assert is_error(http.get("/models/m?fast=perhaps"), 400)


def test_a_review_has_everything_a_save_needs(http):
    content = regression_onnx()
    review = http.upload("ONNX", content).json()
    assert set(review) == REVIEW
    assert review["valid"] is True
    assert review["errorDetail"] is None
    assert (review["imageId"], review["size"], review["fileName"]) == (1, len(content), "m")
    assert review["runtimeSize"] >= len(content)
    assert review["clusters"] == []
    assert [(field["name"], field["type"]) for field in review["fields"]] == [("x", "float8")]


def test_a_refused_file_is_told_with_200_and_gets_no_image(http, folder):
    reply = http.upload("ONNX", b"not a model")
    assert reply.status_code == 200
    assert reply.json()["valid"] is False
    assert "no ONNX model" in reply.json()["errorDetail"]
    assert reply.json()["imageId"] is None
    assert not list((folder / "images").iterdir())
    assert not list((folder / "incoming").iterdir())


@pytest.mark.parametrize("engine", ["NOPE", "onnx", "", "X" * 200])
def test_an_unknown_engine_is_a_java_exception(http, engine):
    reply = http.upload(engine, b"x")
    assert is_error(reply, 500)
    assert reply.json()["msg"].startswith("No enum constant com.devo")
    assert f"EngineType.{engine}" in reply.json()["msg"]
    image = http.image()
    assert http.save({"name": "m", "engine": engine or "NOPE", "image": {"id": image}}).status_code == 500


def test_a_save_answers_with_an_empty_body(http):
    reply = http.save({"name": "m", "engine": "MLSTATS", "image": {"id": http.image()}})
    assert (reply.status_code, reply.content) == (200, b"")


def test_what_a_save_leaves_out_comes_from_the_review_of_its_image(http):
    image = http.image(bigml(), "BIGML")
    http.save({"name": "m", "engine": "BIGML", "image": {"id": image}})
    model = http.model("m")
    assert [field["name"] for field in model["fields"]] == ["sepal", "colour"]
    assert [field["id"] for field in model["fields"]] == [1, 2]
    assert (model["category"], model["outputType"], model["hidden"]) == ("Multinomial", "str", False)


def test_what_a_save_says_is_kept(http):
    said = {
        "outputType": "str",
        "category": "Clustering",
        "runtimeSize": 7,
        "fields": [{"id": None, "name": "f", "description": "inches", "type": "float8"}],
        "clusters": [{"name": "c", "description": None, "centroid": [0.5, 1.5]}],
    }
    model = http.add("m", **said)
    assert model["fields"] == [{"id": 1, "name": "f", "description": "inches", "type": "float8"}]
    assert model["clusters"] == [{"id": 1, "name": "c", "description": None, "centroid": [0.5, 1.5]}]
    assert (model["outputType"], model["category"], model["runtimeSize"]) == ("str", "Clustering", 7)


def test_a_save_with_an_id_updates_and_may_rename(http):
    before = http.add("old", description="d")
    reply = http.save({"id": before["id"], "name": "new", "engine": "MLSTATS", "image": {"id": http.image(b"2")}})
    assert reply.status_code == 200
    (row,) = http.get("/models").json()
    assert (row["id"], row["name"], row["imageId"], row["description"]) == (before["id"], "new", 2, None)
    assert row["creationDate"] == before["creationDate"]
    assert row["updateDate"] > before["updateDate"]


def test_every_update_moves_the_date_even_within_a_millisecond(http):
    body = {**http.add("m"), "image": {"id": 1}}
    dates = []
    for _ in range(5):
        http.save(body)
        dates.append(http.model("m")["updateDate"])
    assert dates == sorted(set(dates))


def test_a_second_model_of_the_same_name_is_refused_and_changes_nothing(http):
    before = http.add("m", b"first")
    reply = http.save({"name": "m", "engine": "MLSTATS", "image": {"id": http.image(b"second")}})
    assert is_error(reply, 409)
    assert http.model("m") == before
    other = http.add("other")
    assert is_error(http.save({**other, "name": "m"}), 409)
    assert http.model("other") == other


@pytest.mark.parametrize("image", [{"id": 999}, {"id": -1}, {"id": 0}])
def test_an_unknown_image_is_an_error(http, image):
    assert is_error(http.save({"name": "m", "engine": "MLSTATS", "image": image}), 400)
    assert http.get("/models").json() == []


def test_an_update_of_an_unknown_id_is_an_error(http):
    assert is_error(http.save({"id": 5, "name": "m", "engine": "MLSTATS", "image": {"id": http.image()}}), 400)
    assert http.get("/models").json() == []


def test_echoing_the_bytes_of_the_image_is_an_error(http):
    http.add("m", b"12345")
    echoed = http.get("/models/m?fast=false").json()
    assert is_error(http.save(echoed), 400)


def test_ids_are_never_used_again(http):
    first = http.add("m")
    assert http.ask("DELETE", "/models/m").status_code == 204
    second = http.add("m")
    assert second["id"] > first["id"]
    assert second["image"]["id"] > first["image"]["id"]


def test_hidden_models_are_found_by_name_only(http):
    http.add("m", hidden=True)
    assert http.get("/models").json() == []
    assert http.get("/models/filtered?name=m").json() == []
    assert http.model("m")["hidden"] is True


def test_parents(http):
    normal = http.add("normal")
    assert http.add("multi", parentId=None)["parentId"] is None
    child = http.add("child", parentId=normal["id"])
    assert child["parentId"] == normal["id"]
    assert [row["name"] for row in http.get("/models/normal/children").json()] == ["child"]
    # Left out, it is reset: the official client does so with every update.
    http.save({"id": child["id"], "name": "child", "engine": "MLSTATS", "image": {"id": child["image"]["id"]}})
    assert http.model("child")["parentId"] == child["id"]


def test_a_missing_model_is_204_in_the_latest_generation(http):
    for path in ("/models/m", "/models/m?fast=True", "/models/m?fast=False", "/models/m/fast", "/models/m/image"):
        reply = http.get(path)
        assert (reply.status_code, reply.content) == (204, b""), path


def test_a_missing_model_is_an_object_without_id_in_the_legacy_generation(legacy):
    for path in ("/models/m", "/models/m/fast", "/models/m/image"):
        reply = legacy.get(path)
        assert (reply.status_code, reply.json()["id"]) == (200, None), path
    # 1.6.1's LegacyClient asks with ``fast`` and takes any object for a model.
    assert legacy.get("/models/m?fast=True").status_code == 204


@pytest.mark.parametrize("generation", ["http", "legacy"])
def test_endpoints_of_both_generations(request, generation):
    http = request.getfixturevalue(generation)
    http.add("alpha", b"12345")
    http.add("alphabet")
    assert [row["name"] for row in http.get("/models/filtered?name=ALPHAB").json()] == ["alphabet"]
    assert [row["name"] for row in http.get("/models/filtered?name=alpha&engine=mlstats").json()] == [
        "alpha",
        "alphabet",
    ]
    assert http.get("/models/filtered?engine=ONNX").json() == []
    assert len(http.get("/models/filtered").json()) == 2
    assert http.get("/models/alpha/fast").json() == http.model("alpha")
    assert http.get("/models/alpha/image").json() == {"id": 1, "size": 5, "image": "MTIzNDU="}
    assert http.get("/models/alpha/children").json() == []
    deleted = http.ask("DELETE", "/models/alpha")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [row["name"] for row in http.get("/models").json()] == ["alphabet"]
    assert http.ask("DELETE", "/models/alpha").status_code == 204


def test_a_model_may_be_named_like_an_endpoint(http):
    for name in ("filtered", "images", "models", "upload"):
        http.add(name)
        assert http.model(name)["name"] == name
        assert http.ask("DELETE", f"/models/{name}").status_code == 204
    assert http.get("/models").json() == []


def test_delete_can_be_unknown_to_the_latest_generation(folder):
    with running(folder, allow_delete=False) as address:
        headers = {"standAloneToken": address.token}
        reply = requests.delete(f"{address.url}/models/m", headers=headers, timeout=10)
        assert is_error(reply, 405)
        assert reply.headers["allow"] == "GET"
        reply = requests.delete(f"{address.url}/domains/self/models/m", headers=headers, timeout=10)
        assert reply.status_code == 204


def test_domains_are_apart_and_the_latest_generation_is_one_of_them(http, legacy):
    http.add("m", b"latest")
    assert [row["name"] for row in legacy.get("/models").json()] == ["m"]
    legacy.base = "/domains/other%2Fdomain"
    assert legacy.get("/models").json() == []
    other = legacy.add("m", b"other")
    assert other["domainName"] == "other/domain"
    assert other["id"] != http.model("m")["id"]
    body = {"name": "n", "engine": "MLSTATS", "image": {"id": http.model("m")["image"]["id"]}}
    assert is_error(legacy.save(body), 400)  # an image of another domain


@pytest.mark.parametrize(
    "headers",
    [
        {"standAloneToken": ""},
        {"standAloneToken": "wrong"},
        {"standAloneToken": "", "Authorization": "Bearer wrong"},
        {"standAloneToken": "", "Authorization": "Basic dG9rZW4="},
        {"standAloneToken": "\xff\xfe"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/models"), ("GET", "/models/m"), ("POST", "/models"), ("DELETE", "/models/m")]
)
def test_a_wrong_token_is_403_with_code_5(http, headers, method, path):
    reply = http.ask(method, path, headers=headers)
    assert is_error(reply, 403, code=5)
    assert reply.json()["msg"] == "Token invalid or expired"


def test_both_ways_to_send_a_token_are_taken(http):
    token = http.address.token
    assert http.get("/models", headers={"standAloneToken": "", "Authorization": f"Bearer {token}"}).ok
    assert http.get("/models", headers={"standAloneToken": "", "Authorization": f"bearer {token}"}).ok
    assert not http.get("/models", headers={"standAloneToken": "", "Authorization": token}).ok


def test_a_large_upload_with_a_wrong_token_still_gets_to_read_the_answer(http, folder):
    reply = http.ask("POST", "/models/images/upload", data=b"x" * 5_000_000, headers={"standAloneToken": "wrong"})
    assert is_error(reply, 403, code=5)
    assert not list((folder / "incoming").iterdir())


@pytest.mark.parametrize(
    "path", ["/", "/model", "/models/", "/models/a/b", "/models/a/b/c", "/domains/d", "/domains//models"]
)
def test_an_unknown_address_is_the_contracts_404(http, path):
    assert is_error(http.get(path), 404)
    assert http.get(path).json()["msg"] == "HTTP 404 Not Found"


def test_a_wrong_method_is_405(http):
    reply = http.ask("PUT", "/models")
    assert is_error(reply, 405)
    assert reply.headers["allow"] == "GET, POST"


def test_head_answers_as_get_without_the_body(http):
    http.add("m", b"12345")
    for path in ("/models", "/models/m?fast=true", "/models/m?fast=false"):
        head, get = http.ask("HEAD", path), http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_latency_comes_before_every_answer(folder):
    with running(folder, latency=0.05) as address:
        for path in ("/models", "/nowhere"):
            started = time.monotonic()
            requests.get(address.url + path, headers={"standAloneToken": address.token}, timeout=10)
            assert time.monotonic() - started >= 0.05
