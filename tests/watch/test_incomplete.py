"""A file copied with a pause in the middle is never seen half on the server."""

from __future__ import annotations

from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "models"


def test_half_a_copy_waits_and_the_whole_is_taken(root, watch, server):
    content = (QUICKSTART / "login_risk.cbm").read_bytes()
    (root / "models.yaml").write_text(
        "version: 1\nmodels:\n- {name: half, engine: CATBOOST, file: half.cbm}\n", "utf-8"
    )
    with (root / "half.cbm").open("wb") as copy:
        copy.write(content[:15000])
        copy.flush()
        process = watch()
        told = process.seen("model_failed", model="half")
        assert "incomplete, waiting" in told["message"]
        assert server.names() == []
        copy.write(content[15000:])
    process.until(lambda: server.holds({"half": content}))
    process.seen("model_recovered", model="half")
