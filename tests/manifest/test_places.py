from __future__ import annotations

import os
import socket

import pytest

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest


def entry(file: str, engine: str = "MLSTATS") -> str:
    return f'version: 1\nmodels:\n  - name: a\n    engine: {engine}\n    file: "{file}"\n'


def read(folder, file: str, **options):
    return read_manifest([folder.manifest(entry(file))], **options)


def fault(folder, file: str, **options) -> tuple[str, str]:
    with pytest.raises(ManifestError) as caught:
        read(folder, file, **options)
    (only,) = caught.value.diagnostics
    assert (only.source.line, only.source.column) == (5, 11)
    return only.code.removeprefix("manifest/"), only.summary


def test_a_fifo_is_refused_not_waited_for(folder):
    os.mkfifo(folder.path / "pipe")
    assert fault(folder, "pipe") == ("file-not-regular", "pipe: the file is a FIFO")


def test_a_socket_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder.path)  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        assert fault(folder, "sock") == ("file-not-regular", "sock: the file is a socket")


def test_a_device_is_refused_also_where_its_folder_is_admitted(folder):
    assert fault(folder, "/dev/null", models_dirs=["/dev"]) == (
        "file-not-regular",
        "/dev/null: the file is a device",
    )


@pytest.mark.parametrize("file", [".", "sub", "sub/", "sub/..", "a.onnx/..", "./"])
def test_folders_and_ways_through_files_are_refused(folder, file):
    folder.model("sub/x")
    folder.model("a.onnx")
    assert fault(folder, file)[0] in ("file-not-regular", "file-missing", "file-outside")


def test_a_path_through_a_file_says_so(folder):
    folder.model("a.onnx")
    assert fault(folder, "a.onnx/b") == (
        "file-missing",
        "a.onnx/b: there is no such file: a part of its path is not a folder",
    )


def test_a_link_to_itself_is_refused(folder):
    (folder.path / "loop").symlink_to("loop")
    assert fault(folder, "loop")[0] == "file-missing"


def test_a_link_that_leads_nowhere_is_refused(folder):
    (folder.path / "link").symlink_to("gone")
    assert fault(folder, "link") == ("file-missing", "link: there is no such file")


def test_a_name_too_long_for_the_file_system_is_a_fault(folder):
    assert fault(folder, "x" * 5000)[0] == "file-unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_files_and_folders_that_may_not_be_read_are_refused(folder):
    secret = folder.model("secret.bin")
    secret.chmod(0o000)
    assert fault(folder, "secret.bin") == ("file-unreadable", "secret.bin: the file cannot be read: permission denied")
    closed = folder.model("closed/a.bin").parent
    closed.chmod(0o000)
    try:
        assert fault(folder, "closed/a.bin")[0] == "file-unreadable"
    finally:
        closed.chmod(0o700)


def test_links_inside_the_folder_are_followed(folder):
    real = folder.model("..2024/a.bin", b"content")
    (folder.path / "..data").symlink_to("..2024")
    (folder.path / "a.bin").symlink_to("..data/a.bin")
    manifest = read(folder, "a.bin")
    assert manifest.stats[manifest.models[0].path].st_ino == real.stat().st_ino


@pytest.mark.parametrize("kind", ["parent", "absolute", "file link", "folder link"])
def test_a_file_outside_the_folder_needs_its_folder_admitted(folder, kind):
    outside = folder.path.parent / "outside"
    outside.mkdir()
    (outside / "a.bin").write_bytes(b"content")
    (folder.path / "link.bin").symlink_to(outside / "a.bin")
    (folder.path / "linked").symlink_to(outside)
    file = {
        "parent": "../outside/a.bin",
        "absolute": str(outside / "a.bin"),
        "file link": "link.bin",
        "folder link": "linked/a.bin",
    }[kind]
    assert fault(folder, file) == ("file-outside", f"{file}: the file is outside the manifest's folder")
    manifest = read(folder, file, models_dirs=[str(outside)])
    assert next(iter(manifest.stats.values())).st_size == 7
    assert manifest.models[0].file == file


def test_a_folder_whose_name_begins_alike_is_outside(folder):
    sibling = folder.path.with_name(folder.path.name + "-secret")
    sibling.mkdir()
    (sibling / "a.bin").write_bytes(b"")
    assert fault(folder, f"../{sibling.name}/a.bin")[0] == "file-outside"


def test_a_way_out_and_back_in_is_inside(folder):
    folder.model("sub/a.bin")
    (folder.path / "sub" / "back.bin").symlink_to("../../folder/sub/a.bin")
    assert len(read(folder, "../folder/sub/a.bin").stats) == 1
    assert len(read(folder, "sub/back.bin").stats) == 1


def test_models_dirs_may_be_links_and_relative(folder, monkeypatch):
    outside = folder.path.parent / "outside"
    outside.mkdir()
    (outside / "a.bin").write_bytes(b"")
    (folder.path.parent / "link").symlink_to("outside")
    monkeypatch.chdir(folder.path.parent)
    assert len(read(folder, "../outside/a.bin", models_dirs=["link"]).stats) == 1


def test_a_models_dir_that_is_not_there_is_a_fault(folder):
    folder.model("a.bin")
    with pytest.raises(ManifestError, match=r"gone:1:1: there is no such folder \(check --models-dir\)"):
        read(folder, "a.bin", models_dirs=["gone"])


def test_a_manifest_behind_a_link_has_its_files_beside_the_link(folder):
    folder.model("v1/a.bin")
    folder.manifest(entry("a.bin"), "v1/models.yaml")
    (folder.path / "current").symlink_to("v1")
    path = str(folder.path / "current" / "models.yaml")
    assert read_manifest([path]).models[0].path == str(folder.path / "current" / "a.bin")


def test_two_models_may_share_a_file(folder):
    folder.model("a.onnx")
    path = folder.manifest(
        "version: 1\ndefaults: {engine: ONNX}\nmodels:\n- {name: a, file: a.onnx}\n- {name: b, file: ./a.onnx}\n"
    )
    assert len(read_manifest([path]).models) == 2


def test_files_are_not_looked_for_unless_asked(folder):
    manifest = read(folder, "/nowhere/gone.bin", check_files=False)
    assert manifest.stats == {}
    assert manifest.models[0].path == "/nowhere/gone.bin"


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "through a file"])
def test_a_manifest_must_be_a_file(folder, kind):
    path = folder.path / "models.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "through a file":
        folder.manifest("version: 1\nmodels: []\n")
        path /= "x"
    else:
        path.mkdir()
    with pytest.raises(ManifestError):
        read_manifest([str(path)])


def test_a_manifest_path_with_a_nul_is_a_fault():
    with pytest.raises(ManifestError, match="NUL"):
        read_manifest(["models\0.yaml"])


def test_a_file_that_git_annex_has_not_fetched_names_the_command(folder):
    (folder.path / "a.onnx").symlink_to(".git/annex/objects/zz/K1/SHA256E-s9--ab.onnx/SHA256E-s9--ab.onnx")
    with pytest.raises(ManifestError) as caught:
        read(folder, "a.onnx")
    (only,) = caught.value.diagnostics
    assert "a.onnx: the file is in git-annex, and not fetched (run git annex get " in str(only)
    (folder.path / "b.onnx").symlink_to("elsewhere")
    assert fault(folder, "b.onnx")[1] == "b.onnx: there is no such file"
