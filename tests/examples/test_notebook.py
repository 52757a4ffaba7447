"""The notebook runs from top to bottom, prints what it shows, and leaves nothing behind.

``GOLDEN=write pytest tests/examples/test_notebook.py`` runs it and stores what it printed; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebook"
NOTEBOOK = FOLDER / "train_and_apply.ipynb"
END_OF_CELL = "--- end of cell ---"


def source(cell):
    return "".join(cell["source"])


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(cell):
    """What a cell's stored outputs show; all of it is plain text on stdout."""
    assert {(each["output_type"], each["name"]) for each in cell["outputs"]} <= {("stream", "stdout")}
    return "".join("".join(each["text"]) for each in cell["outputs"])


@pytest.fixture
def notebook():
    return json.loads(NOTEBOOK.read_text("utf-8"))


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files of what is run; nothing may be left in it."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def run_as_script(notebook, folder):
    """Run the cells as one script in a process of its own; return what each printed."""
    cells = code_cells(notebook)
    script = folder / "notebook.py"
    script.write_text("".join(f"{source(cell)}\nprint({END_OF_CELL!r})\n" for cell in cells), "utf-8")
    command = [sys.executable, "-W", "error", "-X", "utf8", str(script)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=100, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    outputs = done.stdout.split(f"{END_OF_CELL}\n")
    assert outputs.pop() == ""
    return outputs


def store(notebook, outputs):
    for number, (cell, text) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
        cell["execution_count"] = number
        stream = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
        cell["outputs"] = [stream] if text else []
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


@pytest.mark.usefixtures("scratch")
def test_its_cells_as_a_script_print_what_it_shows(notebook, tmp_path):
    outputs = run_as_script(notebook, tmp_path)
    if os.environ.get("GOLDEN") == "write":
        store(notebook, outputs)
    assert outputs == [printed(cell) for cell in code_cells(notebook)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebook.py", "scratch"]


@pytest.mark.usefixtures("scratch")
@pytest.mark.slow
def test_in_jupyter_it_prints_what_it_shows(notebook, tmp_path):
    """Where nbclient and a kernel are installed, which no development environment needs."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed here")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed here")
    import nbformat

    fresh = nbformat.reads(NOTEBOOK.read_text("utf-8"), as_version=4)
    for cell in code_cells(fresh):
        cell["outputs"], cell["execution_count"] = [], None
    nbclient.NotebookClient(fresh, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [printed(cell) for cell in code_cells(fresh)] == [printed(cell) for cell in code_cells(notebook)]


def test_it_is_a_notebook_of_the_current_format_and_small(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert NOTEBOOK.stat().st_size < 20_000
    assert [path.name for path in FOLDER.iterdir() if path.name != "__pycache__"] == [NOTEBOOK.name]


def test_words_stand_before_the_code_and_no_cell_is_long(notebook):
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= kinds.count("code") - 1
    assert max(source(cell).count("\n") for cell in notebook["cells"]) < 30


def test_it_shows_no_path_of_a_machine_and_uses_what_is_public(notebook):
    import mmsync

    text = NOTEBOOK.read_text("utf-8")
    assert not re.search(r"/tmp|/home|/root|/Users|[A-Z]:\\\\", text)
    code = "\n".join(map(source, code_cells(notebook)))
    assert set(re.findall(r"\bmmsync\.(\w+)", code)) <= set(mmsync.__all__)
    assert not re.search(r"\bfrom mmsync\b|\bimport mmsync\.", code)
