from __future__ import annotations

import gc
import sys
from pathlib import Path
from subprocess import run

import jsonschema
import pytest
import yaml

from mmsync.errors import ManifestError
from mmsync.manifest import ServerSettings, read_manifest, schema
from mmsync.types import Desired, Source

ONE = "version: 1\nmodels:\n  - {name: a, engine: ONNX, file: a.onnx}\n"


def warnings_of(manifest) -> list[tuple[str, str]]:
    return [(warning.code.removeprefix("manifest/"), str(warning).partition(": ")[2]) for warning in manifest.warnings]


def test_an_entry_becomes_a_desired_model(folder):
    file = folder.model("onnx/fraud.onnx")
    pin = "0123456789abcdef" * 4
    path = folder.manifest(f"""\
version: 1
models:
  - name: MY FIRST MODEL
    engine: ONNX
    file: onnx/fraud.onnx
    description: |
      Two
      lines
    sha256: {pin}
    allow_signature_change: true
""")
    manifest = read_manifest([path])
    assert manifest.models == (
        Desired("MY FIRST MODEL", "ONNX", "onnx/fraud.onnx", str(file), "Two\nlines\n", pin, True, Source(path, 3, 5)),
    )
    assert manifest.stats == {str(file): file.stat()}
    assert manifest.paths == (path,)
    assert manifest.scope == ()
    assert manifest.server == ServerSettings()
    assert manifest.warnings == ()


def test_defaults_fill_in_what_an_entry_leaves_out(folder):
    path = folder.manifest("""\
version: 1
defaults: {engine: H2O, description: from the defaults, allow_signature_change: yes}
models:
  - {name: plain, file: a.zip}
  - {name: own, file: a.onnx, engine: ONNX, description: "", allow_signature_change: false}
""")
    own, plain = read_manifest([path], check_files=False).models
    assert (plain.engine, plain.description, plain.allow_signature_change) == ("H2O", "from the defaults", True)
    assert (own.engine, own.description, own.allow_signature_change) == ("ONNX", "", False)


def test_an_absent_description_is_none_and_an_empty_one_is_empty(folder):
    path = folder.manifest(
        'version: 1\nmodels:\n- {name: a, engine: ONNX, file: a.onnx}\n- {name: b, engine: ONNX, file: a.onnx, description: ""}\n'
    )
    assert [model.description for model in read_manifest([path], check_files=False).models] == [None, ""]


def test_models_are_sorted_by_name_whatever_the_order(folder):
    names = ["b", "a", "Z", "é", "10"]
    text = "version: 1\ndefaults: {engine: ONNX}\nmodels:\n" + "".join(
        f'- {{name: "{n}", file: x.onnx}}\n' for n in names
    )
    manifest = read_manifest([folder.manifest(text)], check_files=False)
    assert [model.name for model in manifest.models] == sorted(names)


def test_paths_are_joined_to_the_manifest_as_the_user_named_it(folder, monkeypatch):
    folder.model("here/a.onnx")
    folder.manifest(ONE, "here/models.yaml")
    monkeypatch.chdir(folder.path)
    for named, expected in [
        ("here/models.yaml", "here/a.onnx"),
        ("./here/models.yaml", "./here/a.onnx"),
        (str(folder.path / "here/models.yaml"), str(folder.path / "here/a.onnx")),
    ]:
        (model,) = read_manifest([named]).models
        assert (model.path, model.file, model.source.file) == (expected, "a.onnx", named)
    monkeypatch.chdir("here")
    assert read_manifest(["models.yaml"]).models[0].path == "a.onnx"


def test_a_name_alone_that_yaml_would_take_for_something_else_is_fine_in_quotes(folder):
    text = "version: 1\ndefaults: {engine: ONNX}\nmodels:\n"
    names = ["123", "yes", "1e3", "2024-01-31", "~", "null", "0o17", "1:30", "="]
    text += "".join(f'- {{name: "{name}", file: x.onnx}}\n' for name in names)
    manifest = read_manifest([folder.manifest(text)], check_files=False)
    assert {model.name for model in manifest.models} == set(names)


@pytest.mark.parametrize(
    "name", ["123", "-1.5", "yes", "No", "on", "1e3", "1.e-3", "2024-01-31", "0x1f", "0o17", "1:30", ".inf"]
)
def test_a_bare_word_that_readers_of_yaml_disagree_on_is_refused(folder, name):
    path = folder.manifest(f"version: 1\nmodels:\n- name: {name}\n  engine: ONNX\n  file: a.onnx\n")
    with pytest.raises(ManifestError, match=r":3:9: name must be text, but YAML reads .* \(quote it: "):
        read_manifest([path], check_files=False)


@pytest.mark.parametrize(
    "name", ["v1.2.3", "1e3x", "fraud-score", "MY FIRST MODEL", "números/π", "nope", "a:b", "-x", "क्‍ष"]
)
def test_names_of_many_kinds_are_taken_as_they_are(folder, name):
    path = folder.manifest(f"version: 1\nmodels:\n- name: {name}\n  engine: ONNX\n  file: a.onnx\n")
    assert read_manifest([path], check_files=False).models[0].name == name


def test_a_pin_of_digits_alone_is_a_pin(folder):
    path = folder.manifest(f"version: 1\nmodels:\n- {{name: a, engine: ONNX, file: a.onnx, sha256: {'1' * 64}}}\n")
    assert read_manifest([path], check_files=False).models[0].sha256 == "1" * 64


def test_merge_keys_and_aliases_save_writing(folder):
    path = folder.manifest("""\
version: 1
models:
  - &first {name: a, engine: ONNX, file: a.onnx, description: &text Shared}
  - {<<: *first, name: b}
  - {<<: [{engine: H2O}, *first], name: c, file: c.zip, description: *text}
""")
    models = read_manifest([path], check_files=False).models
    assert [(m.name, m.engine, m.file, m.description) for m in models] == [
        ("a", "ONNX", "a.onnx", "Shared"),
        ("b", "ONNX", "a.onnx", "Shared"),
        ("c", "H2O", "c.zip", "Shared"),
    ]


OWN = """\
version: 1
x-shared: &shared
  engine: ONNX
  x-who: [ada, {any: thing}]
  allow_signature_change: true
x-models: [{name: b, engine: ONNX, file: b.onnx}, nothing]
x-: ~
x-twice: 1
x-twice: 2
defaults: {description: Shared, x-note: 1}
models:
  - {<<: *shared, name: a, file: a.onnx, x-owner: [x, y]}
discover:
  - {glob: "none/*.onnx", engine: ONNX, x-note: ~}
"""


def test_keys_that_begin_with_x_are_the_readers_own(folder):
    path = folder.manifest(OWN)
    (model,) = read_manifest([path], check_files=False).models
    assert model == Desired(
        "a", "ONNX", "a.onnx", str(folder.path / "a.onnx"), "Shared", None, True, Source(path, 12, 5)
    )
    assert read_manifest([path], check_files=False).warnings == ()
    jsonschema.validate(yaml.safe_load(OWN), schema())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("version: 1\nmodels: []\nX-note: 1\n", "3:1: the manifest has no key 'X-note'"),
        ("version: 1\nmodels: []\nserver: {profile: a, x-tenant: b}\n", "3:22: server has no key 'x-tenant'"),
        ("version: 1\nmodels: []\nx-api-key: s3cret\n", "3:1: a secret does not belong in a manifest"),
        ("version: 1\nmodels: [{x-note: 1}]\n", "2:10: the model has neither name nor file"),
        ("version: 1\nx-note: {<<: *no}\nmodels: []\n", "2:14: an alias without its anchor"),
    ],
)
def test_what_only_looks_like_a_key_of_the_readers_own_is_refused(folder, text, error):
    with pytest.raises(ManifestError) as caught:
        read_manifest([folder.manifest(text)])
    assert f":{error}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_thousand_entries_may_share_one_anchor(folder):
    text = "version: 1\nmodels:\n  - &base {name: m, engine: ONNX, file: a.onnx}\n"
    text += "".join(f"  - {{<<: *base, name: m{i}}}\n" for i in range(1000))
    assert len(read_manifest([folder.manifest(text)], check_files=False).models) == 1001


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_of_any_editor_are_read(folder, ends, mark):
    path = folder.manifest(mark + ONE.replace("\n", ends))
    assert read_manifest([path], check_files=False).models[0].source == Source(path, 3, 5)


def test_an_empty_list_is_a_manifest(folder):
    assert read_manifest([folder.manifest("version: 1\nmodels: []\n")]).models == ()


def test_doubts_are_warnings_and_do_not_stop(folder):
    path = folder.manifest("""\
models:
  - {name: a, engine: onnx, file: a.onnx}
  - {name: b, engine: TENSORFLOW2, file: a.pb, inspect: false}
  - {name: d, engine: ONNX, file: d.pkl}
  - {name: e, engine: CATBOOST, file: e.cmb}
  - {name: f, engine: MLSTATS, file: f}
""")
    manifest = read_manifest([path], check_files=False)
    assert [model.engine for model in manifest.models][:2] == ["ONNX", "TENSORFLOW2"]
    assert warnings_of(manifest) == [
        ("version", "the manifest does not say its version; it is read as 1 (write `version: 1`)"),
        ("engine-case", "the engine onnx is spelt ONNX (write ONNX; it is read so)"),
        ("extension", "an ONNX model usually ends in .onnx (check engine and file)"),
    ]


def test_an_engine_that_there_is_not_is_refused_unless_the_file_goes_as_it_is(folder):
    path = folder.manifest("""
version: 1
models:
  - {name: b, engine: CATBOST, file: a.cbm}
  - {name: c, engine: TENSORFLOW2, file: a.pb}
  - {name: d, engine: TENSORFLOW2, file: a.pb, inspect: false}
discover:
  - {glob: "*.pb", engine: TENSORFLOW2, name: "{stem}"}
""")
    with pytest.raises(ManifestError) as refused:
        read_manifest([path], check_files=False)
    engines = "BIGML, CATBOOST, DT, H2O, IDA, MLSTATS, MUA, ONNX, UNICODE, WORKFLOWS"
    other = (
        f"there is no engine TENSORFLOW2 (known engines: {engines}; where the server does have it, set inspect: false)"
    )
    assert [
        (found.source.line, found.code, f"{found.summary} ({found.detail})") for found in refused.value.diagnostics
    ] == [
        (
            4,
            "manifest/unknown-engine",
            "there is no engine CATBOST (write CATBOOST; where the server does have it, set inspect: false)",
        ),
        (5, "manifest/unknown-engine", other),
        (8, "manifest/unknown-engine", other.replace("false)", "false under defaults)")),
    ]
    path = folder.manifest("""
version: 1
defaults: {engine: TENSORFLOW2, inspect: false}
models:
  - {name: c, file: a.pb}
discover:
  - {glob: "*.pb", engine: TENSORFLOW2, name: "{stem}"}
""")
    assert warnings_of(read_manifest([path], check_files=False)) == []


def test_several_manifests_are_read_as_one(folder):
    one = folder.manifest(
        'version: 1\nscope: ["a*", "c*"]\nmodels: [{name: a, engine: ONNX, file: a.onnx}]\n', "one.yaml"
    )
    two = folder.manifest(
        'version: 1\nscope: ["b*", "c*"]\nmodels: [{name: b, engine: ONNX, file: a.onnx}]\n', "two.yaml"
    )
    manifest = read_manifest([two, one], check_files=False)
    assert [model.name for model in manifest.models] == ["a", "b"]
    assert manifest.scope == ("a*", "b*", "c*")
    assert manifest.paths == (one, two)


def test_the_scope_of_one_manifest_does_not_admit_names_of_another(folder):
    one = folder.manifest('version: 1\nscope: ["a*"]\nmodels: [{name: b, engine: ONNX, file: a.onnx}]\n', "one.yaml")
    two = folder.manifest('version: 1\nscope: ["b*"]\nmodels: []\n', "two.yaml")
    with pytest.raises(ManifestError, match=r"one.yaml:3:17: the name b is outside the scope"):
        read_manifest([one, two], check_files=False)


def test_a_name_in_two_manifests_is_a_fault_that_names_both_places(folder):
    one, two = folder.manifest(ONE, "one.yaml"), folder.manifest(ONE, "two.yaml")
    with pytest.raises(ManifestError) as caught:
        read_manifest([one, two], check_files=False)
    assert str(caught.value) == (
        f"{two}:3:12: the name a is given twice (the first is on {one}:3:5; rename or remove one)"
    )


def test_a_manifest_given_twice_counts_once(folder, monkeypatch):
    path = folder.manifest(ONE)
    folder.model("a.onnx")
    (folder.path / "again.yaml").symlink_to("models.yaml")
    monkeypatch.chdir(folder.path)
    manifest = read_manifest([path, "models.yaml", "./models.yaml", "again.yaml", "."])
    assert manifest.paths == (path,)
    assert len(manifest.models) == 1


def test_a_folder_stands_for_the_manifests_in_it(folder, monkeypatch):
    for name in ("b.yml", "a.yaml", ".hidden.yaml", "notes.txt", "c.yaml.bak", "sub/d.yaml"):
        folder.manifest(ONE.replace("name: a", f'name: "{name}"'), f"team/{name}")
    (folder.path / "team" / "folder.yaml").mkdir()
    monkeypatch.chdir(folder.path)
    for given in ("team", "team/"):
        manifest = read_manifest([given], check_files=False)
        assert manifest.paths == ("team/a.yaml", "team/b.yml")
        assert [model.source.file for model in manifest.models] == ["team/a.yaml", "team/b.yml"]


def test_a_folder_without_manifests_is_a_fault(folder):
    with pytest.raises(ManifestError, match="the folder holds no manifest"):
        read_manifest([str(folder.path)])


def test_server_settings_are_read_with_their_place(folder):
    path = folder.manifest(
        "version: 1\nserver:\n  url: https://api-us.devo.com/mlmodelmanager\n  auth_type: bearer\n  domain: d\nmodels: []\n"
    )
    url = "https://api-us.devo.com/mlmodelmanager"
    assert read_manifest([path]).server == ServerSettings(url, None, "bearer", "d", Source(path, 3, 3))


def test_server_settings_of_several_manifests_agree_or_are_a_fault(folder):
    one = folder.manifest("version: 1\nserver: {profile: p}\nmodels: []\n", "1.yaml")
    two = folder.manifest("version: 1\nserver: {profile: p, domain: d}\nmodels: []\n", "2.yaml")
    three = folder.manifest("version: 1\nserver: {profile: q}\nmodels: []\n", "3.yaml")
    assert read_manifest([one, two]).server == ServerSettings(None, "p", None, "d", Source(one, 2, 9))
    with pytest.raises(ManifestError) as caught:
        read_manifest([one, two, three])
    assert (
        str(caught.value)
        == f"{three}:2:9: server profile differs from that of another manifest (the first is at {one}:2:9)"
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "HTTPS://Host/path/", "local:models", "local:/srv/a@b"])
def test_addresses_of_all_kinds_are_taken(folder, url):
    path = folder.manifest(f'version: 1\nserver: {{url: "{url}"}}\nmodels: []\n')
    assert read_manifest([path]).server.url == url


def test_the_example_is_without_fault_or_doubt():
    example = Path(__file__).parents[2] / "models.yaml.example"
    manifest = read_manifest([str(example)], check_files=False)
    assert [model.name for model in manifest.models] == ["fraud_rules", "fraud_score", "login_risk"]
    assert manifest.warnings == ()
    assert [rule.name for rule in manifest.discover] == ["drop_{stem}"]


def test_what_is_read_is_what_yaml_says(folder):
    example = Path(__file__).parents[2] / "models.yaml.example"
    said = {entry["name"]: entry for entry in yaml.safe_load(example.read_text("utf-8"))["models"]}
    for model in read_manifest([str(example)], check_files=False).models:
        entry = said[model.name]
        assert (model.file, model.description, model.sha256) == (
            entry["file"],
            entry.get("description"),
            entry.get("sha256"),
        )


def test_importing_the_room_does_not_load_yaml_or_heavy_modules():
    heavy = "{'yaml', 'json', 'jsonschema', 'requests', 'pathlib', 'importlib.resources'}"
    # -S -E: what a site package loads at start-up is not ours to answer for.
    code = f"import sys; sys.path[:0] = {sys.path!r}; before = set(sys.modules); import mmsync.manifest; print(sorted({heavy} & (set(sys.modules) - before)))"
    shown = run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_the_collector_is_left_as_it_was(folder):
    path = folder.manifest(ONE)
    assert gc.isenabled()
    read_manifest([path], check_files=False)
    assert gc.isenabled()
    with pytest.raises(ManifestError):
        read_manifest([path])
    assert gc.isenabled()
    gc.disable()
    try:
        read_manifest([path], check_files=False)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_model_files_are_looked_at_and_not_opened(folder):
    folder.model("a.onnx")
    code = """
import os, sys
from mmsync.manifest import read_manifest
opened = []
sys.addaudithook(lambda event, args: opened.append(os.fspath(args[0])) if event == "open" and isinstance(args[0], str) else None)
assert len(read_manifest([sys.argv[1]]).stats) == 1
print([os.path.basename(path) for path in opened if os.path.dirname(path) == os.path.dirname(sys.argv[1])])
"""
    shown = run([sys.executable, "-c", code, folder.manifest(ONE)], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['models.yaml']"
