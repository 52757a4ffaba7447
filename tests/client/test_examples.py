"""The examples run as they stand, and are typed as strictly as their readers may want them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mmsync.client
from mmsync.server import running
from support.model_files import bigml, regression_onnx

EXAMPLES = Path(__file__).parents[2] / "examples" / "client"


def run(script, *arguments, address):
    environment = {**os.environ, "MMSYNC_URL": address.url, "MMSYNC_TOKEN": address.token}
    command = [sys.executable, "-W", "error", str(EXAMPLES / script), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_publish_and_backup(tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(regression_onnx())
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    (tmp_path / "tree.json").write_bytes(bigml())
    with running(tmp_path / "server") as address:
        done = run("publish.py", "MY FIRST MODEL", "ONNX", model, address=address)
        assert (done.stdout, done.stderr) == (f"MY FIRST MODEL is model 1, ONNX, sha256 {sha256}\n", "")
        assert run("publish.py", "tree", "BIGML", tmp_path / "tree.json", address=address).returncode == 0
        refused = run("publish.py", "wrong", "H2O", model, address=address)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"the server refuses {model}: ")
        done = run("backup.py", tmp_path / "backup", address=address)
        assert (done.stdout, done.stderr) == ("MY FIRST MODEL → MY FIRST MODEL.onnx\ntree → tree.json\n", "")
    assert (tmp_path / "backup" / "MY FIRST MODEL.onnx").read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["backup.py"], "usage: "),
        (["backup.py", "a", "b"], "usage: "),
        (["publish.py", "m", "ONNX"], "usage: "),
        (["publish.py", "m", "ONNX", "gone.onnx"], "there is no file gone.onnx\nusage: "),
    ],
)
@pytest.mark.parametrize("settings", ["given", "missing"])
def test_what_is_missing_is_told_with_the_usage(arguments, told, settings, monkeypatch):
    for name in ("MMSYNC_URL", "MMSYNC_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    own = {"MMSYNC_URL": "http://127.0.0.1:1", "MMSYNC_TOKEN": "t"} if settings == "given" else {}
    command = [sys.executable, "-W", "error", str(EXAMPLES / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(told if settings == "given" else "usage: ")
    assert done.stderr.count("\n") == told.count("\n") * bool(own) + 1


@pytest.mark.slow
def test_the_examples_are_strictly_typed(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path),
        *map(str, sorted(EXAMPLES.glob("*.py"))),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_is_documented_and_the_list_of_them_is_what_people_rely_on():
    assert sorted(mmsync.client.__all__) == mmsync.client.__all__ == [
        "Client", "ImageContent", "LegacyClient", "Model", "ModelDetail", "ModelManagerError", "ModelReview", "RetryPolicy", "add_model",
        "create_client_from_profile", "create_client_from_token", "find_model", "get_model", "get_models", "normalise_url", "save_body",
    ]  # fmt: skip
    for name in mmsync.client.__all__:
        public = getattr(mmsync.client, name)
        assert public.__doc__, name
        for member, value in vars(public).items() if isinstance(public, type) else ():
            assert member.startswith("_") or not callable(value) or value.__doc__, f"{name}.{member}"
