"""What the page of the client library shows is what a Python prompt answers."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest

from mmsync import help as pages
from mmsync.client import Client, error, retry
from mmsync.server import running

ROOT = Path(__file__).parents[2]
_PROMPT = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROFILE = re.compile(r"^```ini\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The page, with the addresses and the token of two servers of this machine in place of those it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(ROOT / "examples/quickstart", "examples/quickstart")
    text = pages.page("client")
    with (
        running("new", generation="latest", prefix="/mlmodelmanager") as new,
        running("old", generation="legacy", prefix="/mlmodelmanager", token=new.token) as old,
    ):
        for name, address in (("models", new), ("old", old)):
            text = text.replace(f"https://{name}.example.com", address.url.removesuffix("/mlmodelmanager"))
        yield re.sub(r"\bTOKEN\b", new.token, text)


def test_every_prompt_answers_as_it_is_written(served):
    [profile] = _PROFILE.findall(served)
    Path("modelmanager.ini").write_text(profile)
    session = "".join(_PROMPT.findall(served))
    told: list[str] = []
    test = doctest.DocTestParser().get_doctest(session, {}, "client", "client.md", 0)
    assert len(test.examples) > 50
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=told.append)
    assert not runner.failures, "".join(told)


def test_every_call_of_the_client_and_every_error_is_in_the_page():
    text = pages.page("client")
    calls = {name for name, value in vars(Client).items() if callable(value) and not name.startswith("_")}
    assert {name for name in calls if f"client.{name}(" not in text} == set()
    assert {name for name in error.__all__ if f"`{name}`" not in text} == set()


def test_the_statuses_that_are_waited_out_are_those_of_the_page():
    for status in error._TRANSIENT:
        assert str(status) in pages.page("client").partition("## Retries")[2]
    assert retry.RetryPolicy().attempts == 5
