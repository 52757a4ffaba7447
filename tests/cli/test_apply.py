"""``mmsync apply`` as its users meet it: it does what the plan says, and otherwise says why not."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import devo_ml.modelmanager
import pytest

from support.applying import json_bytes, sha256
from support.desk import TOKEN
from support.fault_proxy import FaultProxy, rewritten, status
from support.model_files import FLOAT, INT64, catboost, onnx_model, regression_onnx, tensor

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


def two(desk):
    desk.file("a.json", json_bytes("a"))
    desk.file("b.cbm", catboost())
    desk.manifest("a BIGML a.json  description: first\nb CATBOOST b.cbm")


def applied(desk):
    two(desk)
    assert desk("apply", "--jobs", "1").code == 0  # one after another: the server's ids are the same every time


def saved(desk):
    two(desk)
    assert desk("plan", "--out", "plan.json").code == 0


# --- what it says -----------------------------------------------------------------------------------------------


def adds(desk):
    two(desk)
    return ["apply"]


def again(desk):
    applied(desk)
    return ["apply", "--detailed-exitcode"]


def changes(desk):
    applied(desk)
    desk.file("a.json", json_bytes("A"))
    desk.manifest("a BIGML a.json  description: first\nb CATBOOST b.cbm  description: second")
    return ["apply", "--detailed-exitcode"]


def prunes(desk):
    applied(desk)
    desk.manifest("a BIGML a.json")
    return ["apply", "--prune"]


def markdown(desk):
    changes(desk)
    return ["apply", "--format", "markdown"]


def backed_up(desk):
    applied(desk)
    desk.file("a.json", json_bytes("A"))
    desk.file("c.json", json_bytes("c"))
    desk.manifest("a BIGML a.json\nc BIGML c.json")
    return ["apply", "--prune", "--backup", "kept"]


def backed_up_in_markdown(desk):
    return [*backed_up(desk), "--format", "markdown"]


def blocked_beside_others(desk):
    two(desk)
    desk.manifest(f"a BIGML a.json  sha256: {'0' * 64}\nb CATBOOST b.cbm")
    return ["apply"]


# --- what it refuses --------------------------------------------------------------------------------------------


def saved_plan_missing(desk):
    return ["apply", "plan.json"]


def saved_plan_is_a_manifest(desk):
    two(desk)
    return ["apply", "models.yaml"]


def saved_plan_not_text(desk):
    two(desk)
    desk.file("plan.json", b"\xff\0")
    return ["apply", "plan.json"]


def saved_plan_of_another_format(desk):
    saved(desk)
    desk.file("plan.json", (desk.folder / "plan.json").read_bytes().replace(b'version": "1"', b'version": "9"'))
    return ["apply", "plan.json"]


def saved_plan_edited(desk):
    saved(desk)
    desk.file("plan.json", (desk.folder / "plan.json").read_bytes().replace(b'"first"', b'"other"'))
    return ["apply", "plan.json"]


def saved_plan_stale(desk):
    saved(desk)
    desk.file("b.cbm", catboost() + b"\0")
    desk.manifest("b CATBOOST b.cbm\nc BIGML a.json")
    return ["apply", "plan.json"]


def saved_plan_stale_by_other_hands(desk):
    applied(desk)
    desk.file("a.json", json_bytes("A"))
    desk("plan", "--out", "plan.json")
    desk.view.put("a", json_bytes("theirs"))
    return ["apply", "plan.json"]


def saved_plan_with_a_selection(desk):
    saved(desk)
    return ["apply", "plan.json", "--target", "a"]


def expected_digest_differs(desk):
    two(desk)
    return ["apply", "--expect", "0" * 64]


def empty_manifest(desk):
    applied(desk)
    desk.manifest()
    return ["apply", "--prune"]


def guard_in_json(desk):
    applied(desk)
    desk.manifest()
    return ["apply", "--prune", "--format", "json"]


def too_many_deletes(desk):
    applied(desk)
    desk.manifest("a BIGML a.json")
    return ["apply", "--prune", "--max-delete", "0"]


def signature(desk):
    desk.file("a.onnx", regression_onnx())
    desk.manifest("a ONNX a.onnx")
    assert desk("apply").code == 0
    desk.file("a.onnx", onnx_model([tensor("other", FLOAT, 0, 1)], [tensor("y", INT64, 0, 1)]))
    return ["apply"]


def engine_unknown(desk):
    two(desk)
    desk.manifest("a NOSUCH a.json  inspect: false")
    return ["apply"]


def file_refused(desk):
    desk.file("a.onnx", b"this is no ONNX")
    desk.manifest("a ONNX a.onnx")
    return ["apply"]


def lfs_pointer(desk):
    desk.file("a.onnx", LFS.format("1" * 64, 1234).encode())
    desk.manifest("a ONNX a.onnx")
    return ["apply"]


def hidden_in_the_way(desk):
    desk.file("a.json", json_bytes("a"))
    desk.manifest("a BIGML a.json")
    desk.view.put("a", json_bytes("hidden"), hidden=True)
    return ["apply"]


def fail_fast(desk):
    two(desk)
    desk.manifest("a NOSUCH a.json  inspect: false\nb BIGML a.json\nc BIGML a.json")
    return ["apply", "--fail-fast", "--jobs", "1"]


CASES = {
    adds: 0,
    again: 0,
    changes: 2,
    prunes: 0,
    markdown: 0,
    backed_up: 0,
    backed_up_in_markdown: 0,
    blocked_beside_others: 1,
    saved_plan_missing: 1,
    saved_plan_is_a_manifest: 1,
    saved_plan_not_text: 1,
    saved_plan_of_another_format: 1,
    saved_plan_edited: 1,
    saved_plan_stale: 1,
    saved_plan_stale_by_other_hands: 1,
    saved_plan_with_a_selection: 1,
    expected_digest_differs: 1,
    empty_manifest: 1,
    guard_in_json: 1,
    too_many_deletes: 1,
    signature: 1,
    engine_unknown: 1,
    file_refused: 1,
    lfs_pointer: 1,
    hidden_in_the_way: 1,
    fail_fast: 1,
}


@pytest.mark.parametrize(("case", "code"), CASES.items(), ids=[case.__name__ for case in CASES])
def test_transcript(case, code, desk, is_golden):
    words = case(desk)
    before = desk.view.rows()
    text = desk.transcript(*words)
    assert text.endswith(f"--- exit {code}\n")
    assert "Traceback" not in text
    if code == 1 and case not in (blocked_beside_others, fail_fast):
        assert desk.view.rows() == before  # refused is not half done
    is_golden(f"apply/{case.__name__}", text)


def test_the_undo_is_a_line_of_its_own_in_json(desk):
    ran = desk(*backed_up(desk), "--format", "json")
    (run,) = (desk.folder / "kept").glob("2*")
    *_, undo, summary = map(json.loads, ran.out.splitlines())
    assert summary["type"] == "change_summary"
    told = f"Undo: mmsync apply -f {run}/models.yaml"
    note = "To keep what it brings back, list it in the manifest again, or the next --prune deletes it once more: b."
    assert undo == {
        "@level": "info",
        "@message": f"{told} ({note})",
        "@module": "mmsync",
        "type": "diagnostic",
        "diagnostic": {
            "severity": "info",
            "code": "apply/undo",
            "summary": told,
            "detail": note,
            "file": None,
            "line": None,
            "column": None,
        },
    }
    assert "The undo leaves what was added: c.\n" in ran.err


def test_a_saved_plan_is_for_its_server_alone(desk, is_golden):
    saved(desk)
    with FaultProxy(desk.url) as proxy:
        text = desk.transcript("apply", "plan.json", "--url", proxy.url, shown="apply plan.json")
    is_golden("apply/saved_plan_of_another_server", text)
    assert desk.view.names() == []


def test_a_failure_in_the_middle_stops_no_other_model(desk, is_golden):
    desk.file("a.json", b"{}")
    desk.manifest("a BIGML a.json\nb BIGML a.json\nc BIGML a.json")
    with FaultProxy(desk.url) as proxy:
        proxy.on("save", status(500, {"code": 9000, "msg": "out of memory", "cid": "a1b2"}), name="b")
        is_golden("apply/server_fault_for_one", desk.transcript("apply", "--url", proxy.url, shown="apply"))
    assert desk.view.names() == ["a", "c"]


def test_what_cannot_be_read_back_is_said(desk, is_golden):
    two(desk)
    with FaultProxy(desk.url) as proxy:
        proxy.on("list", status(500, {"code": 9000, "msg": "out of memory"}), skip=1)
        is_golden("apply/not_read_back", desk.transcript("apply", "--url", proxy.url, shown="apply"))


def test_a_model_changed_between_plan_and_write_is_left_alone(desk, is_golden):
    applied(desk)
    desk.file("a.json", json_bytes("A"))

    def and_then_another_hand(rows):
        if desk.view.digest("a") == sha256(json_bytes("a")):
            desk.view.put("a", json_bytes("theirs"))
        return rows

    with FaultProxy(desk.url) as proxy:
        desk("plan", "--url", proxy.url)
        proxy.on("list", rewritten(and_then_another_hand))
        text = desk.transcript("apply", "--url", proxy.url, shown="apply")
        assert desk.view.digest("a") == sha256(json_bytes("theirs"))
        assert proxy.count("upload") == 0
    text = re.sub(r"image id was \d+, is \d+", "image id was OLD, is NEW", text)
    is_golden("apply/changed_by_other_hands", text)


def test_another_mmsync_at_work_is_waited_for_and_then_named(desk, is_golden):
    from mmsync.cli.settings import lock_folder
    from mmsync.lock import server_lock
    from mmsync.types import ServerName

    two(desk)
    with server_lock(lock_folder(), ServerName(desk.url), timeout=0, on_wait=lambda _: None):
        is_golden("apply/lock", desk.transcript("apply", "--lock-timeout", "0.1"))
    assert desk.view.names() == []
    assert desk("apply").code == 0


# --- exactly what the plan says, seen by the official client ----------------------------------------------------


# It leaves the model file and its connections to the garbage collector to close.
leaves_files_open = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


@pytest.fixture
def official(desk, tmp_path):
    (tmp_path / "got").mkdir()
    yield devo_ml.modelmanager.create_client_from_token(
        desk.url, os.environ["MMSYNC_TOKEN"], download_path=str(tmp_path / "got")
    )
    gc.collect()


def received(official, name):
    """The sha256 of what the official client downloads."""
    return sha256(Path(official.get_model(name, download_file=True)["file"]).read_bytes())


@leaves_files_open
def test_what_the_official_client_downloads_is_the_very_file(desk, official):
    desk.file("a.onnx", regression_onnx())
    desk.manifest("a ONNX a.onnx  description: first")
    assert desk("apply").code == 0
    assert received(official, "a") == sha256(regression_onnx())
    desk.file("a.onnx", regression_onnx(b"\0\0\0\1"))  # one byte
    assert desk("apply", "--detailed-exitcode").code == 2
    assert received(official, "a") == sha256(regression_onnx(b"\0\0\0\1"))


@leaves_files_open
def test_each_kind_of_change_is_made_and_nothing_else(desk, official):
    applied(desk)
    with FaultProxy(desk.url) as proxy:
        desk("plan", "--url", proxy.url)

        def apply_and_count():
            proxy.clear()
            assert desk("apply", "--url", proxy.url, "--detailed-exitcode").code == 2
            return proxy.count("upload"), [each.name for each in proxy.seen("save")]

        untouched = official.find_model("b")
        desk.manifest("a BIGML a.json  description: other\nb CATBOOST b.cbm")
        assert apply_and_count() == (0, ["a"])
        assert official.find_model("a")["description"] == "other"
        desk.manifest("a DT a.json  description: other\nb CATBOOST b.cbm")
        assert apply_and_count() == (1, ["a"])
        assert official.find_model("a")["engine"] == "DT"
        desk.file("a.json", json_bytes("A"))
        assert apply_and_count() == (1, ["a"])
        proxy.clear()
        assert desk("apply", "--url", proxy.url, "--detailed-exitcode").code == 0
        assert (proxy.count("upload"), proxy.count("save")) == (0, 0)
        assert official.find_model("b") == untouched


@leaves_files_open
@pytest.mark.parametrize("ledger", ["kept", "deleted"])
def test_drift_by_the_official_client_is_repaired(desk, official, ledger, tmp_path):
    applied(desk)
    theirs = tmp_path / "theirs.json"
    theirs.write_bytes(json_bytes("b"))  # as many bytes
    official.add_model("a", "BIGML", str(theirs), description="first", force=True)
    if ledger == "deleted":
        shutil.rmtree(os.environ["MMSYNC_CACHE_DIR"])
    ran = desk("plan")
    assert "~ a  BIGML  (content)" in ran.out
    assert desk("apply").code == 0
    assert received(official, "a") == sha256(json_bytes("a"))
    assert "No changes." in desk("plan").out


# --- saved plans and digests ------------------------------------------------------------------------------------


def test_a_saved_plan_is_applied_from_anywhere_its_server_and_manifest_are_named(desk, monkeypatch):
    saved(desk)
    monkeypatch.delenv("MMSYNC_URL")
    ran = desk("apply", "plan.json")
    assert "plan.json:1:1 names it" in ran.err
    assert desk.view.names() == []
    ran = desk("apply", "plan.json", "--allow-server", desk.url)
    assert (ran.code, ran.err) == (0, "")
    assert desk.view.names() == ["a", "b"]


def test_a_saved_plan_takes_server_and_token_from_the_manifests_profile(desk, monkeypatch):
    two(desk)
    desk.profile("production", TOKEN)
    desk.file("models.yaml", b"server: {profile: production}\n" + (desk.folder / "models.yaml").read_bytes())
    monkeypatch.delenv("MMSYNC_URL")
    monkeypatch.delenv("MMSYNC_TOKEN")
    assert desk("plan", "--out", "plan.json").code == 0
    ran = desk("apply", "plan.json")
    assert (ran.code, ran.err) == (0, "")
    assert desk.view.names() == ["a", "b"]


@pytest.mark.parametrize("words", [["--expect", ""], ["--expect", " "], [""]])
def test_an_empty_variable_of_a_script_does_not_lift_what_the_apply_was_held_to(desk, words):
    two(desk)
    ran = desk("apply", *words)
    assert ran.code == 1
    assert "is empty" in ran.err
    assert desk.view.names() == []


def test_a_saved_plan_brings_its_selection(desk):
    two(desk)
    desk("plan", "--target", "a", "--out", "plan.json")
    assert desk("apply", "plan.json").code == 0
    assert desk.view.names() == ["a"]


def test_a_digest_agreed_on_is_applied_and_no_other(desk):
    two(desk)
    digest = json.loads(desk("plan", "--format", "json").out)["digest"]
    desk.file("a.json", json_bytes("A"))
    assert desk("apply", "--expect", digest).code == 1
    assert desk.view.names() == []
    desk.file("a.json", json_bytes("a"))
    assert desk("apply", "--expect", f" {digest.upper()} ").code == 0


# --- a person at a terminal, and none ---------------------------------------------------------------------------


class Terminal:
    """A process whose three standard streams are one terminal of 60 columns."""

    def __init__(self, desk, *words, **environment):
        from fcntl import ioctl
        from struct import pack
        from termios import TIOCSWINSZ

        self._mine, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, pack("HHHH", 24, 60, 0, 0))
        desk.environment.delenv("COLUMNS", raising=False)
        for name, value in {"TERM": "xterm", **environment}.items():
            desk.environment.setenv(name, value)
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        self.process = desk.start(*words, **streams, start_new_session=True)
        os.close(theirs)
        self.seen = ""

    def until(self, text):
        while text not in self.seen:
            assert self._read(), f"{text!r} never came:\n{self.seen}"

    def type(self, text):
        os.write(self._mine, text.encode())

    def interrupt(self):
        """Send SIGINT until it is taken: between its prompt and its read the interpreter does not look."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.5)

    def end(self):
        while self._read():
            pass
        os.close(self._mine)
        return self.process.wait(timeout=30)

    def _read(self):
        ready, _, _ = select.select([self._mine], [], [], 30)
        assert ready, f"nothing more came:\n{self.seen}"
        try:
            data = os.read(self._mine, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += data.decode().replace("\r\n", "\n")
        return bool(data)


@pytest.mark.parametrize(
    ("answer", "code", "names"),
    [
        ("yes\n", 0, ["a", "b"]),
        ("\n", 1, []),
        ("n\n", 1, []),
        ("q\n", 1, []),
        ("\x04", 1, []),  # Ctrl-D
        ("what\ny\n", 0, ["a", "b"]),
    ],
)
def test_a_person_is_asked_and_the_default_is_no(answer, code, names, desk):
    two(desk)
    terminal = Terminal(desk, "apply")
    terminal.until("Apply these changes? [y/N]: ")
    assert desk.view.names() == []
    terminal.type(answer)
    assert terminal.end() == code
    assert desk.view.names() == names
    assert ("Nothing was written." in terminal.seen) == (code == 1)


def test_a_person_who_interrupts_the_question_has_changed_nothing(desk):
    two(desk)
    terminal = Terminal(desk, "apply")
    terminal.until("Apply these changes? [y/N]: ")
    terminal.interrupt()
    assert terminal.end() == 130
    assert terminal.seen.endswith("Apply these changes? [y/N]: \nInterrupted. Nothing was written.\n")
    assert desk.view.names() == []


def test_yes_is_not_asked_and_lines_fit_a_narrow_terminal(desk):
    two(desk)
    terminal = Terminal(desk, "apply", "--yes")
    assert terminal.end() == 0
    assert "Apply these changes?" not in terminal.seen
    assert "\x1b[32m" in terminal.seen
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.seen)
    assert max(len(line) for line in plain.splitlines() if "Digest" not in line) <= 60
    assert desk.view.names() == ["a", "b"]


def test_no_color_is_respected_on_a_terminal(desk):
    two(desk)
    terminal = Terminal(desk, "plan", NO_COLOR="1")
    assert terminal.end() == 0
    assert "\x1b[3" not in terminal.seen


def test_nobody_is_asked_where_nothing_is_to_be_done(desk):
    applied(desk)
    terminal = Terminal(desk, "apply")
    assert terminal.end() == 0
    assert "Apply these changes?" not in terminal.seen


# --- events -----------------------------------------------------------------------------------------------------


def test_events_are_one_json_object_a_line_in_order(desk):
    two(desk)
    desk.manifest("a BIGML a.json\nb NOSUCH b.cbm  inspect: false")
    ran = desk("apply", "--format", "json")
    assert ran.code == 1
    events = [json.loads(line) for line in ran.out.splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["version", "planned_change", "planned_change"]
    assert kinds[-1] == "change_summary"
    assert {"apply_start", "apply_complete", "apply_errored"} <= set(kinds)
    assert (events[-1]["changes"]["add"], events[-1]["changes"]["failed"], events[-1]["ok"]) == (1, 1, False)


def test_an_apply_goes_on_when_nobody_reads_its_events_any_more(desk):
    desk.file("a.json", b"{}")
    desk.manifest("\n".join(f"m{n} BIGML a.json" for n in range(20)))
    with FaultProxy(desk.url) as proxy:
        reader, writer = os.pipe()
        words = ("apply", "--format", "json", "--jobs", "1", "--url", proxy.url)
        with desk.start(*words, stdout=writer) as process:
            os.close(writer)
            while b"apply_start" not in os.read(reader, 65536):
                pass
            os.close(reader)
            _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert len(desk.view.names()) == 20


# --- stopping on a terminal ---------------------------------------------------------------------------------------


class Screen:
    """What a person sees of a terminal's output."""

    def __init__(self, terminal):
        import pyte

        self._screen = pyte.Screen(60, 24)
        self._stream = pyte.Stream(self._screen)
        self._terminal = terminal
        self._fed = 0

    @property
    def text(self):
        seen = self._terminal.seen.replace("\n", "\r\n")
        self._stream.feed(seen[self._fed :])
        self._fed = len(seen)
        return "".join("".join(self._screen.display).split())  # the terminal breaks long lines within words

    def until(self, *texts):
        while not all("".join(text.split()) in self.text for text in texts):
            assert self._terminal._read(), self.text


def test_the_notice_of_a_stop_stays_among_the_bars_and_a_second_one_says_what_is_open(desk):
    two(desk)
    go_on = threading.Event()
    with FaultProxy(desk.url) as proxy:

        def save(exchange):
            # The first takes as long as it takes until bars are worth drawing, the second does not come back.
            go_on.wait(1.0 if exchange.name == "a" else 60)
            exchange.answer(exchange.forward())

        proxy.on("save", save)
        terminal = Terminal(desk, "apply", "--yes", "--jobs", "1", "--url", proxy.url)
        screen = Screen(terminal)
        try:
            screen.until("━")
            terminal.process.send_signal(signal.SIGINT)
            screen.until("Stopping: what is in flight finishes", "Again to stop at once.", "━")
            frames = terminal.seen.count("Stopping:")
            while terminal.seen.count("Stopping:") < frames + 3:  # it is drawn anew with the bars
                assert terminal._read()
            while screen.text.count("Stopping:") != 1:  # between two frames both may be there
                assert terminal._read()
            terminal.process.send_signal(signal.SIGINT)
            screen.until("Stopped at once. Whether the server has them is not known: b. The next plan tells.")
            assert terminal.end() == 130
        finally:
            go_on.set()


def test_a_person_is_asked_also_where_the_answer_goes_through_a_pipe(desk):
    two(desk)
    mine, theirs = pty.openpty()
    try:
        process = desk.start(
            "apply", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        asked = ""
        while "Apply these changes? [y/N]: " not in asked:
            part = os.read(process.stderr.fileno(), 1000).decode()
            assert part, asked
            asked += part
        assert asked.endswith("2 to add, 0 to change, 0 to delete. Apply these changes? [y/N]: ")
        assert desk.view.names() == []
        os.write(mine, b"n\n")
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "Plan: 2 to add" in out
        assert desk.view.names() == []
    finally:
        os.close(mine)
        os.close(theirs)


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_a_dry_run_is_the_plan_and_writes_nothing(form, desk):
    two(desk)
    planned = desk("plan", "--format", form, "--detailed-exitcode")
    dry = desk(
        "apply", "--dry-run", "--format", form, "--detailed-exitcode", "--backup", "kept", "--audit", "audit.jsonl"
    )
    assert (dry.code, dry.out) == (planned.code, planned.out)
    assert dry.code == 2
    assert desk.view.names() == []
    assert not (desk.folder / "kept").exists()
    assert not (desk.folder / "audit.jsonl").exists()


@pytest.mark.parametrize("word", ["-auto-approve", "--auto-approve"])
def test_an_option_of_another_program_is_answered_with_ours(word, desk):
    two(desk)
    ran = desk("apply", word)
    assert ran.code == 1
    assert "--yes (-y) applies without asking" in ran.err
    assert desk.view.names() == []


@pytest.mark.parametrize(
    ("word", "said"), [("destroy", "apply --prune"), ("diff", "mmsync plan"), ("rm", "out of the manifest")]
)
def test_a_command_of_another_program_is_answered_with_ours(word, said, desk):
    ran = desk(word)
    assert ran.code == 1
    assert said in ran.err


@pytest.fixture
def two_runs_kept(desk):
    """Two runs with a backup, with a relative folder, token file and server; returns what the last wrote."""
    desk.file("token", b"t")
    desk.manifest("m BIGML m.json\nold BIGML m.json")
    words = ["apply", "-y", "--url", "local:store", "--token-file", "token", "--backup", "bk"]
    for content, *more in ((b"{}",), (b"{1}",), (b"{2}", "--prune", "--max-delete-percent", "100")):
        desk.file("m.json", json_bytes(content))
        desk.manifest("m BIGML m.json" if more else "m BIGML m.json\nold BIGML m.json")
        ran = desk(*words, *more)
        assert ran.code == 0, ran
    return ran


def test_the_undo_works_from_any_folder_and_says_what_it_cannot_mend(two_runs_kept, desk):
    line = next(line for line in two_runs_kept.out.splitlines() if line.startswith("Undo: "))
    assert "the next --prune deletes it once more: old." in " ".join(two_runs_kept.out.split())
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir()
    desk.environment.chdir(elsewhere)
    ran = desk(*shlex.split(line)[2:], "-y")
    assert ran.code == 0, ran
    assert "1 added, 1 changed" in ran.out
    assert list(elsewhere.iterdir()) == []


def test_in_a_ci_job_the_undo_is_for_wherever_its_folders_are_kept(desk):
    desk.environment.setenv("CI", "true")
    for content in (b"1", b"2"):
        desk.file("m.json", json_bytes(content))
        desk.manifest("m BIGML m.json")
        ran = desk("apply", "-y", "--backup", "bk")
    assert "\nUndo: mmsync apply -f bk/2" in ran.out


def test_a_folder_in_place_of_a_plan_or_a_manifest_is_answered_with_what_to_give(two_runs_kept, desk):
    first, newest = sorted(desk.folder.glob("bk/2*"))
    ran = desk("apply", f"bk/{first.name}")
    assert (ran.code, f"manifests are named with -f: -f bk/{first.name}/models.yaml" in ran.err) == (1, True)
    for words in (("apply", "bk"), ("apply", "-f", "bk"), ("plan", "-f", "bk")):
        ran = desk(*words)
        assert (ran.code, f"-f bk/{newest.name}/models.yaml" in " ".join(ran.err.split())) == (1, True), ran
