"""The pages of ``mmsync help``: their examples run, and what they must name they name."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mmsync import help as pages
from mmsync.cli.errors import ExitCode
from mmsync.cli.main import cli
from mmsync.manifest import schema
from mmsync.watch.reporting import EVENTS
from support import transcript

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
FOLDER = Path(pages.__file__).parent


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="mm") as name:
        shutil.copytree(
            ROOT / "examples/quickstart",
            Path(name, "examples/quickstart"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        yield Path(name)


@pytest.fixture
def run_command(tmp_path):
    environment = transcript.environment(tmp_path, PROGRAMS) | {"PYTHONPATH": str(FOLDER.parents[1])}

    def run(*words):
        return subprocess.run(
            ["mmsync", *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture
def run_help(run_command):
    return functools.partial(run_command, "help")


def test_each_topic_has_a_page_and_each_page_a_topic():
    assert {file.stem for file in FOLDER.glob("*.md")} == set(pages.TOPICS)


# The page of environments has servers of its own, in a test of its own.
@pytest.mark.parametrize("topic", [topic for topic in pages.TOPICS if topic != "environments"])
def test_the_transcripts_of_a_page_are_what_happens(topic, folder, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = transcript.environment(home, PROGRAMS) | {"PYTHONPATH": str(FOLDER.parents[1])}
    for command in transcript.read(pages.page(topic)):
        transcript.run(command, folder, environment)


def test_every_key_of_the_schema_is_in_the_page_of_the_manifest():
    document = schema()
    named = set(document["properties"]) | set(document["$defs"]["model"]["properties"])
    named |= set(document["$defs"]["rule"]["properties"]) | set(document["properties"]["server"]["properties"])
    assert {key for key in named if f"`{key}`" not in pages.page("manifest")} == set()


def test_every_exit_code_is_in_its_page():
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", pages.page("exit-codes"), re.MULTILINE)}
    assert listed == {int(code) for code in ExitCode}


def test_every_variable_of_the_source_is_in_a_page():
    text = "".join(map(pages.page, pages.TOPICS))
    named = set()
    for file in FOLDER.parent.rglob("*.py"):
        named |= set(re.findall(r"MMSYNC_[A-Z_]*[A-Z]", file.read_text("utf-8")))
    named.discard("MMSYNC_COMPLETE")  # between a shell and its completion
    assert {name for name in named if name not in text} == set()


def test_every_event_of_watch_is_in_its_page():
    assert {event for event in EVENTS if f"| `{event}` |" not in pages.page("watch")} == set()


def test_help_names_the_near_topic_and_shows_a_commands_help(run_help):
    listed = run_help()
    assert all(topic in listed.stdout for topic in pages.TOPICS)
    assert run_help("plans").stdout == pages.page("plans")
    assert run_help("plan").stdout.startswith("Usage: mmsync plan ")
    refused = run_help("manifesto")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "did you mean manifest?" in refused.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("protect", "mmsync help manifest"),
        ("backup", "mmsync help plans"),
        ("tls", "mmsync help connecting"),
        ("zzzq", "mmsync help lists the topics"),
    ],
)
def test_help_names_the_pages_that_have_a_word(word, said, run_help):
    refused = run_help(word)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert said in refused.stderr


def test_explain_takes_a_bare_suffix_and_names_near_codes(run_command):
    assert run_command("explain", "max-delete").stdout.startswith("### `guard/max-delete`\n")
    assert "did you mean manifest/unknown-key" in run_command("explain", "unknown-keys").stderr


def options_of(command):
    return {name for param in command.params for name in getattr(param, "opts", ()) if name.startswith("--")}


# The options of `mmsync ci` are those of its commands, which test_ci_page.py looks at.
@pytest.mark.parametrize("name", [name for name in cli.list_commands(None) if name not in ("ci", "help", "explain")])
def test_every_option_of_a_command_is_in_a_page(name):
    text = "".join(map(pages.page, pages.TOPICS))
    found = options_of(cli.get_command(None, name))
    assert {option for option in found if not re.search(rf"`[^`\n]*{option}\b", text)} == set()


def test_every_type_of_apply_s_lines_is_in_the_page_of_formats():
    source = (FOLDER.parent / "report" / "json_events.py").read_text("utf-8")
    types = set(re.findall(r'type="(\w+)"', source)) | {"apply_complete", "apply_errored"}
    assert len(types) > 6
    assert {each for each in types if f"| `{each}` |" not in pages.page("formats")} == set()
