"""What is nearly right is named: another name of a file that is there, a space that is none, a form not supported."""

from __future__ import annotations

import unicodedata

import pytest

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest


def error_of(path):
    with pytest.raises(ManifestError) as caught:
        read_manifest([path])
    return str(caught.value).partition("models.yaml:")[2]


def missing(folder, file):
    """What is said of a file that is missing."""
    said = error_of(folder.manifest(f"version: 1\nmodels:\n  - name: a\n    engine: ONNX\n    file: '{file}'\n"))
    return said.partition("there is no such file (")[2].removesuffix(")")


@pytest.mark.parametrize(
    ("there", "written", "said"),
    [
        ("fraud.onnx", "Fraud.onnx", "did you mean fraud.onnx? It differs in letter case"),
        ("fraud.ONNX", "fraud.onnx", "did you mean fraud.ONNX? It differs in letter case"),
        ("Onnx/V1/fraud.onnx", "onnx/v1/fraud.onnx", "did you mean Onnx/V1/fraud.onnx? It differs in letter case"),
        ("sub/fraud.onnx", "sub\\fraud.onnx", "did you mean sub/fraud.onnx? A path is written with / here"),
        ("fraud.onnx.zip", "fraud.onnx", "did you mean fraud.onnx.zip? It has another extension"),
        ("sub/fraud.cbm", "sub/fraud.onnx", "did you mean sub/fraud.cbm? It has another extension"),
        ("fraud.onnx", "fraud", "did you mean fraud.onnx? It has another extension"),
        ("domain_dga.onnx", "domain_dag.onnx", "did you mean domain_dga.onnx?"),
        ("sub/domain_dga.onnx", "sub/domain_dgs.onnx", "did you mean sub/domain_dga.onnx?"),
        ("domain_dga.cbm", "domain_dag.onnx", "check the path; it is relative to the manifest"),
        ("a.onnx", "b.onnx", "check the path; it is relative to the manifest"),
        ("sub/domain_dga.onnx", "domain_dag.onnx", "check the path; it is relative to the manifest"),
        ("other.onnx", "fraud.onnx", "check the path; it is relative to the manifest"),
        ("outer/a.onnx", "outer/../outer/A.onnx", "check the path; it is relative to the manifest"),
        ("a", "s3://bucket/a.onnx", "s3:// is not supported: a model file is a path; fetch the file first"),
        ("a", "file:///a.onnx", "file:// is not supported"),
        ("a", "hf://org/model", "hf:// is not supported"),
        ("a", "~/a.onnx", "`~` is not expanded: write the path out, relative to the manifest"),
        ("a", "${MODELS}/a.onnx", "variables such as ${MODELS} are not expanded"),
        ("a", "$MODELS/a.onnx", "variables such as $MODELS are not expanded"),
    ],
)
def test_the_file_that_is_there_is_named(folder, there, written, said):
    folder.model(there)
    assert missing(folder, written).startswith(said)


def test_of_several_similar_names_the_most_similar_is_named_and_no_folder(folder):
    for name in ("fraud_score_v1.onnx", "fraud_scores.onnx", "fraud_store.onnx/x"):
        folder.model(name)
    assert missing(folder, "fraud_scroe.onnx") == "did you mean fraud_scores.onnx?"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_of_another_unicode_form_is_named(folder, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    folder.model(unicodedata.normalize(other, "modèle.onnx"))
    said = missing(folder, unicodedata.normalize(form, "modèle.onnx"))
    assert said.startswith(f"did you mean {unicodedata.normalize(other, 'modèle.onnx')}? It looks the same")


def test_no_name_outside_the_manifests_folder_is_told(folder):
    (folder.path.parent / "Secret.onnx").write_bytes(b"")
    (folder.path / "out").symlink_to("..")
    assert missing(folder, "out/secret.onnx") == "check the path; it is relative to the manifest"
    assert missing(folder, "..\\Secret.onnx") == "check the path; it is relative to the manifest"
    assert missing(folder, "../secret.onnx") == "check the path; it is relative to the manifest"


def test_a_file_of_an_odd_name_that_is_there_is_taken(folder):
    folder.model("$MODELS/~/a.onnx")
    path = folder.manifest("version: 1\nmodels: [{name: a, engine: ONNX, file: $MODELS/~/a.onnx}]\n")
    assert read_manifest([path]).models[0].file == "$MODELS/~/a.onnx"


@pytest.mark.parametrize("name", ["models.yml", "Models.yaml", "models.json", "models.yaml.txt"])
def test_the_manifest_beside_a_missing_one_is_named(folder, name, monkeypatch):
    folder.manifest("version: 1\nmodels: []\n", name)
    monkeypatch.chdir(folder.path)
    assert error_of("models.yaml") == f"1:1: there is no such manifest (did you mean {name}? Name it with -f)"
    folder_name = folder.path.name
    monkeypatch.chdir("..")
    assert f"did you mean {folder_name}/{name}?" in error_of(f"{folder_name}/models.yaml")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("url: https://${HOST}/x", "server url: variables such as ${HOST} are not expanded"),
        ("url: local:~/models", "server url: `~` is not expanded"),
        ("url: s3://bucket", "server url: s3:// is not supported (write https://host/path, or local:DIR"),
        ("profile: $PROFILE", "server profile: variables such as $PROFILE are not expanded"),
    ],
)
def test_settings_that_would_need_expanding_are_refused(folder, setting, said):
    assert said in error_of(folder.manifest(f"version: 1\nserver:\n  {setting}\nmodels: []\n"))


HEAD = "version: 1\nmodels:\n  - name: a\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{HEAD}@@@@engine: ONNX\n    file: a.onnx\n", "4:1"),
        (f"{HEAD}  @ engine: ONNX\n    file: a.onnx\n", "4:3"),
        (f"{HEAD}    engine:@ONNX\n    file: a.onnx\n", "4:12"),
        ("version: 1\nmodels:\n  -@name: a\n    engine: ONNX\n", "3:4"),
        ("version: 1\nmodels:\n@@- name: a\n    engine: ONNX\n", "3:1"),
        ("@version: 1\nmodels: []\n", "1:1"),
    ],
)
@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("\xa0", "a no-break space, U+00A0, where YAML allows only plain spaces"),
        ("\u3000", "a space of another kind, U+3000, where YAML allows only plain spaces"),
    ],
)
def test_a_space_that_is_none_to_yaml_is_named_in_its_place(folder, text, place, space, said):
    first = error_of(folder.manifest(text.replace("@", space))).splitlines()[0]
    assert first.startswith(f"{place}: {said} (")


@pytest.mark.parametrize("indent", ["\t", "  \t", "    \t"])
def test_a_tab_in_the_indentation_is_named_in_its_place(folder, indent):
    said = error_of(folder.manifest(f"{HEAD}{indent}engine: ONNX\n    file: a.onnx\n"))
    assert said.startswith(f"4:{len(indent)}: a tab where YAML allows only spaces (indent with spaces)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\xa0b", "holds a no-break space, U+00A0 (write a plain space: the two look alike, and are two names)"),
        ("a\u3000b", "holds a space of another kind, U+3000 (write a plain space: the two look alike"),
        (
            "\u201ca\u201d",
            "the quotes, U+201C and U+201D, are part of the name \u201ca\u201d (write plain quotes, or none)",
        ),
        ("\u2018a\u2019", "the quotes, U+2018 and U+2019, are part of the name \u2018a\u2019"),
    ],
)
def test_a_name_that_looks_like_another_is_taken_with_a_warning(folder, name, said):
    path = folder.manifest(f"version: 1\nmodels:\n  - name: {name}\n    engine: ONNX\n    file: a.onnx\n")
    found = read_manifest([path], check_files=False)
    assert found.models[0].name == name
    (warning,) = found.warnings
    assert (warning.severity, warning.code, warning.source[1:]) == ("warning", "manifest/odd-name", (3, 11))
    assert said in f"{warning.summary} ({warning.detail})"


@pytest.mark.parametrize("name", ["a b", "modèle", "\u201ca\u201d b", "it\u2019s"])
def test_a_name_that_looks_like_no_other_is_taken_as_it_is(folder, name):
    path = folder.manifest(f"version: 1\nmodels:\n  - name: {name}\n    engine: ONNX\n    file: a.onnx\n")
    assert not read_manifest([path], check_files=False).warnings


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("\u201ca\u201d", "odd-name", "the quotes, U+201C and U+201D, are part of the name"),
        ("a\xa0b", "discover-skipped", "its path holds a no-break space, U+00A0"),
        ("a\x07b", "discover-skipped", "its path holds a control character"),
    ],
)
def test_of_a_file_that_is_discovered_it_is_told_what_is_odd_about_its_name(folder, file, code, said):
    folder.model(f"on/{file}.onnx")
    path = folder.manifest("version: 1\ndiscover:\n  - glob: on/*.onnx\n    engine: ONNX\n")
    (warning,) = read_manifest([path]).warnings
    assert (warning.code, said in warning.summary) == (f"manifest/{code}", True), warning.summary


def test_a_path_with_a_space_of_another_kind_is_refused_by_that(folder):
    said = error_of(folder.manifest("version: 1\nmodels: [{name: a, engine: ONNX, file: a\xa0b.onnx}]\n"))
    assert "the file's path is empty or holds a no-break space, U+00A0" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("name: a\n    engine: ONNX\xa0", "the engine ONNX starts or ends with a no-break space, U+00A0 (remove it)"),
        ("name: a\n    engine: '\u2003ONNX'", "the engine ONNX starts or ends with a space of another kind, U+2003"),
        ("name: a\xa0\n    engine: ONNX", "starts or ends with a no-break space, U+00A0 (remove the space)"),
        ("name: ' a'\n    engine: ONNX", "starts or ends with a space (remove the space)"),
    ],
)
def test_an_odd_space_at_an_end_is_named(folder, line, said):
    folder.model("a.onnx")
    assert said in error_of(folder.manifest(f"version: 1\nmodels:\n  - {line}\n    file: a.onnx\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "base: &base {engine: ONNX}",
            "1:1: the manifest has no key 'base' (name it x-base: keys that begin with x- are yours)",
        ),
        ("base:\n  engine: &e ONNX", "1:1: the manifest has no key 'base' (known keys: "),
        ("models: [{name: a, <<: *base}]", "1:24: an alias without its anchor (define `&base` above it first)"),
        ("models: [{name: a, <<: [*base]}]", "1:25: an alias without its anchor (define `&base` above it first)"),
        ("models: [{name: *a}]", '(quote text that starts with "*", or define `&a` above it first)'),
        ("models: [{name: *.onnx}]", '(quote text that starts with "*"'),
    ],
)
def test_what_an_anchor_lacks_is_told(folder, text, said):
    assert said in error_of(folder.manifest(f"{text}\nversion: 1\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("production", "server must be a mapping, but this is text (write `server: {profile: production}`)"),
        ("https://host/x", "server must be a mapping, but this is text (write `server: {url: https://host/path}`)"),
        ("s3cr3t", "server must be a mapping, but this is text (write `server: {profile: NAME}`)"),
    ],
)
def test_a_server_that_is_a_text_is_shown_as_the_mapping_it_should_be(folder, text, said):
    error = error_of(folder.manifest(f"version: 1\nserver: {text}\nmodels: []\n"))
    assert said in error
    assert "s3cr3t" not in error
