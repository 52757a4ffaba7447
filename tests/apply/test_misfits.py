"""Files that no engine can read are held back by the plan, and no byte of them is sent."""

from __future__ import annotations

import os

import pytest

from mmsync.errors import WrongFormat
from mmsync.files.digest import digest_file
from mmsync.files.inspection import inspected
from mmsync.ledger import Ledger
from mmsync.types import Desired, Source
from support.model_files import FLOAT, field, onnx_model, tensor

EXTERNAL = field(5, field(8, "w") + field(13, field(1, "location") + field(2, "w.bin")) + field(14, 1))


@pytest.mark.parametrize(
    ("content", "code", "hint"),
    [
        (onnx_model([tensor("x", FLOAT, 1)], [tensor("y", FLOAT, 1)], extra=EXTERNAL), "file/misfit", "onnx.save("),
        (onnx_model([tensor("x", FLOAT, 1)], [tensor("y", FLOAT, 1)])[:-9], "file/incomplete", "whole"),
        (b"<html>sign in", "file/misfit", "export it again"),
        (b"/annex/objects/SHA256E-s5--ab.onnx\n", "file/misfit", "git annex get"),
    ],
    ids=["external data", "cut off", "page", "stub"],
)
def test_a_file_that_cannot_be_applied_is_blocked_with_the_reason(site, proxy, view, content, code, hint):
    site.model("m", content, "ONNX")
    plan = site.plan()
    assert plan.blocked == ("m",)
    (note,) = [each for each in plan.diagnostics if each.model == "m" and each.severity == "error"]
    assert note.code == code
    assert hint in note.detail
    site.apply()
    assert view.names() == []
    assert proxy.count("upload") == 0


def test_with_inspect_false_the_file_is_left_to_the_server(site, proxy):
    site.model("m", b"<html>sign in", "MLSTATS", inspect=False)
    assert not site.plan().blocked
    site.apply()
    assert proxy.count("upload") == 1


def test_what_fits_is_remembered_by_content_and_engine(tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(b'{"a": 1}')
    os.utime(path, (1, 1))
    wanted = Desired("m", "WORKFLOWS", "m.json", str(path), None, None, False, Source("models.yaml", 1))
    content = digest_file(str(path))
    later = content.key.ctime_ns + 10**10
    with Ledger(tmp_path / "ledger", warn=pytest.fail, now=1) as ledger:
        assert inspected([wanted], {"m": content}, ledger, now_ns=later) == {"m": content}
    path.unlink()  # what follows can open nothing
    with Ledger(tmp_path / "ledger", warn=pytest.fail, now=1) as ledger:
        assert inspected([wanted], {"m": content}, ledger, now_ns=later) == {"m": content}
        path.write_bytes(b'{"a": 1')
        other = digest_file(str(path))
        assert isinstance(inspected([wanted], {"m": other}, ledger, now_ns=later)["m"], WrongFormat)
