"""The command as a process and as an error boundary: streams, signals, imports, faults of its own, secrets."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.applying import json_bytes
from support.commands import MMSYNC
from support.desk import TOKEN
from support.fault_proxy import FaultProxy, html, status

# What a command that reads nothing must not wait for.
HEAVY = ["requests", "urllib3", "jinja2", "rich", "yaml", "watchdog", "sqlite3", "starlette", "uvicorn", "onnx"]


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["plan", "--help"],
        ["apply", "-h"],
        ["init", "--help"],
        ["list", "--help"],
        ["check", "--help"],
        [],
    ],
    ids=" ".join,
)
def test_help_and_version_load_nothing_heavy(words, tmp_path):
    program = (
        "import sys\nfrom mmsync.cli.main import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    assert done.stdout.endswith("loaded: []\n")
    assert "mmsync" in done.stdout + done.stderr


# What a plan with nothing to do has no use for: it applies nothing, discovers nothing, and shows plain text.
UNUSED = [
    *("rich", "watchdog", "starlette", "uvicorn", "onnx", "configparser", "difflib", "truststore"),
    *("mmsync.apply.executor", "mmsync.client.profile", "mmsync.manifest.discovery", "mmsync.manifest.discover_rules"),
    *("mmsync.report.github", "mmsync.report.markdown", "mmsync.report.outcome_text", "mmsync.server", "mmsync.watch"),
    *("jinja2", "mmsync.html", "mmsync.report.html", "mmsync.report.text_diff"),
]


def test_a_plan_loads_only_what_it_uses(one):
    assert one("apply").code == 0
    program = (
        "import sys\nfrom mmsync.cli.main import main\n"
        "try: main(['plan'])\nexcept SystemExit: pass\n"
        f"print('loaded:', [name for name in {UNUSED!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=one.folder
    )
    assert "No changes." in done.stdout
    assert done.stdout.endswith("loaded: []\n")


def test_the_collector_is_left_as_it_was_however_a_plan_ends(one, monkeypatch):
    import mmsync.cli.session

    make_plan, during, before = mmsync.cli.session.make_plan, [], gc.get_threshold()
    monkeypatch.setattr(
        mmsync.cli.session,
        "make_plan",
        lambda *args, **more: during.append(gc.get_threshold()) or make_plan(*args, **more),
    )
    assert one("plan").code == 0
    assert gc.get_threshold() == before
    assert during[0][0] > before[0]
    broken(monkeypatch)
    assert one("plan").code == 1
    assert gc.get_threshold() == before


def test_no_command_shows_the_help_and_fails(desk):
    ran = desk()
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Usage: mmsync [OPTIONS] COMMAND [ARGS]...\n")
    assert "\n  plan        Show what apply would change; write nothing.\n" in ran.err
    assert ran.err.endswith("\nError: no command is given\n")


def test_a_misspelt_command_is_guessed(desk):
    ran = desk("aply")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "Error: no such command: aply (did you mean apply?)\nTry 'mmsync --help'.\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [("Plan", "did you mean plan?"), ("APPLY", "did you mean apply?"), ("Destroy", "mmsync apply --prune")],
)
def test_a_command_in_another_case_is_guessed(word, said, desk):
    ran = desk(word)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["apply", "--foo", "--force"], None),
        (["apply", "--foo", "--delete"], None),
        (["apply", "--force", "--foo"], "apply replaces what differs by itself"),
        (["apply", "-y", "-auto-approve"], "--yes (-y) applies without asking"),
        (["apply", "--auto-approve"], "--yes (-y) applies without asking"),
        (["apply", "--json"], "--format json"),
        (["apply", "-target=a"], "did you mean --target?"),
        (["apply", "-nonsense"], None),
    ],
)
def test_what_is_said_is_of_the_option_that_is_refused(words, hint, desk):
    ran = desk(*words)
    assert ran.code == 1
    first, *more, last = ran.err.splitlines()
    assert first.startswith("Error: No such option ")
    assert not hint or "Did you mean" not in first
    assert last == "Try 'mmsync apply --help'."
    assert more[0].strip().startswith(hint) if hint else not more, ran.err


@pytest.mark.parametrize(
    ("words", "first", "hint"),
    [
        (["plan", "models.yaml"], "Got unexpected extra argument (models.yaml)", "manifests are named with -f"),
        (["schema", "models.yaml"], "Got unexpected extra argument (models.yaml)", "Try "),
        (["--quiet", "plan"], "No such option '--quiet'.", "it stands behind the command: mmsync plan --quiet"),
        (["--nonsense", "plan"], "No such option '--nonsense'.", "Try "),
        (["plan", "--max-delete", "some"], "'some' is not a whole number.", "Try "),
        (["plan", "--max-delete", "-1"], "-1 is less than 0, the least it may be.", "Try "),
        (["plan", "--jobs", "0"], "0 is not in the range from 1 to 256.", "Try "),
        (["plan", "--timeout", "soon"], "'soon' is not a number.", "Try "),
        (["plan", "--timeout", "0"], "0.0 is not more than 0, as it must be.", "Try "),
        (["watch", "--on-change", ""], "--on-change: the command is empty", "name a program"),
    ],
    ids=str,
)
def test_a_command_line_that_is_not_understood_says_what_to_do(words, first, hint, desk):
    ran = desk(*words)
    assert (ran.code, ran.out) == (1, "")
    said, then, *_ = ran.err.splitlines()
    assert first in said
    assert then.strip().startswith(hint)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("ftp://host", "it looks like https://"),
        ("host:8080", "https:// is missing"),
        ("http://", "it looks like https://"),
        ("http://[::1", "it looks like https://"),
        ("${SERVER}", "variables are not filled in"),
        ("LOCAL:.models", "local: is written in lower case"),
    ],
)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_what_is_no_address_is_said_before_a_token_is_asked_for(url, hint, token, one):
    one.environment.setenv("MMSYNC_TOKEN", token) if token else one.environment.delenv("MMSYNC_TOKEN")
    one.environment.setenv("MMSYNC_URL", url)
    ran = one("plan")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: MMSYNC_URL: Invalid url: '{url}'\n  {hint}")


# --- streams ----------------------------------------------------------------------------------------------------


def bash(desk, script):
    """Run a line of shell in the desk's folder; ``mmsync`` is the one under test."""
    # PYTHONUNBUFFERED, which container images set, would have a write cut short by the reader's leaving pass for whole.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {"PATH": f"{Path(MMSYNC).parent}:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=desk.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def one(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json")
    return desk


def test_a_reader_that_leaves_is_no_fault(one):
    one.manifest("\n".join(f"m{n} BIGML a.json" for n in range(400)))  # more than a pipe holds
    done = bash(one, "mmsync plan --format json | head -1; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("{\n1\n", "")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("mmsync plan >/dev/full", "cannot write to standard output: No space left on device"),
        ("mmsync plan --format json >/dev/full", "cannot write to standard output: No space left on device"),
        ("mmsync apply >/dev/full", "cannot write to standard output: No space left on device"),
        ("mmsync --help >/dev/full", "No space left on device"),
        ("mmsync plan >&-", "cannot write to standard output: Bad file descriptor"),
        ("mmsync apply --format json >&-", "cannot write to standard output: Bad file descriptor"),
        ("mmsync --version >&-", "Bad file descriptor"),
    ],
)
def test_an_answer_that_cannot_be_written_is_an_error_and_nothing_is_applied(script, reason, one):
    done = bash(one, script)
    assert (done.returncode, done.stderr) == (1, f"Error: {reason}\n")
    assert one.view.names() == []


def test_a_plan_needs_neither_stdin_nor_stderr(one):
    done = bash(one, "mmsync plan <&- 2>&-")
    assert done.returncode == 0
    assert "1 to add" in done.stdout
    assert bash(one, "mmsync apply <&- 2>/dev/full").returncode == 0
    assert one.view.names() == ["a"]
    assert bash(one, "mmsync plan -f nope <&- 2>&-").returncode == 1
    assert bash(one, "mmsync plan -f nope 2>/dev/full").returncode == 1


def test_a_terminal_without_unicode_gets_escapes(one):
    one.manifest("modèle-日本 BIGML a.json")
    done = bash(one, "env -u PYTHONUTF8 LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 mmsync plan")
    assert done.returncode == 0
    assert "+ mod\\xe8le-\\u65e5\\u672c  BIGML" in done.stdout


def test_out_never_replaces_a_device(one):
    done = bash(one, "mmsync plan --out /dev/stdout --quiet | head -c 1; mmsync plan --out /dev/full")
    assert done.stdout == "{"
    assert done.stderr.startswith("Error: cannot save the plan to /dev/full: No space left on device\n")
    assert Path("/dev/full").is_char_device()


# --- faults of its own ------------------------------------------------------------------------------------------


def broken(monkeypatch):
    def make_plan(*_, **__):
        raise RuntimeError("the moon is in the wrong house")

    import mmsync.cli.session

    monkeypatch.setattr(mmsync.cli.session, "make_plan", make_plan)


def test_a_fault_of_its_own_is_one_sentence_and_a_trace_to_report(one, monkeypatch):
    broken(monkeypatch)
    ran = one("plan")
    log = Path(os.environ["MMSYNC_CACHE_DIR"]) / "last-error.log"
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"Error: internal error of mmsync (RuntimeError: the moon is in the wrong house); the trace is in {log}\n"
    )
    assert "RuntimeError: the moon is in the wrong house" in log.read_text()
    monkeypatch.setenv("MMSYNC_DEBUG", "1")
    assert "Traceback" in one("plan").err


def test_a_fault_of_its_own_is_said_where_no_trace_can_be_kept(one, monkeypatch, tmp_path):
    broken(monkeypatch)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MMSYNC_CACHE_DIR", str(tmp_path / "file"))
    ran = one("plan")
    assert ran.code == 1
    assert ran.err.endswith("(RuntimeError: the moon is in the wrong house)\n")


# --- secrets ----------------------------------------------------------------------------------------------------

COMMANDS = [
    ["plan"],
    ["plan", "--format", "json", "--all", "--out", "plan.json"],
    ["plan", "--format", "markdown"],
    ["plan", "--format", "html", "--all"],
    ["validate"],
    ["list"],
    ["list", "--format", "json"],
    ["apply", "--format", "json"],
    ["apply", "plan.json"],
    ["apply", "--format", "markdown", "--verify", "always"],
    ["show", "a"],
    ["show", "a", "--format", "json"],
    ["show", "nope"],
    ["check"],
    ["pull", "a", "--to", "pulled"],
    ["import", "--to", "imported"],
    ["plan", "-f", "nope.yaml"],
    ["plan", "--url", "http://127.0.0.1:1", "--timeout", "1"],
    ["plan", "--jobs", "none"],
    ["plan", "--domain", "self"],
    ["watch", "--once", "--settle=0.1"],
    ["serve", "--port", "none"],
]


def given_as(way, desk, monkeypatch):
    """Hand the token over in one way; return the words to add to a command."""
    monkeypatch.delenv("MMSYNC_TOKEN")
    match way:
        case "flag":
            return ["--token", TOKEN]
        case "environment":
            monkeypatch.setenv("MMSYNC_TOKEN", TOKEN)
        case "file":
            monkeypatch.setenv("MMSYNC_TOKEN_FILE", "token.txt")
            desk.file("token.txt", f"{TOKEN}\n".encode())
        case "profile":
            monkeypatch.delenv("MMSYNC_URL")
            monkeypatch.setenv("MMSYNC_PROFILE", "production")
            desk.profile("production", TOKEN)
    return []


def takes_a_server(words):
    return words[0] != "validate"


@pytest.mark.parametrize("way", ["flag", "environment", "file", "profile"])
def test_the_token_is_in_no_output_and_no_file(way, one, monkeypatch, tmp_path):
    added = given_as(way, one, monkeypatch)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    written = []
    codes = set()
    for words in COMMANDS:
        own = ["--url", one.url] if words[0] == "pull" and way != "profile" else []
        ran = one(*words, *own, *(added if takes_a_server(words) else []))
        written.append(ran.out + ran.err)
        codes.add(ran.code)
    with FaultProxy(one.url) as proxy:
        if way != "profile":
            monkeypatch.setenv("MMSYNC_URL", proxy.url)
            for fault in (html(), status(403, {"code": 5, "msg": TOKEN_ECHO}), status(500, {"msg": "boom"})):
                proxy.clear()
                proxy.on("any", fault)
                ran = one("plan", *added)
                written.append(ran.out + ran.err)
            monkeypatch.setenv("MMSYNC_URL", one.url)
    broken(monkeypatch)
    monkeypatch.setenv("MMSYNC_DEBUG", "1")
    ran = one("plan", *added)
    written.append(ran.out + ran.err)
    assert codes == {0, 1}
    assert "Traceback" in written[-1]
    assert not [text for text in written if TOKEN in text]
    kept = [Path(os.environ["MMSYNC_CACHE_DIR"]), one.folder, tmp_path]
    files = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"ledger.sqlite", "last-error.log", "plan.json", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"} <= names
    holding = {path.name for path in files if TOKEN.encode() in path.read_bytes()}
    assert holding <= {"token.txt", "modelmanager.ini"}


TOKEN_ECHO = "no such token"


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "--token", f"{TOKEN} and more é"],
        ["plan", "--token", f"{TOKEN}\nx"],
        ["plan", "--token", TOKEN, "--token-file", TOKEN],
        ["apply", "--token", TOKEN, "--no-such-option"],
    ],
)
def test_a_malformed_token_is_not_repeated(words, one):
    ran = one(*words)
    assert ran.code == 1
    assert TOKEN not in ran.out + ran.err
    assert re.match("Error: .+\n", ran.err)


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["plan"], ["validate"]], ids=" ".join)
def test_a_model_file_is_opened_once_and_not_again_once_it_is_known(desk, command):
    known = {"a.json": json_bytes("a"), "b.json": json_bytes("b")}
    lines = []
    for name, data in known.items():
        path = desk.file(name, data)
        os.utime(path, ns=(0, 0))
        lines.append(f"{name[0]} BIGML {name}  sha256: '{hashlib.sha256(data).hexdigest()}'")
    desk.manifest("\n".join(lines))
    program = f"""
import os, sys, time
from mmsync.cli.main import main
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" and isinstance(args[0], str) else None)
time.time_ns = lambda now=time.time_ns: now() + 10**10  # no file is too fresh to be remembered
try: main({command!r})
except SystemExit as end: print("exit", end.code)
print([path for path in opened if path.endswith(".json")])
"""

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, cwd=desk.folder
        )
        return done.stdout.splitlines()[-2:]

    assert run() == ["exit 0", "['a.json', 'b.json']"]
    # Without a ledger of what fits its engine, a validation looks into each file all the same.
    assert run() == ["exit 0", "[]" if command == ["plan"] else "['a.json', 'b.json']"]
