"""The exposition: by Prometheus' conventions, and no larger for ten thousand models."""

import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from mmsync.status import STATE_ORDER, ConditionStatus, EventBackend, ModelStatus, Status, Totals
from mmsync.status.metrics import exposition
from mmsync.types import ServerName

HOSTILE = 'x"} 1\n# HELP evil \u202e<script>\\'
BASE_UNITS = ("_seconds", "_bytes", "_total", "_info", "_ratio")
FOREIGN_UNITS = ("milli", "_ms", "_minutes", "_hours", "_kb", "_mb", "percent")


def status(count=3, name="model"):
    return Status(
        "1.2.3",
        started_at=1_700_000_000.0,
        at=1_700_000_100.0,
        revision=7,
        health="ok",
        server=ServerName(HOSTILE),
        events=EventBackend("polling", 4),
        models=tuple(
            ModelStatus(f"{name}{number}", HOSTILE, STATE_ORDER[number % 7], None, None, 1.0, None, HOSTILE, HOSTILE)
            for number in range(count)
        ),
        conditions=(ConditionStatus("server", HOSTILE, "error", HOSTILE, HOSTILE, HOSTILE, 1.0),),
        last_success_at=1_700_000_050.0,
        is_ready=True,
        totals=Totals(
            {"changed": 2, "failed": 1}, {0.1: 1, 1.0: 2, float("inf"): 0}, 1.75, {("add", "done"): 5}, 1234, 6, 2
        ),
    )


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def sample(found, name, **labels):
    return next(
        one.value
        for family in found.values()
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )


def test_what_it_says():
    body, media_type = exposition(status(8))
    assert media_type.startswith("text/plain")
    found = families(body.decode())
    assert sample(found, "mmsync_build_info", version="1.2.3") == 1
    assert sample(found, "mmsync_models", state="failed") == 2
    assert sample(found, "mmsync_models", state="synced") == 1
    assert sample(found, "mmsync_reconciles_total", result="changed") == 2
    assert sample(found, "mmsync_reconciles_total", result="incomplete") == 0
    assert sample(found, "mmsync_reconcile_duration_seconds_bucket", le="0.1") == 1
    assert sample(found, "mmsync_reconcile_duration_seconds_bucket", le="+Inf") == 3
    assert sample(found, "mmsync_reconcile_duration_seconds_count") == 3
    assert sample(found, "mmsync_reconcile_duration_seconds_sum") == 1.75
    assert sample(found, "mmsync_changes_total", action="add", outcome="done") == 5
    assert sample(found, "mmsync_upload_bytes_total") == 1234
    assert sample(found, "mmsync_retries_total") == 6
    assert sample(found, "mmsync_drift_found_total") == 2
    assert sample(found, "mmsync_last_success_timestamp_seconds") == 1_700_000_050
    assert sample(found, "mmsync_ready") == 1
    assert sample(found, "mmsync_conditions", level="error") == 1
    assert sample(found, "mmsync_watch_backend", backend="polling") == 1
    assert sample(found, "mmsync_watch_backend", backend="events") == 0
    assert sample(found, "mmsync_watch_rebuilds_total") == 4
    assert sample(found, "mmsync_start_time_seconds") == 1_700_000_000


def test_names_keep_to_the_conventions():
    for family in families(exposition(status())[0].decode()).values():
        assert re.fullmatch("[a-z][a-z0-9_]*", family.name)
        assert family.name.startswith(("mmsync_", "process_"))
        assert family.documentation
        assert not any(unit in family.name for unit in FOREIGN_UNITS)
        names = {one.name for one in family.samples}
        if family.type == "counter":
            assert all(name.endswith("_total") for name in names)
        else:
            assert not any(name.endswith("_total") for name in names)
        if family.type == "histogram":
            assert family.name.endswith(BASE_UNITS)
        # Labels that a name says already, or that a histogram has to itself.
        assert not {"le", "quantile"} & {
            label for one in family.samples for label in one.labels if not one.name.endswith("_bucket")
        }


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_as_many_series_for_ten_thousand_models_and_nothing_of_theirs(accept):
    def series(count, name):
        body, media_type = exposition(status(count, name), accept)
        assert ("openmetrics" in media_type) == bool(accept)
        parse = parse_openmetrics if accept else text_string_to_metric_families
        found = [
            (one.name, tuple(sorted(one.labels.items()))) for family in parse(body.decode()) for one in family.samples
        ]
        assert len(found) == len(set(found))
        return set(found), body

    few, _ = series(10, "model")
    many, body = series(10_000, HOSTILE)
    assert few == many
    assert b"<script" not in body
    assert b"evil" not in body
