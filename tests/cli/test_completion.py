"""Completion as a shell does it: bash for real, zsh and fish where they are installed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from support.commands import MMSYNC, Shell

PATH = f"{Path(MMSYNC).parent}:/usr/bin:/bin"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "models.yaml").write_text(
        "version: 1\nmodels:\n  - {name: fraud_a, engine: ONNX, file: a.onnx}\n"
        "  - {name: fraud_b, engine: ONNX, file: b.onnx}\n  - {name: other, engine: ONNX, file: c.onnx}\n"
    )
    (tmp_path / "more.yaml").write_text("version: 1\nmodels:\n  - {name: farther, engine: ONNX, file: a.onnx}\n")
    home = Path(os.environ["HOME"])
    (home / "modelmanager.ini").write_text("[production]\nurl = u\ntoken = s3cret\n[staging]\nurl = u\n")
    (home / "modelmanager.ini").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(shell, *words, **more):
    done = subprocess.run(
        [shell, *words],
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def complete(folder, line):
    """What bash offers for a line that is typed so far."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        "complete() { :; }; compopt() { :; }; source <(mmsync completion bash); unset -f complete\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}\n"
        f"_mmsync_completion mmsync '{words[-1]}' '{words[-2]}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return run("bash", "-c", script, cwd=folder).split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mmsync pl", ["plan"]),
        ("mmsync plan --targ", ["--target"]),
        ("mmsync plan --target fr", ["fraud_a", "fraud_b"]),
        ("mmsync plan -f more.yaml --exclude f", ["farther"]),
        ("mmsync pull o", ["other"]),
        ("mmsync show fraud", ["fraud_a", "fraud_b"]),
        ("mmsync apply --profile s", ["staging"]),
        ("mmsync apply --verify a", ["auto", "always"]),
        ("mmsync completion z", ["zsh"]),
    ],
)
def test_bash_completes(line, offered, folder):
    assert complete(folder, line) == offered


def test_a_broken_manifest_offers_nothing_and_says_nothing(folder):
    (folder / "models.yaml").write_text("models: [")
    assert complete(folder, "mmsync plan --target fr") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_takes(shell, folder, capsys, monkeypatch):
    ran = Shell(folder, capsys, monkeypatch)("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert "_MMSYNC_COMPLETE" in ran.out
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    run(shell, "-n", "-c" if shell == "bash" else "/dev/stdin", *([ran.out] if shell == "bash" else []), input=ran.out)


def test_zsh_is_offered_the_same(folder):
    # What the script for zsh asks for, without a terminal that zsh would need to complete in.
    words = {"COMP_WORDS": "mmsync plan --target fr", "COMP_CWORD": "3", "_MMSYNC_COMPLETE": "zsh_complete"}
    done = subprocess.run([MMSYNC], env={**os.environ, **words}, capture_output=True, text=True, cwd=folder, check=True)
    assert done.stdout.split("\n")[:6] == ["plain", "fraud_a", "_", "plain", "fraud_b", "_"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mmsync plan --target fr", ["fraud_a", "fraud_b"]),
        ("mmsync pull o", ["other"]),
        ("mmsync completion z", ["zsh"]),
    ],
)
def test_fish_completes(line, offered, folder):
    (folder / "mmsync.fish").write_text(run(MMSYNC, "completion", "fish", cwd=folder))
    done = run("fish", "--no-config", "-c", f"source mmsync.fish; complete -C '{line}'", cwd=folder)
    assert done.split("\n") == [*offered, ""]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed here")
def test_zsh_completes_in_its_terminal(folder):
    (folder / "mmsync.zsh").write_text(run(MMSYNC, "completion", "zsh", cwd=folder))
    terminal, end = pty.openpty()
    zsh = subprocess.Popen(
        ["setsid", "--ctty", "zsh", "-f", "-i"],  # with a terminal of its own
        stdin=end,
        stdout=end,
        stderr=end,
        cwd=folder,
        env={**os.environ, "TERM": "dumb", "PS1": "", "HOME": str(folder), "PATH": PATH},
    )
    os.close(end)
    try:
        os.write(terminal, b"autoload -U compinit; compinit -u -D; source mmsync.zsh; echo rea''dy\n")
        until(terminal, b"ready\r\n")
        os.write(terminal, b"mmsync pull ot\t")
        until(terminal, b"mmsync pull other ")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(terminal)


def until(terminal, expected):
    seen = b""
    while expected not in seen:
        assert select.select([terminal], [], [], 30)[0], seen
        seen += os.read(terminal, 4096)
