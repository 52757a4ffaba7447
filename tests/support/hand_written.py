"""Manifests as people write them: a name for each way of writing, and its text."""

from __future__ import annotations

HEAD = "version: 1\n"
A = "  - name: a\n    engine: ONNX\n    file: a.onnx\n"
B = "  - name: b\n    engine: CATBOOST\n    file: b.cbm\n"

BLOCK = {
    "plain": f"{HEAD}models:\n{A}",
    "two": f"{HEAD}models:\n{A}{B}",
    "blank line between": f"{HEAD}\nmodels:\n{A}\n{B}",
    "two blank lines between": f"{HEAD}\n\nmodels:\n\n{A}\n\n{B}\n\n",
    "no final newline": f"{HEAD}models:\n{A}".rstrip(),
    "blank lines at the end": f"{HEAD}models:\n{A}\n\n\n",
    "spaces at the end of lines": "version: 1  \nmodels:   \n  - name: a   \n    engine: ONNX \n    file: a.onnx  \n   \n",
    "indentless": f"{HEAD}models:\n- name: a\n  engine: ONNX\n  file: a.onnx\n",
    "four spaces": f"{HEAD}models:\n    -   name: a\n        engine: ONNX\n        file: a.onnx\n",
    "dash far from the key": f"{HEAD}models:\n-     name: a\n      engine: ONNX\n      file: a.onnx\n",
    "dash alone": f"{HEAD}models:\n  -\n    name: a\n    engine: ONNX\n    file: a.onnx\n",
    "dash alone with a comment": f"{HEAD}models:\n  - # the first\n    name: a\n    engine: ONNX\n    file: a.onnx\n",
    "tabs before comments": f"{HEAD}models:\t# all\n  - name: a\t# one\n    engine: ONNX\t\n    file: a.onnx\t# here\n",
    "trailing comment": f"{HEAD}models:\n  - name: a  # A\n    engine: ONNX\n    file: a.onnx  # the file - name: x\n",
    "comment of the entry": f"{HEAD}models:\n{A}    # description: later\n",
    "entry commented out": f"{HEAD}models:\n{A}\n  # - name: b\n  #   file: b.onnx\n\nscope: ['*']\n",
    "comment at the margin": f"{HEAD}models:\n{A}\n# The names:\nscope: ['*']\n",
    "comment at the margin of an indentless list": f"{HEAD}models:\n- name: a\n  engine: ONNX\n  file: a.onnx\n# end\n",
    "comments everywhere": f"# top\n\n{HEAD}# models\nmodels: # list\n  # first\n{A}  # last\n# bottom\n",
    "models first": f"models:\n{A}version: 1\n",
    "between other keys": f"scope:\n  - '*'\nmodels:\n{A}\n\ndefaults:\n  engine: ONNX\n{HEAD}",
    "default engine": f"{HEAD}defaults: {{engine: ONNX}}\nmodels:\n  - name: a\n    file: a.onnx\n",
    "keys in another order": f"{HEAD}models:\n  - file: a.onnx\n    description: x\n    name: a\n    engine: ONNX\n",
    "double quotes": f'{HEAD}models:\n  - name: "a"\n    engine: "ONNX"\n    file: "a.onnx"\n',
    "single quotes": f"{HEAD}models:\n  - name: 'a'\n    engine: ONNX\n    file: 'a.onnx'\n",
    "quoted keys": '"version": 1\n"models":\n  - "name": a\n    "engine": ONNX\n    "file": a.onnx\n',
    "aligned": f"{HEAD}models:\n  - name:   a\n    engine: ONNX\n    file:   a.onnx\n",
    "CRLF": f"{HEAD}models:\n{A}\n{B}".replace("\n", "\r\n"),
    "CRLF without a final one": f"{HEAD}models:\n{A}".replace("\n", "\r\n").rstrip(),
    "CR alone": f"{HEAD}models:\n{A}".replace("\n", "\r"),
    "byte order mark": f"\ufeff{HEAD}models:\n{A}",
    "document marks": f"---\n{HEAD}models:\n{A}...\n",
    "directive": f"%YAML 1.1\n---\n{HEAD}models:\n{A}",
    "literal text last": f"{HEAD}models:\n{A}    description: |\n      one\n\n      # two\n\n\nscope: ['*']\n",
    "literal text that keeps its end": f"{HEAD}models:\n{A}    description: |+\n      one\n\n\n",
    "literal text without its end": f"{HEAD}models:\n{A}    description: |-  # text\n      one\n        two\n  # c\n",
    "folded text": f"{HEAD}models:\n{A}    description: >\n      one\n      two\n\n      three\n",
    "text with an indentation of its own": f"{HEAD}models:\n{A}    description: |2\n        one\n      two\n",
    "plain text over lines": f"{HEAD}models:\n{A}    description: one\n      two\n      three\n# end\n",
    "quoted text over lines": f'{HEAD}models:\n{A}    description: "one\n      two\n\n      three"\n',
    "empty text": f'{HEAD}models:\n{A}    description: ""   # none\n',
    "anchor and merge": (
        f"{HEAD}models:\n  - &first\n    name: a\n    engine: ONNX\n    file: a.onnx\n"
        "  - <<: *first\n    name: b\n    file: b.onnx\n"
    ),
    "keys of the reader's own": (
        f"{HEAD}x-shared: &shared\n  engine: ONNX  # all\n\nmodels:\n  - x-owner: ada\n    <<: *shared\n    name:   a\n"
        "    file:   a.onnx\n    x-notes:\n      - one\n      # - two\n\nx-models:\n  - name: b\n"
    ),
    "anchor on the list": f"{HEAD}models: &all\n{A}",
    "alias as a value": f"{HEAD}models:\n{A}  - name: b\n    engine: ONNX\n    file: b.onnx\n    description: &d x\n"
    "  - name: c\n    engine: ONNX\n    file: c.onnx\n    description: *d\n",
    "tags": f"{HEAD}models: !!seq\n  - !!map\n    name: !!str a\n    engine: ONNX\n    file: a.onnx\n",
    "discover behind it": f"{HEAD}models:\n{A}\n# dropped\ndiscover:\n  - glob: 'drop/*.onnx'\n    engine: ONNX\n",
    "flow items": f"{HEAD}models:\n  - {{name: a, engine: ONNX, file: a.onnx}}\n  - {{name: b, engine: ONNX, file: b.onnx}}\n",
    "flow items with room": f"{HEAD}models:\n  - {{ name: a, engine: ONNX, file: a.onnx }}  # one\n",
    "flow item over lines": f"{HEAD}models:\n  - {{name: a,\n     engine: ONNX,\n     file: a.onnx}}\n",
    "mixed items": f"{HEAD}models:\n{A}  - {{name: b, engine: ONNX, file: b.onnx}}\n",
    "line separators in a comment": f"{HEAD}# one\u2028# two\u0085# three\nmodels:\n{A}",
    "wide characters": f"{HEAD}models:\n  - name: modèle-日本-😀\n    engine: ONNX\n    file: 日本.onnx  # 😀\n",
    "explicit keys": "? version\n: 1\n? models\n: - name: a\n    engine: ONNX\n    file: a.onnx\n",
}

FLOW = {
    "flow list": f"{HEAD}models: [{{name: a, engine: ONNX, file: a.onnx}}]  # all\n",
    "flow list with a comma": f"{HEAD}models: [{{name: a, engine: ONNX, file: a.onnx}},]\n",
    "flow list over lines": f"{HEAD}models: [\n  {{name: a, engine: ONNX, file: a.onnx}}  # one, two\n]\n",
    "flow list over lines with a comma": f"{HEAD}models: [\n  {{name: a, engine: ONNX, file: a.onnx}},  # one\n]\n",
    "all flow": "{version: 1, models: [{name: a, engine: ONNX, file: a.onnx}]}\n",
    "JSON": '{"version": 1, "models": [{"name": "a", "engine": "ONNX", "file": "a.onnx"}]}',
    "JSON without models": '{"version": 1, "models": []}\n',
    "JSON over lines": (
        '{\n  "version": 1,\n  "models": [\n    {\n      "name": "a",\n      "engine": "ONNX",\n      "file": "a.onnx"\n'
        "    }\n  ]\n}\n"
    ),
    "JSON of escapes": (
        '{"version": 1, "models": [{"name": "a \\ud83d\\udca5", "engine": "ONNX", "file": "a.onnx"}]}\n'
    ),
    "JSON with tabs": '{\n\t"version": 1,\n\t"models": [\n\t\t{"name": "a", "engine": "ONNX", "file": "a.onnx"}\n\t]\n}\n',
    "empty": f"{HEAD}models: []\n",
    "empty with a comment": f"{HEAD}models: [ ]  # none yet\n\n# the end\n",
    "empty without a final newline": f"{HEAD}models: []",
}
"""A piece of a line is put in, or the brackets of an empty list go: there is no other way."""

NO_LIST = {
    "discover alone": f"{HEAD}discover:\n  - glob: 'drop/*.onnx'\n    engine: ONNX\n\n",
    "discover alone, indentless": f"discover:\n- glob: 'drop/*.onnx'\n  engine: ONNX\n\n{HEAD}# the end",
}

REFUSED = {
    "list is an alias": (
        f"{HEAD}x-all: &all\n{A}models: *all\n",
        "its models are an alias",
    ),
    "text without the end of its line": (
        f"{HEAD}models:\n{A}    description: |\n      one",
        "with the new entries the rest would not read as before",
    ),
    "explicit key in the middle of a line": (
        BLOCK.pop("explicit keys"),
        "its list of models begins in the middle of a line",
    ),
    "no list in a flow mapping": ("{version: 1, discover: [{glob: '*.x', engine: ONNX}]}", "it has no list of models"),
    "empty list over lines": (f"{HEAD}models: [\n  # none\n]\n", "its empty list goes over several lines"),
}
