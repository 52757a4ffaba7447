from __future__ import annotations

import re

import pytest
import yaml

from mmsync.manifest import schema
from mmsync.manifest.indentation import TOP_KEYS
from mmsync.manifest.syntax_errors import explained
from mmsync.manifest.yaml_loader import Budget, Page, loader_class

TOP = "version: 1\nmodels:\n"


def said_of(text: str, *, pure: bool = False) -> str:
    with pytest.raises(yaml.YAMLError) as caught:
        loader_class(pure=pure)(text.encode()).get_single_node()
    source, _code, summary, hint = explained(Page("m", Budget(None), confined=False), caught.value, text).args
    return f"{source.line}:{source.column}: {summary} ({hint})"


FURTHER = "is indented further than the key above it"
LESS = "is indented less than the keys above it"
ITEM = "the item is not in line with those above it"
DEEP = "the item is indented further than its keys below it"
NO_COLON = "a line without its `: `"


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\n models:\n  - name: a\n", f"2:2: `models` {FURTHER} (line it up with `version` (line 1))"),
        (f"{TOP}  - name: a\n      engine: X\n", f"4:7: `engine` {FURTHER} (line it up with `name` (line 3))"),
        (
            f"{TOP}  - name: a\n    description: |\n      b: c\n\n      d\n    file: a\n      engine: X\n",
            f"9:7: `engine` {FURTHER} (line it up with `file` (line 8))",
        ),
        (
            "version: 1\nscope: [a,\n  b]\ndefaults:\n  engine: X\n    protect: true\n",
            f"6:5: `protect` {FURTHER} (line it up with `engine` (line 5))",
        ),
        (
            f"{TOP}  - name: a\n    description: long\n      text\n      note: x\n",
            f'6:7: `note` {FURTHER} (line it up with `description` (line 4), or put text that holds ": " in quotes)',
        ),
        (
            f"{TOP}  - name: a   # x: y\n      engine: X\n",
            f"4:7: `engine` {FURTHER} (line it up with `name` (line 3))",
        ),
        (f"{TOP}  - name: a\n   engine: X\n    file: a\n", f"4:4: `engine` {LESS} (line it up with `name` (line 3))"),
        (f"{TOP}  - name: a\n    engine: X\n  file: a\n", f"5:3: `file` {LESS} (line it up with `name` (line 3))"),
        (f"{TOP}  - name: a\n    engine: X\n file: a\n", f"5:2: `file` {LESS} (line it up with `name` (line 3))"),
        (
            f"{TOP}  - name: a\n    engine: X\n scope: [a]\n",
            "5:2: `scope` is indented (line it up with `models` (line 2))",
        ),
        (
            f"{TOP}  - name: a\n    file: a\n  name: b\n    file: b\n",
            "5:3: `name` is there already, and begins no item (begin the item with `- `)",
        ),
        (
            f"{TOP}    - name: a\n    engine: X\n    file: a\n",
            f"3:5: {DEEP} (put its `-` two columns left of `engine` (line 4))",
        ),
        (
            f"{TOP}      - name: a\n    engine: X\n    file: a\n",
            f"3:7: {DEEP} (put its `-` two columns left of `engine` (line 4))",
        ),
        (
            f"{TOP}  - name: b\n    file: b\n    - name: a\n      file: a\n",
            f"5:5: {ITEM} (line its `-` up with that of line 3)",
        ),
        (
            f"{TOP}  - name: b\n    file: b\n      - name: a\n        file: a\n",
            f"5:7: {ITEM} (line its `-` up with that of line 3)",
        ),
        (
            f"{TOP}  - name: b\n    file: b\n - name: a\n   file: a\n",
            f"5:2: {ITEM} (line its `-` up with that of line 3)",
        ),
        (
            "  version: 1\nmodels: []\n",
            "1:3: `version` is indented, and the keys below it are not (line it up with `models` (line 2))",
        ),
        (
            "version: 1\nmodels: x\n  - name: a\n",
            "3:3: a list under `models`, which has a value already (remove the value of `models` (line 2))",
        ),
        ("version 1\nmodels:\n  - name: a\n", f"1:1: {NO_COLON} (write `version: 1`)"),
        ("version: 1\nmodels\n  - name: a\n", f"2:1: {NO_COLON} (write `models:`)"),
        (
            f"{TOP}  - name:a\n    engine: X\n",
            f"3:5: {NO_COLON} (put a space behind the colon: `name: a`)",
        ),
        (
            f"{TOP}  - name: a\n    engine:X\n",
            f"4:5: {NO_COLON} (put a space behind the colon: `engine: X`)",
        ),
        ("just words\nmodels: []\n", f"1:1: {NO_COLON} (write `just: …`)"),
        (f"{TOP}  -name: a\n   file: a\n", "3:3: a `-` without the space behind it (write `- name`)"),
        (
            f"{TOP}  - name: a\n    file: a\n  -name: b\n   file: b\n",
            "5:3: a `-` without the space behind it (write `- name`)",
        ),
    ],
)
def test_a_line_that_does_not_line_up_is_named_with_what_to_line_it_up_with(text, said, pure):
    assert said_of(text, pure=pure) == said


@pytest.mark.parametrize("key", ["description: fraud", "name: fraud", '"name": fraud'])
def test_quotes_are_advised_where_the_colon_is_within_a_value(key):
    assert said_of(f"{TOP}  - {key}: v2\n").endswith('a `:` where none can be (put text that holds ": " in quotes)')


@pytest.mark.parametrize(
    "text",
    [
        "server:\n  token:s3cret\n  url: x\n",
        "server:\n  token s3cret\n  url: x\n",
        "server:\n  url: x\n    s3cret: x\n",
        "server:\n  url: x\n s3cret: x\n",
        "server:\n  s3cret: x\n    url: x\n",
    ],
)
def test_what_may_be_a_secret_is_not_repeated(text):
    assert "s3cret" not in said_of(text)


def test_the_keys_of_a_manifest_are_those_of_the_schema():
    assert sorted(TOP_KEYS) == sorted(schema()["properties"])


@pytest.mark.parametrize("unit", [" - a\n", "  a: b\n", "a\n", "- " * 40 + "\n", "'\n", "a: |\n"])
@pytest.mark.parametrize("last", ["  x: y: z\n", " - x\n", "   k: v\n", "k:v\n", "-\n", "]\n"])
def test_whatever_is_above_an_error_it_is_explained(unit, last):
    text = f'a: b\n{unit * 3000}{last}\n"'
    assert re.match(r"\d+:\d+: \S", said_of(text))
