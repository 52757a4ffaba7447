"""What mmsync writes is no command to the runner that logs it, whatever is in names, texts, files and answers.

Every command and format, over hostile manifests, servers and arguments; what counts as a command is decided by a
parser of the runner's own rules. The annotations that are meant are found again, each where it should be.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import subprocess
import sys

import pytest
from hypothesis import example, given, settings, strategies as st

from mmsync.cli.output import harmless_streams, write_command
from mmsync.printable import harmless
from support.applying import json_bytes
from support.commands import MMSYNC
from support.fault_proxy import FaultProxy, rewritten, status
from support.runner import MARK, NAMES, SPACES, Command, commands

KINDS = [f"::error title=x::{MARK}", f"##[set-env name=A;]{MARK}", "##[error]x", f"::stop-commands::{MARK}"]
TEXTS = [
    *(f"{space}::set-output name=a::b" for space in SPACES),
    *(f"{space}##[add-path]/tmp" for space in "\u2003\r\n "),
    *KINDS,
    *(f"a\n{kind}" for kind in KINDS),
    *(f"a\r{kind}" for kind in KINDS),
    *(f"{'word ' * count}\u2003::warning::wrapped" for count in range(10, 22)),
    *(f"{'x' * count} \u3000{KINDS[0]}" for count in range(70, 100, 3)),
    "##vso[task.setvariable variable=a]b",
    f"a ##[group]b ##[{MARK}]",
]
NAMES_OF_MODELS = [text for text in TEXTS if "/" not in text]


# --- the parser and the escape ------------------------------------------------------------------------------------


def test_the_parser_reads_both_forms_as_the_runner_does():
    assert commands(
        "a ::error::b\n\u2003::ERROR file=a::b::c\r##[x]\r\nfoo ##[set-env name=A;]B ##[error]C\n::no::"
    ) == [
        Command("ERROR", "file=a", "b::c"),
        Command("set-env", "name=A;", "B ##[error]C"),
    ]
    assert len(commands("".join(f"{space}::debug::{space}x\n" for space in SPACES))) == len(SPACES)


PIECES = st.sampled_from(
    [*SPACES, ":", "::", "#", "##", "[", "##[", "]", "v", "vso", "\\", '"', *sorted(NAMES), "a", " "]
)


@given(st.lists(PIECES).map("".join))
@example(" ::error::x")
@settings(max_examples=400, deadline=None)
def test_no_text_is_a_command_once_it_was_escaped(text):
    assert commands(harmless(text)) == []
    assert harmless(harmless(text)) == harmless(text)


@given(st.recursive(st.lists(PIECES).map("".join), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
@settings(max_examples=200, deadline=None)
def test_a_json_document_keeps_its_value(value):
    for indent, is_ascii in ((None, True), (2, True), (2, False)):
        text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
        assert json.loads(harmless(text)) == value


@given(st.lists(st.lists(PIECES, max_size=4).map("".join)))
@settings(max_examples=400, deadline=None)
def test_no_command_comes_together_out_of_pieces(pieces):
    out, err = io.StringIO(newline=""), io.StringIO(newline="")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), harmless_streams():
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stderr.writelines([piece])
    assert out.getvalue() == err.getvalue()
    assert commands(out.getvalue()) == []
    assert "##[" not in out.getvalue()


def test_the_escape_takes_time_in_proportion_to_the_text():
    """Steps of a linear pattern: a text of white space, colons or marks is looked at once."""
    for unit in (" ", "\u2003", ":", "#", "\n", " :", "##v", "\r "):
        assert len(harmless(unit * 400_000)) >= 400_000 * len(unit)


def test_a_command_that_is_meant_passes_whole_and_alone(capsys):
    with harmless_streams():
        write_command(f"::error file=a,title=b::see ##[error] and :: {MARK}")
    out, err = capsys.readouterr()
    assert out == ""
    assert [command.name for command in commands(err)] == ["error"]
    assert "##[" not in err


# --- every command and format -------------------------------------------------------------------------------------


@pytest.fixture
def ci(desk, tmp_path, monkeypatch):
    """A desk inside a step."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    return desk


def hostile_server(desk):
    """Put models with hostile names and descriptions on the server."""
    for number, text in enumerate(NAMES_OF_MODELS):
        desk.view.put(text, json_bytes(number), description=TEXTS[-1 - number % len(TEXTS)])


def hostile_manifest(desk, *, faulty=False):
    """Write a manifest whose names, descriptions, files and engines are hostile as far as a manifest may be."""
    models = []
    for number, text in enumerate(TEXTS):
        name = "".join(char for char in text.replace("/", "") if char.isprintable()).strip()
        file = f"dir {number}/{name}.json"
        desk.file(file, json_bytes(number))
        engine = text.replace("\n", "") if faulty and number % 2 else "BIGML"
        models.append({"name": f"{name}{number}", "engine": engine, "file": file, "description": text})
        if faulty and number % 3 == 0:
            models[-1][f"::error::{number}"] = text
    desk.file("models.yaml", json.dumps({"version": 1, "scope": ["*"], "models": models}).encode())
    return models


def check(ran, *, meant=()):
    assert "Traceback" not in ran.err
    assert commands(ran.out) == []
    assert "##[" not in ran.out + ran.err
    assert {command.name for command in commands(ran.err)} <= set(meant)


READING = [
    ["plan"],
    ["plan", "--all"],
    ["plan", "--format", "json", "--all"],
    ["plan", "--format", "markdown"],
    ["plan", "--format", "html", "--all"],
    ["plan", "--prune", "--max-delete", "1000", "--max-delete-percent", "100"],
    ["plan", "--prune"],
    ["list"],
    ["list", "--format", "json"],
    ["pull", "--all", "--to", "out"],
    ["pull", "--all", "--to", "out", "--format", "json"],
    ["pull", "::error::x", "##[error]x", "--to", "out"],
    ["import", "--to", "out"],
    ["validate"],
    ["validate", "--format", "json"],
    ["schema"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
@pytest.mark.parametrize("columns", ["40", "100"])
def test_hostile_names_and_texts(words, columns, ci, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    hostile_server(ci)
    models = hostile_manifest(ci)
    ran = ci(*words)
    check(
        ran,
        meant=["error", "warning", "notice"]
        if words in (["plan", "--prune"], ["import", "--to", "out"])
        else ["warning"],
    )
    assert ran.code == (1 if "::error::x" in words or words == ["plan", "--prune"] else 0), ran.err
    if words[-2:] == ["--format", "json"] or words[:3] == ["plan", "--format", "json"]:
        document = json.loads(ran.out)
        if words[0] == "plan":
            assert {change["name"] for change in document["changes"]} >= {model["name"] for model in models}
        if words[0] == "list":
            assert {model["name"] for model in document["models"]} >= set(NAMES_OF_MODELS)


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_hostile_names_and_texts_applied(form, ci):
    hostile_server(ci)
    models = hostile_manifest(ci)
    ran = ci("apply", "--format", form, "--prune", "--max-delete", "1000", "--max-delete-percent", "100")
    check(ran, meant=["error", "warning", "notice"])
    if form == "json":
        events = [json.loads(line) for line in ran.out.splitlines()]
        assert {event["hook"]["name"] for event in events if "hook" in event} >= {model["name"] for model in models}


@pytest.mark.parametrize(
    "words", [["validate"], ["validate", "--format", "json"], ["plan"], ["apply"], ["list"]], ids=" ".join
)
def test_hostile_faults_of_a_manifest(words, ci):
    hostile_manifest(ci, faulty=True)
    ran = ci(*words)
    check(ran, meant=["error", "warning", "notice"])
    if words[0] == "plan":
        assert len(commands(ran.err)) == 11, "ten, and the count of the others"


@pytest.mark.parametrize("text", [f"{TEXTS[6]} {TEXTS[2]}", *KINDS, *(f"no\n{kind}" for kind in KINDS)])
@pytest.mark.parametrize(
    "words", [["plan"], ["apply"], ["list"], ["pull", "--all"], ["import", "--to", "out"]], ids=" ".join
)
def test_hostile_errors_of_a_server(words, text, ci):
    ci.file("a.json", json_bytes(1))
    ci.manifest("a BIGML a.json")
    with FaultProxy(ci.url) as proxy:
        ci.environment.setenv("MMSYNC_URL", proxy.url)
        proxy.on("list", status(403, {"code": 7, "msg": text, "cid": text}))
        ran = ci(*words)
        assert ran.code == 1
        check(ran)
        proxy.clear()
        proxy.on("save", status(500, {"code": 7, "msg": text, "cid": text}))
        proxy.on("upload", rewritten(lambda review: {**review, "valid": False, "errorDetail": text}), times=1)
        proxy.on("bytes", status(500, {"code": 7, "msg": text, "cid": text}))
        check(ci(*words), meant=["error", "warning"])


@pytest.mark.parametrize("text", [*KINDS, f"\u2003{KINDS[0]}", f"a\n{KINDS[0]}"])
def test_hostile_arguments_and_variables(text, ci):
    for words in (
        [text],
        ["plan", text],
        ["plan", "-f", text],
        ["plan", "--verify", text],
        ["plan", "--shard", text],
        ["plan", "--out", f"no/{text}"],
        ["list", "--url", text],
        *([["list", "--url", f"http://{text}"]] if text is KINDS[0] else []),  # it tries four times
        ["list", "--token", text],
        ["list", "--profile", text],
        ["list", "--token-file", text],
        ["pull", text],
        ["apply", text],
        ["apply", "--expect", text],
        ["init", text],
        ["serve", "--host", text],
        ["watch", "--once", "--settle=0.1", "-f", text],
        ["watch", "--once", "--settle=0.1", "--log-format", "json", "-f", text],
    ):
        check(ci(*words), meant=["error", "warning"])


@pytest.mark.parametrize("form", ["text", "json"])
def test_hostile_names_watched(form, ci):
    hostile_server(ci)
    models = hostile_manifest(ci)
    watch = ci.start("watch", "--once", "--settle", "0.05", "--log-format", form)
    out, err = watch.communicate(timeout=60)
    assert out == ""
    assert commands(err) == []
    assert "##[" not in err
    if form == "json":
        assert {json.loads(line).get("model") for line in err.splitlines()} >= {models[0]["name"]}


def test_a_program_of_its_own_writes_no_command_either(ci):
    """Through the real streams, in an encoding that click would otherwise write past."""
    hostile_server(ci)
    ci.environment.setenv("PYTHONIOENCODING", "ascii")
    done = subprocess.run([MMSYNC, "list"], capture_output=True, cwd=ci.folder, check=False)
    assert done.returncode == 0, done.stderr
    assert commands(done.stdout.decode() + done.stderr.decode()) == []
    assert b"##[" not in done.stdout
    done = subprocess.run(
        [MMSYNC, "plan", "\u2003::error::x ##[error]x"], capture_output=True, cwd=ci.folder, check=False
    )
    assert done.returncode == 1
    assert b"##[" not in done.stderr
    assert commands(done.stderr.decode()) == []


def test_many_random_descriptions(ci, scale):
    pieces = [*SPACES, *KINDS, "::", "##[", "error", "]", "a", "::group::", "\\", '"', "日本 "]
    chance = random.Random(5)
    texts = ["".join(chance.choices(pieces, k=chance.randrange(1, 12))) for _ in range(60 * scale)]
    for number, text in enumerate(texts):
        ci.view.put(f"m{number}", b"{}", description=text)
    ci.file("a.json", b"{}")
    ci.manifest("\n".join(f"m{number} BIGML a.json  description: new" for number in range(len(texts))))
    for words in (
        ["plan"],
        ["plan", "--format", "json"],
        ["plan", "--format", "markdown"],
        ["list", "--format", "json"],
    ):
        check(ci(*words))
