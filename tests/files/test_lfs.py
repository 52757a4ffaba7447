from __future__ import annotations

import hashlib

import pytest

from mmsync.errors import FileError
from mmsync.files.digest import digest_file, pull_command, read_pointer
from mmsync.types import file_key

SHA = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 12345\n".encode()


def test_a_pointer_is_the_content_it_stands_for(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(POINTER)
    assert digest_file(str(path)) == (SHA, 12345, file_key(path.stat()), True)
    assert read_pointer(POINTER) == (SHA, 12345)


@pytest.mark.parametrize(
    "data",
    [
        POINTER.replace(b"spec/v1", b"spec/v2"),
        POINTER.replace(b"\n", b"\r\n"),
        POINTER.replace(b"sha256", b"md5"),
        POINTER.replace(SHA.encode(), SHA.upper().encode()),
        POINTER.replace(b"12345", b"-1"),
        POINTER.replace(b"12345", b"012"),
        POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"a" * 64 + b"\noid"),
        POINTER[:-1],
        POINTER[:60],
        POINTER + b"more\n",
        b"version https://hawser.github.com/spec/v1\n",
    ],
)
def test_a_damaged_or_unknown_pointer_is_never_taken_for_a_model(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(FileError, match="is a Git LFS pointer of an unknown form") as caught:
        digest_file(str(path))
    assert "git lfs pull" in caught.value.hint
    assert read_pointer(data) is None


@pytest.mark.parametrize(
    "data", [POINTER + b"x" * 1024, b" " + POINTER, b"version 1\n", b"version https://example.org\n"]
)
def test_what_only_looks_alike_is_an_ordinary_file(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert digest_file(str(path))[:2] == (hashlib.sha256(data).hexdigest(), len(data))


def test_the_command_that_fetches_the_file_can_be_copied():
    assert pull_command("onnx/a.onnx") == "git lfs pull --include=onnx/a.onnx"
    assert pull_command("my models/a.onnx") == "git lfs pull --include='my models/a.onnx'"
