"""The documents that the page of formats shows have the shape of those that the commands write."""

from __future__ import annotations

import json
import re
import sys
import time

import pytest

from mmsync import help as pages
from support.desk import TOKEN
from support.model_files import regression_onnx

TEXT = pages.page("formats")
_DOCUMENT = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {
    section.partition("\n")[0]: json.loads(found[1])
    for section in TEXT.split("\n## ")
    if (found := _DOCUMENT.search(section))
}
ALL = {"plan", "validate", "list", "show", "check", "pull", "status", "on-change"}
# Which way a server was reached, or what a reconcile came to, names the keys of these.
OPEN = {"/origins", "/totals/reconciles"}


def differences(shown, real, place=""):
    """Where two documents differ in their keys and in the kinds of their values; null is every kind's."""
    if shown is None or real is None:
        return
    if type(shown) is not type(real):
        yield f"{place}: {shown!r} is shown, and {real!r} is real"
    elif isinstance(shown, dict):
        if place not in OPEN:
            yield from (f"{place}/{key}" for key in shown.keys() ^ real.keys())
        for key in shown.keys() & real.keys():
            yield from differences(shown[key], real[key], f"{place}/{key}")
    elif isinstance(shown, list) and shown:
        # What is shown must be seen: an empty list would hold any example.
        if not real:
            yield f"{place} is empty"
        for one in real:
            yield from differences(shown[0], one, f"{place}[]")


@pytest.fixture
def documents(desk):
    """The documents of a manifest of which one model is changed, one half copied and one not applied yet."""
    desk.file("m.onnx", regression_onnx())
    desk.manifest("m ONNX m.onnx  description: first")
    assert desk("apply").code == 0
    desk.file("half.onnx", regression_onnx()[:-20])
    desk.file("m.onnx", regression_onnx(b"\0\0\0\1"))
    desk.manifest("m ONNX m.onnx  description: second\nhalf ONNX half.onnx")

    def written(*words, code=0):
        ran = desk(*words, "--format", "json")
        assert ran.code == code, ran
        return json.loads(ran.out)

    def watched():
        hook = f"{sys.executable} -c \"open('report.json', 'a').write(input() + chr(10))\""
        words = ["--settle", "0.1", "--listen", "127.0.0.1:0", "--log-format", "json", "--on-change", hook]
        watcher = desk.start("watch", *words)
        try:
            for line in watcher.stderr:
                if (event := json.loads(line))["event"] == "listening":
                    url = event["url"]
                if event["event"] == "reconciled":
                    break
            # It is logged a moment before it is shown.
            end = time.monotonic() + 20
            while not (found := written("status", url))["history"]:
                assert time.monotonic() < end
        finally:
            watcher.terminate()
            watcher.communicate(timeout=60)
        return {"status": found, "on-change": json.loads((desk.folder / "report.json").read_text().splitlines()[-1])}

    return {
        "plan": written("plan", code=1),
        "validate": written("validate", code=1),
        "list": written("list"),
        "show": written("show", "m"),
        "check": written("check"),
        "pull": written("pull", "m", "--to", "out"),
        **watched(),
    }


def test_every_document_shown_has_the_shape_of_a_real_one(documents):
    assert set(SHOWN) == set(documents) == ALL
    found = {name: list(differences(SHOWN[name], documents[name])) for name in SHOWN}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert TOKEN not in json.dumps(documents)


@pytest.mark.parametrize(
    ("shown", "real"), [({"a": 1}, {"b": 1}), ({"a": [1]}, {"a": []}), ({"a": ["x"]}, {"a": [1]}), ("x", 1)]
)
def test_a_difference_is_found(shown, real):
    assert list(differences(shown, real))


def test_a_command_without_a_document_takes_no_format(desk):
    for command in ("add", "init", "import"):
        assert "--format" not in desk(command, "--help").out
