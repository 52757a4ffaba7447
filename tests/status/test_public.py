"""What others may see: no path of this machine but inside the manifests' folders, no user of an address."""

import pytest
from hypothesis import given, strategies as st

from mmsync.status import ChangeRecord, ConditionStatus, ModelStatus, Reconcile, Status
from mmsync.status.document import document
from mmsync.status.public import Redaction, public
from mmsync.types import Diagnostic, ServerName, Source

redact = Redaction({"/srv/my models": "", "/srv": "…/", "/home/ann": "…/", "relative": ""})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/my models/onnx/a.onnx is no model", "onnx/a.onnx is no model"),
        ("/srv/my models/models.yaml:3:5: bad", "models.yaml:3:5: bad"),
        ("/srv/other/a b.onnx: gone", "…/a b.onnx: gone"),
        ("cannot open '/home/ann/secret plans/ledger.sqlite'", "cannot open '…/secret plans/ledger.sqlite'"),
        ("/var/lib/mmsync/x.sock (raise it)", "…/x.sock (raise it)"),
        (
            "server https://host:8443/mlmodelmanager/models answered 500",
            "server https://host:8443/mlmodelmanager/models answered 500",
        ),
        ("local:/srv/server of it", "local:server of it"),
        ("local:srv", "local:srv"),
        ("models/a.onnx and ../b/c.onnx", "models/a.onnx and ../b/c.onnx"),
        ("3/4 of it, and/or 10 kB/s", "3/4 of it, and/or 10 kB/s"),
        ("no slash at all", "no slash at all"),
    ],
)
def test_paths_outside_are_taken_out(text, shown):
    assert redact(text) == shown


@given(st.lists(st.text("abc .:-é", min_size=1, max_size=8), min_size=2, max_size=6))
def test_no_folder_of_a_known_one_is_left(parts):
    path = "/home/ann/" + "/".join(parts)
    assert "/home/ann" not in redact(f"cannot open {path}: it is gone")


def test_every_text_of_a_status_passes():
    secret = "/home/ann/private/file"
    status = Status(
        "1",
        0.0,
        0.0,
        1,
        "ok",
        manifests=(secret,),
        server=ServerName("https://user:pass@host/x"),
        models=(ModelStatus("m", "E", "failed", None, None, 0.0, None, "c", secret, secret),),
        conditions=(ConditionStatus("root", secret, "error", "c", secret, secret, 0.0),),
        diagnostics=(Diagnostic("error", "a/b", secret, secret, Source(secret, 1)),),
        history=(
            Reconcile(
                0.0, 0.0, "failed", secret, (ChangeRecord("m", "add", (), "failed", "c", secret, None, None, 0),)
            ),
        ),
    )
    shown = str(document(public(status, redact)))
    assert "home" not in shown
    assert "private" not in shown
    assert "…/file" in shown
    assert "pass" not in shown
    assert "https://***@host/x" in shown
