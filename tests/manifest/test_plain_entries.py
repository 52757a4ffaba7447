"""What is read without the parser is what the parser would have read, to the column of every error."""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from mmsync.errors import ManifestError
from mmsync.manifest import read_manifest, sections, yaml_loader
from mmsync.manifest.plain_entries import ENTRY, set_aside

HEAD = "version: 1\nmodels:\n"


def entry(number: int, **fields: str) -> str:
    values = {"name": f"m_{number}", "engine": "ONNX", "file": f"m_{number}.onnx", **fields}
    lines = [f"{key}: {value}\n" for key, value in values.items()]
    return "  - " + "    ".join(lines)


def told(path, *, aside: bool, pure: bool = False, **options):
    """Everything a manifest says, with what can be set aside set aside or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "_MANY_BYTES", 0 if aside else 2**40)
        if pure:
            patch.setattr(yaml_loader, "loader_class", partial(yaml_loader.loader_class, pure=True))
        try:
            found = read_manifest([str(path)], **{"check_files": False, **options})
        except ManifestError as error:
            return error.diagnostics
        return found.models, found.warnings, found.scope


def assert_same(path, text: str | bytes, **options) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    whole = told(path, aside=False, **options)
    assert told(path, aside=True, **options) == whole


def aside_in(text: str) -> list[str]:
    """The names of the entries that are set aside."""
    return [entry.fields["name"] for row in set_aside(text)[1] for entry in row.entries]


def test_all_but_the_ends_of_a_row_are_set_aside_and_leave_empty_lines():
    text = HEAD + "".join(entry(number, description="of the fleet") for number in range(5)) + "scope: [m_*]\n"
    rest, (row,) = set_aside(text)
    assert [each.fields["name"] for each in row.entries] == ["m_1", "m_2", "m_3"]
    assert [each.line for each in row.entries] == [6, 10, 14]
    assert (row.before, row.after, row.column) == (2, 18, 4)
    assert rest == HEAD + entry(0, description="of the fleet") + "\n" * 12 + entry(4, description="of the fleet") + (
        "scope: [m_*]\n"
    )


def test_a_long_manifest_is_read_so_and_a_short_one_as_a_whole(folder, monkeypatch):
    composed = []
    compose = sections.compose
    monkeypatch.setattr(
        sections, "compose", lambda data, *args, **nodes: composed.append(data) or compose(data, *args, **nodes)
    )
    for count, lines in ((40, 2 + 3 * 40), (1000, 2 + 3 * 2)):
        text = HEAD + "".join(map(entry, range(count)))
        assert len(read_manifest([folder.manifest(text)], check_files=False).models) == count
        data = composed.pop()
        assert (data.count(b"\n"), sum(map(bool, data.split(b"\n"))), composed) == (2 + 3 * count, lines, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "a 1:2 ratio, 50 % of a#b (c) [d] {e} & *f! | > @ `"},
        {"description": '"in quotes: # and all, é \U0001f600"'},
        {"description": "'in these: \" # \\ and all'"},
        {"description": '""'},
        {"description": "naïve 日本"},
        {"name": '"yes"'},
        {"name": "'1e3'"},
        {"name": "on.premises"},
        {"file": "/models/./a b/x.onnx"},
        {"sha256": "a" * 64},
        {"engine": "'H2O'", "file": '"a.zip"'},
        {"engine": "MLSTATS", "file": "any.thing"},
    ],
    ids=str,
)
def test_what_can_be_read_in_one_way_only_is_set_aside(fields, tmp_path):
    odd = entry(3, **fields)
    text = HEAD + "".join([entry(1), entry(2), odd, entry(4), entry(5)])
    assert len(aside_in(text)) == 3
    for ends in ("\n", "\r\n"):
        assert_same(tmp_path / "models.yaml", text.replace("\n", ends))
        assert_same(tmp_path / "models.yaml", text.replace("\n", ends), pure=True)


@pytest.mark.parametrize(
    "odd",
    [
        entry(3, description="yes"),
        entry(3, description="1_000"),
        entry(3, description="1e3"),
        entry(3, description="0o17"),
        entry(3, description="2024-01-01"),
        entry(3, description=".inf"),
        entry(3, description="~"),
        entry(3, description="null"),
        entry(3, description="="),
        entry(3, description="a: b"),
        entry(3, description="a:"),
        entry(3, description="a #b"),
        entry(3, description="a # b: c"),
        entry(3, description="- a"),
        entry(3, description="*a"),
        entry(3, description="&a b"),
        entry(3, description="!a b"),
        entry(3, description="!!str 5"),
        entry(3, description="[a]"),
        entry(3, description="{a: b}"),
        entry(3, description="%a"),
        entry(3, description="@a"),
        entry(3, description="`a`"),
        entry(3, description='"a\\tb"'),
        entry(3, description='"a" b'),
        entry(3, description="'it''s'"),
        entry(3, description='"two\n      lines"'),
        entry(3, description="two\n      lines"),
        entry(3, description="|\n      two\n      lines"),
        entry(3, description="a  "),
        entry(3, description="a\tb"),
        entry(3, description="a\x85b"),
        entry(3, description="a\u2028b"),
        entry(3, description="a\ufeffb"),
        entry(3, description="a\x07b"),
        entry(3, description="\ufffe"),
        entry(3, name="m_3\n    name: m_9"),
        entry(3, nam="m_9"),
        entry(3, inspect="false"),
        entry(3).replace("engine", '"engine"'),
        entry(3).replace(": m_3\n", ":  m_3\n"),
        entry(3).replace("    engine", "     engine"),
        entry(3).replace("    engine", "   engine"),
        entry(3).replace("  - ", " - "),
        entry(3).replace("  - ", "   - "),
        entry(3).replace("  - ", "- "),
        entry(3).replace("  - ", "  -  "),
        "  " + entry(3).replace("\n    ", "\n      "),
        " " + entry(3).replace("\n    ", "\n     "),
        entry(3).replace("  - ", "- ").replace("\n    ", "\n  "),
        entry(3).replace("  - ", "  - &a "),
        entry(3).replace("\n    engine", "\r    engine"),
        entry(3).replace("\n    engine", " \n    engine"),
        "  - {name: m_3, engine: ONNX, file: m_3.onnx}\n",
        "  -\n    name: m_3\n    engine: ONNX\n    file: m_3.onnx\n",
        "  - m_3\n",
        "  -\n",
        "...\n",
        "---\n",
        "\t\n",
        "  \tx\n",
        "scope: [m_*]\n",
        "  # \x07\n",
        "#\ufeff\n",
    ],
    ids=repr,
)
def test_what_is_anything_else_is_left_to_the_parser(odd, tmp_path):
    row = "".join(map(entry, range(4, 8)))
    text = HEAD + entry(1) + odd + row
    assert "m_3" not in aside_in(text)
    assert aside_in(text) == ["m_5", "m_6"]
    for each in (text, HEAD + row + odd, HEAD + row + odd + row.replace("m_", "n_")):
        assert_same(tmp_path / "models.yaml", each)
        assert_same(tmp_path / "models.yaml", each, pure=True)


ROW = "".join(map(entry, range(4)))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + entry(9, description="|") + ROW.replace("  ", "      "),
        HEAD + entry(9, description=">-") + ROW.replace("  ", "      ") + ROW,
        'version: 1\nmodels: "\n' + ROW + '"\n',
        "version: 1\nmodels: '\n" + ROW + "'\n",
        "version: 1\nmodels: |\n" + ROW,
        "version: 1\nmodels: [\n" + ROW + "]\n",
        "version: 1\nmodels: []\nmore:\n" + ROW,
        "version: 1\nmodels:\n  more:\n" + ROW,
        "version: 1\nmodels:\n  - more:\n" + ROW.replace("  -", "    -").replace("\n    ", "\n      "),
        "version: 1\ndiscover:\n" + ROW,
        "version: 1\nmodels:\n" + ROW + "models:\n" + ROW.replace("m_", "n_"),
        HEAD + ROW + "more: &a b\n",
        HEAD + "  - &a\n    name: z\n    engine: ONNX\n    file: z.onnx\n" + ROW + "  - <<: *a\n    name: y\n",
        ROW,
        ROW.replace("  - ", "- ").replace("\n    ", "\n  "),
        "- more\n" + ROW,
        "--- |\n" + ROW,
        "version: 1\n? models\n:\n" + ROW,
        "<<: {models: []}\nversion: 1\nmodels:\n" + ROW,
        "version: 1\nmodels: !!seq\n" + ROW,
        "version: 1\nmodels: !!seq {a: b}\nmore:\n" + ROW,
        "version: 1\nmodels: !!map\n" + ROW,
        "--- !!map\n" + ROW,
        "version: 1\nmodels: &a\n" + ROW,
        "version: 1\nmodels: # of these\n\n# first\n" + ROW.replace("  - ", "\n  # next\n\n  - ") + "\n\n",
        "version: 1\nmodels:\n" + ROW.replace("  - ", "- ").replace("\n    ", "\n  ") + "scope: [m_*]\n",
        "\ufeff" + HEAD + ROW,
        "%YAML 1.1\n---\n" + HEAD + ROW + "...\n",
        HEAD + ROW + '  - name: "\n',
        HEAD + ROW + "  - name: a: b\n",
        HEAD + ROW[:-1],
        HEAD + ROW[:-1] + "\x00",
        HEAD + ROW + ROW,
    ],
    ids=repr,
)
def test_where_a_row_stands_is_the_parsers_to_say(text, tmp_path):
    assert_same(tmp_path / "models.yaml", text)
    assert_same(tmp_path / "models.yaml", text, pure=True)


def test_aliases_that_repeat_too_much_are_refused_beside_what_could_be_set_aside(tmp_path):
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, after in ("ab", "bc", "cd", "de"):
        bomb += f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    assert_same(tmp_path / "models.yaml", bomb + HEAD + ROW)
    assert places(told(tmp_path / "models.yaml", aside=True)) == [(2, 8, "alias-bomb")]


def places(diagnostics) -> list[tuple[int, int, str]]:
    return [(each.source.line, each.source.column, each.code.removeprefix("manifest/")) for each in diagnostics]


def test_errors_of_what_was_set_aside_have_their_places(folder):
    odd = [
        entry(2, name='"m_1"'),
        entry(3, name="outside"),
        entry(4, file="gone.onnx", description="first"),
        entry(5, file="../m.onnx"),
        entry(6, sha256="A" * 64),
        entry(7, name="'m_\u200b'"),
        "  - description: no file\n    name: m_8\n",
        "  - file: m_1.onnx\n    engine: ONNX\n",
        entry(9, file='""'),
        entry(10, engine='""'),
    ]
    text = "version: 1\nscope: [m_*]\nmodels:\n" + "".join([entry(0), entry(1), *odd, entry(11), entry(12)])
    for name in ["../m.onnx", *(f"m_{number}.onnx" for number in range(13))]:
        folder.model(name)
    assert len(set_aside(text)[1][0].entries) == len(odd) + 2
    assert_same(folder.path / "models.yaml", text, check_files=True)
    assert places(told(folder.path / "models.yaml", aside=True, check_files=True)) == [
        (10, 11, "duplicate-name"),
        (13, 11, "outside-scope"),
        (18, 11, "file-missing"),
        (22, 11, "file-outside"),
        (26, 13, "bad-pin"),
        (27, 11, "bad-name"),
        (30, 5, "missing-key"),  # the engine
        (30, 5, "missing-key"),  # the file
        (32, 5, "missing-key"),
        (36, 11, "bad-file"),
        (38, 13, "bad-engine"),
    ]


def test_warnings_of_what_was_set_aside_have_their_places(tmp_path):
    odd = [entry(2, engine="onnx"), entry(3, engine="MUA"), entry(4, description="x", file="'m_4.zip'")]
    text = HEAD + "".join([entry(0), entry(1), *odd, entry(5), entry(6)])
    assert len(set_aside(text)[1][0].entries) == len(odd) + 2
    assert_same(tmp_path / "models.yaml", text)
    _, warnings, _ = told(tmp_path / "models.yaml", aside=True)
    assert places(warnings) == [(10, 13, "engine-case"), (14, 11, "extension"), (17, 11, "extension")]


def test_defaults_fill_in_what_is_left_out(tmp_path):
    entries = "".join(f"  - name: m_{number}\n    file: m_{number}.onnx\n" for number in range(5))
    defaults = "defaults: {engine: ONNX, description: usual, allow_signature_change: true, inspect: false}\n"
    assert_same(tmp_path / "models.yaml", f"version: 1\n{defaults}models:\n{entries}")
    assert_same(tmp_path / "models.yaml", f"version: 1\nmodels:\n{entries}")
    assert_same(tmp_path / "models.yaml", f"version: 1\ndefaults: {{engine: CATBOOST}}\nmodels:\n{entries}")


def test_what_is_set_aside_counts_as_nodes_and_takes_its_time(folder, monkeypatch):
    path = folder.manifest(HEAD + "".join(map(entry, range(1000))))
    assert len(read_manifest([path], check_files=False).models) == 1000
    with pytest.raises(ManifestError, match="takes more than 0 s"):
        read_manifest([path], check_files=False, budget=0.0)
    monkeypatch.setattr(yaml_loader, "_MAX_NODES", 6000)
    with pytest.raises(ManifestError, match="more than any could"):
        read_manifest([path], check_files=False)


def test_the_expression_never_goes_back():
    """Every repeat without an end is possessive: a line is passed once, whatever it holds."""

    def repeats(pattern):
        for kind, argument in pattern:
            name = str(kind)
            if name in ("MAX_REPEAT", "MIN_REPEAT"):
                yield argument[1]
            for part in argument if isinstance(argument, tuple) else ():
                if isinstance(part, re._parser.SubPattern):
                    yield from repeats(part)
                for branch in part if isinstance(part, list) else ():
                    yield from repeats(branch) if isinstance(branch, re._parser.SubPattern) else ()

    assert list(repeats(re._parser.parse("a+(b|c*)(?:d++)?"))) == [re._constants.MAXREPEAT] * 2 + [1]
    assert re._constants.MAXREPEAT not in list(repeats(re._parser.parse(ENTRY)))


LINES = [
    "version: 1\n",
    "models:\n",
    "scope: [m_*, n_*]\n",
    "defaults: {engine: CATBOOST}\n",
    "  - name: m_9\n",
    "    engine: H2O\n",
    "    file: m_9.zip\n",
    "    description: some text\n",
    "      that goes on\n",
    "    inspect: false\n",
    "\n",
    "  # a comment\n",
    "      # further in\n",
    "    description: |\n",
    '    description: "\n',
    '"\n',
    "    x: [\n",
    "    ]\n",
    "---\n",
    "...\n",
    "\t\n",
    "\r",
    "\x85",
    "é",
    "&a ",
    "*a",
    "- ",
    "    ",
]
values = st.one_of(
    st.sampled_from(["yes", "1", "~", "a: b", "a #b", "a:b", "a#b", '"q"', "'s'", "''", "a b", "é", "- x", "x "]),
    st.text("ab:# \"'\\", min_size=1, max_size=6),
)
plain = st.builds(
    lambda number, fields: entry(number, **fields),
    st.integers(0, 30),
    st.dictionaries(st.sampled_from(["name", "file", "description", "sha256", "engine", "other"]), values, max_size=2),
)
documents = st.lists(
    st.one_of(st.integers(0, 30).map(entry), st.integers(0, 30).map(entry), plain, st.sampled_from(LINES)), max_size=14
).map("".join)


@settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(documents, st.sampled_from(["", HEAD, "scope: [m_*]\n" + HEAD]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_whatever_a_manifest_holds_it_is_read_as_if_nothing_were_set_aside(tmp_path, text, head, pure, ends):
    assert_same(tmp_path / "models.yaml", (head + text).replace("\n", ends), pure=pure)
