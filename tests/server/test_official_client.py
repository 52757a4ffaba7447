"""The official client works unchanged: every public call of it, both generations, both ways to authenticate."""

from __future__ import annotations

import gc
import hashlib
import os
from pathlib import Path

import devo_ml.modelmanager as official
import pytest
from devo_ml.modelmanager.auth import create_auth_from_token
from devo_ml.modelmanager.downloader import FileSystemDownloader
from devo_ml.modelmanager.error import ModelAlreadyExists, ModelManagerError, ModelNotFound, TokenError

from mmsync.server import running
from support.model_files import bigml, catboost, mojo, regression_onnx, zipped

# It leaves the model file open for the garbage collector to close: see `_collect`, for where an exception holds it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

FILES = {
    "ONNX": regression_onnx(),
    "H2O": mojo(),
    "BIGML": bigml(),
    "CATBOOST": catboost(),
    "DT": b'{"root": {}}',
    "IDA": zipped({"a.json": "{}"}),
    "MLSTATS": b"anything",
    "MUA": zipped({"a": "b"}),
    "UNICODE": zipped({"a": "b"}),
    "WORKFLOWS": b"[]",
}


@pytest.fixture
def _collect():
    """Close what the client left open while its warning is ignored, not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture(params=["latest standalone", "latest bearer", "legacy standalone", "legacy bearer"])
def client(request, server, tmp_path):
    generation, scheme = request.param.split()
    auth = create_auth_from_token(server.token, scheme)
    (tmp_path / "down").mkdir()
    downloader = FileSystemDownloader(tmp_path / "down")
    if generation == "latest":
        return official.Client(server.url, auth, downloader=downloader)
    return official.LegacyClient(server.url, "acme", auth, downloader=downloader)


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(regression_onnx())
    return path


@pytest.mark.parametrize("engine", FILES)
def test_what_is_added_is_what_is_downloaded(client, tmp_path, engine):
    path = tmp_path / "model"
    path.write_bytes(FILES[engine])
    client.add_model("my model", engine, str(path), description="first")

    model = client.get_model("my model", download_file=True)

    assert model["engine"] == engine
    assert model["description"] == "first"
    assert hashlib.sha256(Path(model["file"]).read_bytes()).digest() == hashlib.sha256(FILES[engine]).digest()


def test_a_missing_model_is_none_or_not_found(client):
    assert client.get_models() == []
    assert client.find_model("nobody") is None
    assert client.find_model("nobody", download_file=True) is None
    with pytest.raises(ModelNotFound):
        client.get_model("nobody")


def test_a_second_add_needs_force_which_keeps_the_id_and_the_description(client, model_file):
    client.add_model("m", "ONNX", str(model_file), description="kept")
    before = client.get_model("m")
    with pytest.raises(ModelAlreadyExists):
        client.add_model("m", "ONNX", str(model_file))
    model_file.write_bytes(mojo())
    client.add_model("m", "H2O", str(model_file), force=True)

    (listed,) = client.get_models()
    assert (listed["id"], listed["description"], listed["engine"]) == (before["id"], "kept", "H2O")
    assert listed["updateDate"] > before["updateDate"]
    assert listed["creationDate"] == before["creationDate"]


@pytest.mark.usefixtures("_collect")
def test_errors_read_as_they_do_of_a_real_server(client, model_file):
    with pytest.raises(ModelManagerError, match=r"^500: No enum constant com\.devo.*EngineType\.NOPE$") as unknown:
        client.add_model("m", "NOPE", str(model_file))
    assert unknown.value.code == 500
    model_file.write_bytes(b"not a model")
    with pytest.raises(ModelManagerError, match="no ONNX model"):
        client.add_model("m", "ONNX", str(model_file))
    assert client.get_models() == []


def test_a_wrong_token_is_a_token_error(server):
    with pytest.raises(TokenError, match=r"^5: Token invalid or expired$"):
        official.get_models(server.url, "wrong")


def test_the_function_facade_and_a_profile_work(server, model_file, tmp_path):
    official.add_model(server.url, server.token, "m", "ONNX", str(model_file))
    assert official.get_model(server.url, server.token, "m", download_path=str(tmp_path))["file"].endswith("m.onnx")
    assert official.find_model(server.url, server.token, "other") is None
    profiles = tmp_path / "modelmanager.ini"
    profiles.write_text(f"[here]\nurl = {server.url}\ntoken = {server.token}\nauth_type = bearer\n")
    client = official.create_client_from_profile("here", path=str(tmp_path))
    assert [model["name"] for model in client.get_models()] == ["m"]


def test_a_client_of_the_wrong_generation_prints_the_guides_404(folder):
    with running(folder, generation="legacy") as address:
        with pytest.raises(ModelManagerError) as refused:
            official.get_models(address.url, address.token)
        assert str(refused.value) == "404: HTTP 404 Not Found"
        auth = create_auth_from_token(address.token)
        assert official.LegacyClient(address.url, "acme", auth).get_models() == []
    with running(folder, generation="latest") as address:
        client = official.LegacyClient(address.url, "acme", create_auth_from_token(address.token))
        with pytest.raises(ModelManagerError) as refused:
            client.get_models()
        assert str(refused.value) == "404: HTTP 404 Not Found"
        assert official.get_models(address.url, address.token) == []


def test_under_a_prefix_it_works_too(folder, model_file):
    with running(folder, prefix="/mlmodelmanager") as address:
        assert address.url.endswith("/mlmodelmanager")
        official.add_model(address.url, address.token, "m", "ONNX", str(model_file))
        assert [model["name"] for model in official.get_models(address.url, address.token)] == ["m"]


def test_a_large_model_comes_back_whole(client, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(3_000_001))  # several blocks on the way in and out, and no multiple of 3
    client.add_model("large", "MLSTATS", str(path))
    assert Path(client.get_model("large", download_file=True)["file"]).read_bytes() == path.read_bytes()
