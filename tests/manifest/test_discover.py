from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmsync.errors import ManifestError
from mmsync.manifest import discover, read_manifest
from mmsync.types import Source


def rule(glob: str, name: str = "{stem}", more: str = "") -> str:
    return f'version: 1\n{more}discover:\n  - {{glob: "{glob}", engine: ONNX, name: "{name}"}}\n'


def found(folder, glob: str, name: str = "{stem}", more: str = "", **options) -> list[tuple[str, str]]:
    manifest = read_manifest([folder.manifest(rule(glob, name, more))], **options)
    assert all(manifest.stats[model.path].st_size == Path(model.path).stat().st_size for model in manifest.models)
    return [(model.name, model.file) for model in manifest.models]


def warnings(folder, glob: str, **options) -> list[str]:
    return [w.summary for w in read_manifest([folder.manifest(rule(glob))], **options).warnings]


def test_every_matching_file_is_a_model(folder):
    for name in ("drop/b.onnx", "drop/a.onnx", "drop/a.txt", "drop/sub/c.onnx", "a.onnx"):
        folder.model(name)
    path = folder.manifest(rule("drop/*.onnx", more="defaults: {description: found, allow_signature_change: true}\n"))
    a, b = read_manifest([path]).models
    assert (a.name, a.engine, a.file, a.path) == ("a", "ONNX", "drop/a.onnx", str(folder.path / "drop/a.onnx"))
    assert (a.description, a.sha256, a.allow_signature_change, a.source) == ("found", None, True, Source(path, 4, 5))
    assert b.name == "b"


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.onnx", ["top"]),
        ("**/*.onnx", ["a", "b", "deep", "top"]),
        ("x/**/*.onnx", ["a", "b", "deep"]),
        ("x/**/y/*.onnx", ["b"]),
        ("**/z/**/*.onnx", ["deep"]),
        ("./x//*.onnx", ["a"]),
        ("x/?.onnx", ["a"]),
        ("[x]/[!b].onnx", ["a"]),
        ("*/*/*.onnx", ["b"]),
        ("x/a.onnx", ["a"]),
    ],
)
def test_globs_mean_what_they_mean_elsewhere(folder, glob, expected):
    for name in ("top.onnx", "x/a.onnx", "x/y/b.onnx", "x/y/z/deep.onnx", "x/y/c.zip"):
        folder.model(name)
    assert [name for name, _file in found(folder, glob)] == expected
    assert expected == sorted(path.stem for path in folder.path.glob(glob))


def test_names_are_made_from_the_template(folder):
    folder.model("drop/eu/a.v2.onnx")
    assert found(folder, "drop/*/*.onnx", "fraud_{parent}_{stem}") == [("fraud_eu_a.v2", "drop/eu/a.v2.onnx")]
    assert found(folder, "drop/*/*.onnx", "{parent} {parent}") == [("eu eu", "drop/eu/a.v2.onnx")]


def test_hidden_and_temporary_files_and_folders_are_passed_over(folder):
    folder.model("drop/a.onnx")
    for name in (".b", "c~", "d.tmp", "e.part", "f.partial", "g.swp", "#h#", "..data/i", ".git/j", "k.crdownload"):
        folder.model(f"drop/{name}")
    assert found(folder, "drop/**") == [("a", "drop/a.onnx")]


def test_listed_files_are_not_discovered_again(folder):
    folder.model("drop/a.onnx")
    folder.model("drop/b.onnx")
    (folder.path / "drop" / "link.onnx").symlink_to("a.onnx")
    more = "models:\n  - {name: listed, engine: ONNX, file: ./drop/../drop/a.onnx}\n"
    assert found(folder, "drop/*.onnx", more=more) == [("b", "drop/b.onnx"), ("listed", "./drop/../drop/a.onnx")]


def test_hard_links_are_files_of_their_own(folder):
    folder.model("drop/a.onnx")
    os.link(folder.path / "drop/a.onnx", folder.path / "drop/b.onnx")
    assert [name for name, _ in found(folder, "drop/*.onnx")] == ["a", "b"]


def test_the_first_rule_that_finds_a_file_has_it(folder):
    folder.model("drop/a.onnx")
    path = folder.manifest(
        'version: 1\ndiscover:\n- {glob: "drop/*.onnx", engine: ONNX}\n- {glob: "**/*", engine: MLSTATS, name: "x_{stem}"}\n'
    )
    assert {model.name: model.engine for model in read_manifest([path]).models} == {"a": "ONNX", "x_models": "MLSTATS"}


def test_a_found_name_that_is_listed_already_is_a_fault(folder):
    folder.model("a.onnx")
    folder.model("drop/a.onnx")
    more = "models:\n  - {name: a, engine: ONNX, file: a.onnx}\n"
    with pytest.raises(ManifestError, match=r"drop/a.onnx: its name, a, is also that of a.onnx"):
        found(folder, "drop/*.onnx", more=more)


def test_files_that_are_no_files_are_passed_over(folder):
    folder.model("drop/a.onnx")
    (folder.path / "drop/folder.onnx").mkdir()
    os.mkfifo(folder.path / "drop/pipe.onnx")
    assert found(folder, "drop/*.onnx") == [("a", "drop/a.onnx")]


def test_loops_of_links_end(folder):
    folder.model("drop/sub/a.onnx")
    for name in ("l1", "l2"):
        (folder.path / "drop" / name).symlink_to(".")
        (folder.path / "drop/sub" / name).symlink_to("..")
    (folder.path / "drop/self").symlink_to("self")
    assert found(folder, "drop/**/*.onnx") == [("a", "drop/sub/a.onnx")]


def test_a_link_to_a_folder_inside_is_followed_but_the_real_way_counts(folder):
    folder.model("z/a.onnx")
    folder.model("drop/b.onnx")
    (folder.path / "drop/m").symlink_to("../z")
    assert found(folder, "drop/**/*.onnx") == [("a", "drop/m/a.onnx"), ("b", "drop/b.onnx")]
    assert found(folder, "**/*.onnx") == [("a", "z/a.onnx"), ("b", "drop/b.onnx")]


@pytest.mark.parametrize("kind", ["file", "folder", "glob"])
def test_what_lies_outside_is_refused_unless_admitted(folder, kind):
    outside = folder.path.parent / "outside"
    outside.mkdir()
    (outside / "a.onnx").write_bytes(b"")
    folder.model("drop/sub/b.onnx")
    if kind == "file":
        (folder.path / "drop/sub/a.onnx").symlink_to(outside / "a.onnx")
    elif kind == "folder":
        (folder.path / "drop/out").symlink_to(outside)
    glob = "../outside/*.onnx" if kind == "glob" else "drop/*/*.onnx"
    with pytest.raises(ManifestError, match="outside the manifest's"):
        found(folder, glob)
    assert "a" in [name for name, _ in found(folder, glob, models_dirs=[str(outside)])]


def test_an_absolute_glob_finds_what_models_dirs_admit(folder):
    outside = folder.path.parent / "outside"
    outside.mkdir()
    (outside / "a.onnx").write_bytes(b"")
    assert found(folder, f"{outside}/*.onnx", models_dirs=[str(outside)]) == [("a", str(outside / "a.onnx"))]


def test_an_empty_folder_is_told_and_no_fault(folder):
    (folder.path / "drop").mkdir()
    assert warnings(folder, "drop/*.onnx") == ["no file matches drop/*.onnx"]


def test_names_no_model_can_have_are_told_and_left_out(folder):
    folder.model("drop/good.onnx")
    folder.model("drop/ a.onnx")
    folder.model("drop/b\n.onnx")
    os.close(os.open(os.fsencode(folder.path) + b"/drop/\xff.onnx", os.O_CREAT | os.O_WRONLY))
    (folder.path / "drop/gone.onnx").symlink_to("nowhere")
    manifest = read_manifest([folder.manifest(rule("drop/*.onnx"))])
    assert [model.name for model in manifest.models] == ["good"]
    assert [warning.summary for warning in manifest.warnings] == [
        "drop/ a.onnx: not taken as a model: the name ' a' starts or ends with a space",
        "drop/b .onnx: not taken as a model: its path holds a control character",
        "drop/gone.onnx: a link that leads nowhere",
        "drop/\\udcff.onnx: not taken as a model: its path is not UTF-8",
    ]
    assert set(manifest.stats) == {model.path for model in manifest.models}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list anything")
def test_a_folder_that_cannot_be_listed_is_a_fault_not_an_empty_one(folder):
    folder.model("drop/closed/a.onnx")
    (folder.path / "drop/closed").chmod(0o000)
    try:
        with pytest.raises(ManifestError, match=r"drop/closed: the folder cannot be searched: permission denied"):
            found(folder, "drop/**/*.onnx")
    finally:
        (folder.path / "drop/closed").chmod(0o700)


@pytest.mark.parametrize("glob", ["", "drop/", "a**/b", "x/*/../y", "..", "drop/\\x07"])
def test_globs_that_mean_nothing_are_faults(folder, glob):
    with pytest.raises(ManifestError) as caught:
        read_manifest([folder.manifest(rule(glob))])
    assert {fault.code for fault in caught.value.diagnostics} == {"manifest/bad-glob"}


def test_rules_run_again_see_what_has_come_and_gone(folder):
    folder.model("drop/a.onnx")
    manifest = read_manifest([folder.manifest(rule("drop/*.onnx", more="models: []\n"))])
    folder.model("drop/b.onnx")
    (folder.path / "drop/a.onnx").unlink()
    again = discover(manifest.discover)
    assert [model.name for model in again.models] == ["b"]
    assert again.diagnostics == ()
    assert list(again.stats) == [str(folder.path / "drop/b.onnx")]


def test_rules_are_not_run_where_files_are_not_to_be_looked_at(folder):
    manifest = read_manifest([folder.manifest(rule("drop/*.onnx"))], check_files=False)
    assert manifest.models == ()
    assert [each.glob for each in manifest.discover] == ["drop/*.onnx"]


ASIDE = [
    "#recycle/a.onnx",
    "$RECYCLE.BIN/a.onnx",
    "@Recycle/a.onnx",
    "@Recently-Snapshot/GMT-05/a.onnx",
    "@eaDir/a.onnx",
    "lost+found/a.onnx",
    "System Volume Information/a.onnx",
    "a.sync-conflict-20261125-101010-ABCDEFG.onnx",
    "a (conflicted copy 2026-11-25 101010).onnx",
    "a (Ann's conflicted copy 2026-11-25).onnx",
    "a_conflict-20261125-101010.onnx",
    "a (Case Conflict 1).onnx",
]


@pytest.mark.parametrize("path", ASIDE)
def test_recycle_bins_and_conflict_copies_are_no_models_unless_named(path, tmp_path):
    (tmp_path / "drop" / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "drop" / path).write_bytes(b"x")
    (tmp_path / "drop/b.onnx").write_bytes(b"x")
    manifest = tmp_path / "models.yaml"

    def models(glob):
        manifest.write_text(
            f'version: 1\ndiscover:\n  - {{glob: "{glob}", engine: ONNX, name: "{{parent}}-{{stem}}"}}\n'
        )
        return read_manifest([str(manifest)])

    found = models("drop/**/*.onnx")
    assert [model.name for model in found.models] == ["drop-b"]
    [warning] = found.warnings
    assert warning.code == "manifest/discover-aside"
    assert f"drop/{path.partition('/')[0]}: left out" in warning.summary
    *folders, last = path.split("/")
    if folders:
        assert len(models("/".join(["drop", folders[0], "**", "*.onnx"])).models) == 1
        assert len(models("/".join(["drop", "**", folders[0], "**", "*.onnx"])).models) == 1
    else:
        assert len(models(f"drop/{last}").models) == 1


def test_a_lost_and_found_that_nobody_may_enter_blocks_nothing(tmp_path):
    (tmp_path / "lost+found").mkdir(mode=0)
    (tmp_path / "a.onnx").write_bytes(b"x")
    manifest = tmp_path / "models.yaml"
    manifest.write_text('version: 1\ndiscover:\n  - {glob: "**/*.onnx", engine: ONNX}\n')
    try:
        assert [model.name for model in read_manifest([str(manifest)]).models] == ["a"]
    finally:
        (tmp_path / "lost+found").chmod(0o700)


def test_a_file_of_the_globs_very_name_is_meant_and_no_other(tmp_path):
    for name in ("m1.onnx", "m[1].onnx", "n1.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    manifest = tmp_path / "models.yaml"

    def found(glob):
        manifest.write_text(f'version: 1\ndiscover:\n  - {{glob: "{glob}", engine: ONNX}}\n')
        return [model.file for model in read_manifest([str(manifest)]).models]

    assert found("m[1].onnx") == ["m[1].onnx"]
    assert found("n[1].onnx") == ["n1.onnx"]
    assert found("**/m[1].onnx") == ["m[1].onnx"]
    assert found("m*.onnx") == ["m1.onnx", "m[1].onnx"]
