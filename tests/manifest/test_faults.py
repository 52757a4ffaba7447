from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import jsonschema
import pytest
import yaml

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest, schema, yaml_loader

BROKEN = Path(__file__).parents[1] / "manifests" / "broken"
FAULTS = sorted(path.stem for path in BROKEN.glob("*.yaml"))

# What a schema cannot see: positions, other entries, the file system, how YAML came to the value, characters beyond
# its patterns.
BEYOND_SCHEMA = {
    "absolute-path",
    "discover-duplicate-name",
    "discover-missing-folder",
    "discover-outside",
    "discover-outside-scope",
    "duplicate-key",
    "duplicate-name",
    "file-folder",
    "file-missing",
    "file-outside",
    "name-exponent",
    "name-hidden-character",
    "outside-scope",
    "scope-bracket",
    "secret-url-query",
    "utf-16",
}


def faults_of(*paths: str, **options: object) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(list(paths), **options)
    return str(caught.value) + "\n"


@pytest.fixture
def _among_the_broken(monkeypatch):
    monkeypatch.chdir(BROKEN)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("_among_the_broken")
def test_every_broken_manifest_is_refused_in_these_words(fault):
    assert faults_of(f"{fault}.yaml") == Path(f"{fault}.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "place", "summary"),
    [
        ("models: !!seq {a: b}", "1:9", "a mapping is tagged !!seq"),
        ("models: !!seq a", "1:9", "a value is tagged !!seq"),
        ("--- !!map\n- a", "1:5", "a list is tagged !!map"),
        ("models:\n  - !!map [a]", "2:5", "a list is tagged !!map"),
        ("models:\n  - !!map a", "2:5", "a value is tagged !!map"),
        ("models:\n  - name: !!str [a]", "2:11", "a list is tagged !!str"),
        ("models:\n  - !<tag:yaml.org,2002:str> [a]: b", "2:5", "a list is tagged !!str"),
        ("models:\n  - <<: !!seq a", "2:9", "a value is tagged !!seq"),
        ("version: !!int [1]\nmodels: []", "1:10", "a list is tagged !!int"),
        ("%TAG !y! tag:yaml.org,2002:\n---\nmodels: !y!seq {a: b}", "3:9", "a mapping is tagged !!seq"),
        ("models: &a [*a, !!map [b]]", "1:17", "a list is tagged !!map"),
    ],
)
def test_a_tag_that_its_value_does_not_fit_is_an_error_in_its_place(tmp_path, monkeypatch, text, place, summary):
    monkeypatch.chdir(tmp_path)
    Path("models.yaml").write_text(f"{text}\n", "utf-8")
    assert faults_of("models.yaml") == f"models.yaml:{place}: {summary} (remove the tag)\n"


def test_every_broken_manifest_has_its_words_and_every_words_their_manifest():
    assert sorted(path.stem for path in BROKEN.glob("*.txt")) == FAULTS
    assert len(FAULTS) > 70


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("_among_the_broken")
def test_a_fault_is_one_line_with_a_place_and_a_way_on(fault):
    for line in faults_of(f"{fault}.yaml").splitlines():
        assert re.fullmatch(rf"{fault}\.yaml:[1-9]\d*:[1-9]\d*: [^\n]+ \([^\n]+\)", line)
        assert not re.search(r"Error|Exception|Traceback|yaml\.|None|Node|scann?ing", line.partition(": ")[2])


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "secret" in fault or fault.startswith("server-token")])
@pytest.mark.usefixtures("_among_the_broken")
def test_a_secret_is_refused_without_being_repeated(fault):
    said = faults_of(f"{fault}.yaml")
    assert "8a3vf98ai" not in said
    assert "hunter2" not in said


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.usefixtures("_among_the_broken")
def test_the_parser_in_python_finds_the_same_faults_on_the_same_lines(fault, monkeypatch):
    monkeypatch.setattr(yaml_loader, "loader_class", partial(yaml_loader.loader_class, pure=True))

    def without_columns(said: str) -> list[str]:
        # The two differ in the column of an unknown escape, and in what they call a few ends of the text.
        return [re.match(r"[^:]+:\d+:", line)[0] for line in said.splitlines()]

    assert without_columns(faults_of(f"{fault}.yaml")) == without_columns(Path(f"{fault}.txt").read_text("utf-8"))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_schema_refuses_what_it_can_see(fault):
    try:
        document = yaml.safe_load((BROKEN / f"{fault}.yaml").read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError):
        return  # no document to check
    if fault.startswith("alias"):
        return
    checker = jsonschema.Draft202012Validator(schema())
    assert checker.is_valid(document) == (fault in BEYOND_SCHEMA)


def test_faults_of_several_manifests_come_together_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("b.yaml").write_text("version: 1\nmodels:\n", "utf-8")
    Path("a.yaml").write_text("version: 3\nmodels: []\nmodel: []\n", "utf-8")
    places = [line.split(": ")[0] for line in faults_of("b.yaml", "gone.yaml", "a.yaml").splitlines()]
    assert places == ["a.yaml:1:10", "a.yaml:3:1", "b.yaml:2:8", "gone.yaml:1:1"]


def test_a_fault_has_a_stable_code_and_names_its_model(tmp_path):
    manifest = tmp_path / "models.yaml"
    manifest.write_text("version: 1\nmodels:\n- {name: a, engine: ONNX, file: gone.onnx}\n", "utf-8")
    with pytest.raises(ManifestError) as caught:
        read_manifest([str(manifest)])
    (fault,) = caught.value.diagnostics
    assert (fault.severity, fault.code, fault.model) == ("error", "manifest/file-missing", "a")


def test_no_manifest_at_all_is_a_fault():
    assert "no manifest is given" in faults_of()


def test_a_manifest_that_is_too_large_is_refused_unread(tmp_path):
    manifest = tmp_path / "models.yaml"
    with manifest.open("wb") as file:
        file.truncate(100 * 2**20)
    assert "larger than 64 MiB" in faults_of(str(manifest))


def test_a_manifest_of_more_nodes_than_memory_is_refused(tmp_path, monkeypatch):
    manifest = tmp_path / "models.yaml"
    monkeypatch.setattr(yaml_loader, "_MAX_NODES", 1000)
    manifest.write_text("version: 1\nmodels:\n" + "- a\n" * 990, "utf-8")
    assert "a model must be a mapping" in faults_of(str(manifest))
    manifest.write_text("version: 1\nmodels:\n" + "- a\n" * 1001, "utf-8")
    assert "more than any could" in faults_of(str(manifest))


def test_a_fault_in_an_anchor_is_told_once(tmp_path):
    manifest = tmp_path / "models.yaml"
    text = "version: 1\nmodels:\n  - &a {name: a, engine: ONNX, file: a.onnx, nam: b}\n"
    manifest.write_text(text + "".join(f"  - {{<<: *a, name: m{i}}}\n" for i in range(3)), "utf-8")
    assert faults_of(str(manifest), check_files=False).count("no key 'nam'") == 1


@pytest.mark.parametrize("libyaml", [True, False])
@pytest.mark.parametrize("start", ["[", "{", "- ", "{a: ", "? ", "[{a: "])
@pytest.mark.parametrize("repeats", [60, 1200, 100_000])
def test_nesting_without_end_is_refused_not_died_of(tmp_path, monkeypatch, start, repeats, libyaml):
    monkeypatch.setattr(yaml_loader, "loader_class", partial(yaml_loader.loader_class, pure=not libyaml))
    manifest = tmp_path / "models.yaml"
    manifest.write_text(start * repeats, "utf-8")
    told = faults_of(str(manifest))
    assert "nested too deeply" in told
    assert "quotes" not in told


def test_a_chain_of_aliases_is_refused(tmp_path):
    manifest = tmp_path / "models.yaml"
    chain = "".join(f"  - &a{i} [*a{i - 1}]\n" for i in range(1, 5000))
    manifest.write_text("version: 1\nmodels:\n  - &a0 [x]\n" + chain, "utf-8")
    assert "aliases" in faults_of(str(manifest))


def test_the_default_manifest_that_is_missing_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert faults_of("models.yaml") == (
        "models.yaml:1:1: there is no such manifest (name it with -f, or make one with `mmsync init`)\n"
    )


@pytest.mark.parametrize("line_break", ["\u2028", "\u2029", "\x85"])
@pytest.mark.parametrize("libyaml", [True, False])
def test_lines_are_numbered_as_editors_number_them(tmp_path, monkeypatch, line_break, libyaml):
    monkeypatch.setattr(yaml_loader, "loader_class", partial(yaml_loader.loader_class, pure=not libyaml))
    manifest = tmp_path / "models.yaml"
    text = f"version: 1 # a{line_break}# b\nmodels:\n  - {{name: a, engine: ONNX, file: a.onnx, description: 'x{line_break} y', oops: 1}}\n"
    manifest.write_text(text, "utf-8", newline="")
    column = text.split("\n")[2].index("oops") + 1
    assert f"models.yaml:3:{column}: " in faults_of(str(manifest), check_files=False)
    manifest.write_text(text + "  - {\n", "utf-8", newline="")
    assert re.search(r"models.yaml:4:\d+: ", faults_of(str(manifest), check_files=False))


CONFLICTS = {
    "git": "version: 1\n<<<<<<< HEAD\nscope: [a]\n=======\nscope: [b]\n>>>>>>> theirs\nmodels: []\n",
    "diff3": "version: 1\nmodels:\n<<<<<<< ours\n  - {name: a, engine: ONNX, file: a.onnx}\n||||||| base\n=======\n>>>>>>> x\n",
    "half settled": "version: 1\nmodels: []\n>>>>>>> theirs\n",
    "svn": "version: 1\n<<<<<<< .mine\nmodels: []\n=======\n>>>>>>> .r12\n",
}


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_the_marks_of_a_merge_conflict_are_named(tmp_path, conflict):
    manifest = tmp_path / "models.yaml"
    manifest.write_text(CONFLICTS[conflict], "utf-8")
    line = next(n for n, text in enumerate(CONFLICTS[conflict].splitlines(), 1) if text[:7] in ("<<<<<<<", ">>>>>>>"))
    assert (
        faults_of(str(manifest))
        == f"{manifest}:{line}:1: a merge conflict was left in (settle it, and remove the lines of marks)\n"
    )


def test_a_description_may_show_the_marks(tmp_path):
    manifest = tmp_path / "models.yaml"
    manifest.write_text(
        "version: 1\nmodels:\n  - name: a\n    engine: ONNX\n    file: a.onnx\n    description: |\n      <<<<<<< HEAD\n      >>>>>>> x\n"
    )
    assert read_manifest([str(manifest)], check_files=False).models[0].description == "<<<<<<< HEAD\n>>>>>>> x\n"


@pytest.mark.parametrize("slashes", ["", "/", "//", "///"])
def test_a_user_in_an_address_is_a_secret_however_many_slashes_it_has(tmp_path, slashes):
    manifest = tmp_path / "models.yaml"
    manifest.write_text(f"version: 1\nserver: {{url: 'https:{slashes}me:hunter2@host/x'}}\nmodels: []\n", "utf-8")
    told = faults_of(str(manifest))
    assert "the url holds a secret" in told
    assert "hunter2" not in told
