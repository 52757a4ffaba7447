"""Statuses to show: everything wrong at once, ten thousand models, and texts that mean harm."""

from __future__ import annotations

from mmsync.status import (
    Activity,
    ChangeRecord,
    ConditionStatus,
    ModelStatus,
    Reconcile,
    Status,
)
from mmsync.types import Diagnostic, ServerName, Source

__all__ = ["HOSTILE", "NOW", "hostile", "many", "wrong"]

NOW = 1_764_000_000.0
HOSTILE = "<script>alert(1)</script></title>\u202e\x1b[31m\x00 javascript:alert(1) \" ' & {{ 7 * 7 }}"


def wrong():
    """One model in each state, and one thing of each kind to tell."""
    models = (
        ModelStatus("domain_dga", "ONNX", "synced", "24d89a48" * 8, 33_000, NOW - 7200, NOW - 7200),
        ModelStatus(
            "fraud_score",
            "ONNX",
            "failed",
            None,
            None,
            NOW - 240,
            NOW - 300_000,
            "network",
            "fraud_score: the server did not answer within 60 s",
            "check that the server can be reached",
        ),
        ModelStatus(
            "login_odds",
            "H2O",
            "blocked",
            "cf738305" * 8,
            47_600,
            NOW - 3600,
            NOW - 9000,
            "file/misfit",
            "models.yaml:12:5: login_odds: it is no MOJO; it waits until its file or its entry changes",
            "export it again, or correct engine or file",
        ),
        ModelStatus("login_profile", "ONNX", "settling", "6b9ea655" * 8, 1200, NOW - 3, NOW - 500_000),
        ModelStatus(
            "login_risk",
            "CATBOOST",
            "drifted",
            "b63770b5" * 8,
            33_600,
            NOW - 1000,
            NOW - 90_000,
            "drift",
            "login_risk was changed on the server, outside mmsync (content)",
        ),
        ModelStatus("new_one", "ONNX", "pending", None, None, NOW - 2, None),
        ModelStatus("old_thing", None, "unmanaged", None, None, NOW - 86_400, None),
    )
    conditions = (
        *(
            ConditionStatus("drift" if one.state == "drifted" else "model", one.name, level, one.code, one.message, one.hint, one.since)
            for one in models
            if one.message
            for level in ["warning" if one.state == "drifted" else "error"]
        ),
        ConditionStatus("orphans", "", "info", "orphans", "inside scope and listed by nothing: old_thing", "", NOW - 60),
        ConditionStatus(
            "server", "", "error", "network", "https://models.example: connection refused", "check the network", NOW - 240
        ),
    )  # fmt: skip
    done = ChangeRecord("domain_dga", "add", (), "verified", "", "", "24d89a48" * 8, 33_000, 33_000)
    refused = ChangeRecord(
        "login_odds", "change", ("content",), "failed", "refused", "the server said no", "cf738305" * 8, 47_600, 0
    )
    return Status(
        "1.2.3",
        NOW - 86_400,
        NOW - 1,
        5,
        "degraded",
        manifests=("models.yaml",),
        server=ServerName("https://models.example/mlmodelmanager", "self"),
        models=models,
        conditions=conditions,
        diagnostics=(
            Diagnostic(
                "error",
                "manifest/unknown-key",
                "a model has no key 'engin'",
                "did you mean engine?",
                Source("models.yaml", 4, 5),
            ),
        ),
        history=(
            Reconcile(NOW - 240, 60.1, "failed", "the server did not answer"),
            Reconcile(NOW - 3600, 1.2, "incomplete", "1 added, 1 not done; 4 unchanged", (refused, done), 3),
            Reconcile(NOW - 3900, 0.02, "unchanged", "nothing to change; 5 unchanged"),
        ),
        activity=Activity(NOW - 2, 3, 12),
        last_success_at=NOW - 3900,
    )


def many(count=10_000):
    """So many models, all in sync, and a hundred reconciles."""
    models = tuple(
        ModelStatus(f"model_{n:05}", "ONNX" if n % 2 else "CATBOOST", "synced", f"{n:064x}", n, NOW - n, NOW - n)
        for n in range(count)
    )
    history = (Reconcile(NOW - 60, 0.4, "unchanged", f"nothing to change; {count} unchanged"),) * 100
    return Status(
        "1.2.3",
        NOW - 86_400,
        NOW - 1,
        5,
        "ok",
        manifests=("models.yaml",),
        server=ServerName("https://models.example"),
        models=models,
        history=history,
        last_success_at=NOW - 60,
        is_ready=True,
    )


def hostile():
    """The worst that names, engines and a server's words can be."""
    long = HOSTILE * 100 + "x" * 10_000
    change = ChangeRecord(long, "add", (HOSTILE,), "failed", HOSTILE, long, None, None, 1)
    return Status(
        "1.2.3",
        NOW - 60,
        NOW,
        5,
        "degraded",
        manifests=(HOSTILE,),
        server=ServerName(HOSTILE, HOSTILE),
        models=(
            ModelStatus("", "", "failed", HOSTILE, None, NOW, None),
            ModelStatus(HOSTILE, HOSTILE, "failed", None, None, NOW, None, HOSTILE, long, long),
            ModelStatus(long, long, "failed", None, None, NOW, None, HOSTILE, long, long),
        ),
        conditions=(
            ConditionStatus("server", HOSTILE, "error", HOSTILE, long, long, NOW),
            ConditionStatus("notice", HOSTILE, "info", HOSTILE, long, long, NOW),
        ),
        diagnostics=(Diagnostic("error", HOSTILE, long, HOSTILE, Source(HOSTILE, 1)),),
        history=(Reconcile(NOW, 1.0, "failed", long, (change,)),),
    )
