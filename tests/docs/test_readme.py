"""What the documentation tells people to type works, and answers as it is written there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mmsync.help import TOPICS
from support import transcript

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PAGES = ["README.md", "examples/quickstart/README.md"]
LINKING = [*PAGES, "tests/benchmarks/README.md"]
PRINTED = {
    "main job": "python3 -m venv .venv && .venv/bin/pip install --quiet '.[server,onnx]' && "
    ".venv/bin/mmsync apply -f examples/quickstart/models.yaml --url local:.model-manager",
    "tests": "python3 -m venv .venv && .venv/bin/pip install --quiet -c tests/constraints.txt -e '.[dev]' && .venv/bin/pytest",
}


def printed(name):
    """The command in the block after a marker; the same rule as .ci/run reads the README by."""
    text = (ROOT / "README.md").read_text()
    [block] = re.findall(rf"^<!-- {name} -->\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return block.strip()


@pytest.fixture
def checkout():
    """What a reader has in front of them. Its path is short, as theirs is: a long one would break lines elsewhere."""
    with tempfile.TemporaryDirectory(prefix="mm") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, folder)
        yield folder


@pytest.fixture
def environment(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return transcript.environment(home, PROGRAMS) | {"PYTHONPATH": str(ROOT / "src")}


@pytest.mark.parametrize("page", PAGES)
def test_the_transcripts_are_what_happens(page, checkout, environment):
    commands = list(transcript.read((ROOT / page).read_text()))
    assert any(command.script.startswith("mmsync ") for command in commands)
    for command in commands:
        transcript.run(command, checkout, environment)


@pytest.mark.parametrize("name", PRINTED)
def test_the_two_commands_are_printed_as_continuous_integration_runs_them(name):
    assert printed(name) == PRINTED[name]


def test_the_main_job_works_once_installed_and_says_the_second_time_that_nothing_changed(checkout, environment):
    *_, apply = printed("main job").split(" && ")
    command = apply.removeprefix(".venv/bin/")
    first, second, again = (
        subprocess.run(
            ["bash", "-c", f"{command}{flag}"],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for flag in ("", " --detailed-exitcode", " --format json")
    )
    assert (first.returncode, second.returncode, again.returncode) == (0, 0, 0), first.stderr + second.stderr
    assert all(name in first.stdout for name in ("domain_dga", "login_odds", "login_profile", "login_risk"))
    assert "planned_change" not in again.stdout


@pytest.mark.parametrize("page", LINKING)
def test_what_a_page_links_to_is_there(page):
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / page).read_text())
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("done", "done\n", True),
        ("done", "gone\n", False),
        ("id …, done", "id 7, done\n", True),
        ("id …, done", "id 7,\ndone\n", False),
        ("first\n…\nlast", "first\nlast\n", True),
        ("first\n…\nlast", "first\na\nb\nlast\n", True),
        ("first\n…\nlast", "first\na\nb\n", False),
        ("", "", True),
        ("", "anything\n", False),
    ],
)
def test_an_ellipsis_stands_for_what_varies_and_nothing_else_does(expected, actual, same):
    assert transcript.matches(expected, actual) is same


def test_commands_and_their_output_are_told_apart():
    page = "text\n```console\n$ one \\\n  more\nout\n$ two\n```\n<!-- not run: needs a server -->\n```console\n$ three\n```\n"
    assert list(transcript.read(page)) == [(3, "one \\\n  more", "out"), (6, "two", "")]


def test_output_that_differs_is_told_with_its_line(tmp_path, environment):
    command = transcript.Command(12, "echo hello", "good-bye")
    with pytest.raises(AssertionError, match="line 12"):
        transcript.run(command, tmp_path, environment)


@pytest.mark.parametrize("name", ["plan", "apply", "drift"])
def test_the_first_workflow_is_the_example_and_each_as_long_as_it_says(name):
    text = (ROOT / "README.md").read_text()
    workflow = (ROOT / "examples" / "github" / f"{name}.yml").read_text()
    if name == "plan":
        assert f"```yaml\n{workflow}```\n" in text
    counts = dict(
        zip(("plan", "apply", "drift"), re.search(r"(\d+), (\d+) and (\d+) lines", text).groups(), strict=True)
    )
    assert int(counts[name]) == len(workflow.splitlines())


def test_every_promise_of_the_threat_model_names_a_test_that_is_there():
    text = (ROOT / ".github/SECURITY.md").read_text("utf-8")
    promised = text.partition("## What is promised")[2].partition("## What is not promised")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promised)
    assert len(named) > 25
    for file, test in named:
        assert re.search(rf"^def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (file, test)
    lines = re.findall(r"^- .*?(?=^- |^\*\*|\Z)", promised, re.MULTILINE | re.DOTALL)
    assert all("::" in line for line in lines)


def test_the_map_of_the_house_names_every_room_and_no_other():
    """The first column holds each module and folder of the package, but for those that only start it."""
    text = (ROOT / "README.md").read_text().partition("## The house\n")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = re.findall(r"`([^`]+)`", " ".join(rows)) + re.findall(r"`(connection|lock|reconcile)\b", text)
    package = ROOT / "src" / "mmsync"
    rooms = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").is_file()}
    rooms |= {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    assert set(told) == rooms
    assert len(text.splitlines()) <= 40


def test_the_places_that_the_map_names_are_there():
    text = (ROOT / "README.md").read_text().partition("## The house\n")[2]
    for place in re.findall(r"`(\w+/\w+\.\w+|\w+\.py)`", text):
        assert any((ROOT / folder / place).is_file() for folder in ("src/mmsync", "tests/benchmarks")), place


def test_every_topic_of_help_is_linked():
    text = (ROOT / "README.md").read_text()
    assert {topic for topic in TOPICS if f"](src/mmsync/help/{topic}.md)" not in text} == set()
