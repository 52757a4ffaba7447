"""The status for Prometheus: counts and times, by its conventions, with no label that grows with the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from mmsync.status.model import ReconcileResult, Status
from mmsync.status.summary import counts


def exposition(status: Status, accept: str = "") -> tuple[bytes, str]:
    """Return the metrics and their media type: OpenMetrics where ``accept`` asks for it, else Prometheus' text."""
    encode, media_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Collector(status))
    ProcessCollector(registry=registry)
    return encode(registry), media_type


class _Collector(Collector):
    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status, totals = self._status, self._status.totals
        build = GaugeMetricFamily("mmsync_build_info", "The version that runs; always 1.", labels=["version"])
        build.add_metric([status.version], 1)
        yield build
        yield GaugeMetricFamily(
            "mmsync_start_time_seconds", "When the watcher started, since the epoch.", value=status.started_at
        )
        yield GaugeMetricFamily(
            "mmsync_ready", "Whether the last reconcile reached the server.", value=int(status.is_ready)
        )
        yield GaugeMetricFamily(
            "mmsync_last_success_timestamp_seconds",
            "When a reconcile last ended with all done that was to be done, since the epoch; 0 for never.",
            value=status.last_success_at or 0,
        )
        models = GaugeMetricFamily("mmsync_models", "Models by state.", labels=["state"])
        for state, count in counts(status).items():
            models.add_metric([state], count)
        yield models
        conditions = GaugeMetricFamily("mmsync_conditions", "Conditions that last, by level.", labels=["level"])
        for level in ("error", "warning", "info"):
            conditions.add_metric([level], sum(one.level == level for one in status.conditions))
        yield conditions
        yield from self._reconciles()
        changes = CounterMetricFamily(
            "mmsync_changes", "Changes tried, by action and outcome.", labels=["action", "outcome"]
        )
        for action in ("add", "change", "delete"):
            for outcome in ("done", "not-done"):
                changes.add_metric([action, outcome], totals.changes.get((action, outcome), 0))
        yield changes
        yield CounterMetricFamily("mmsync_upload_bytes", "Bytes of models sent to the server.", value=totals.uploaded)
        yield CounterMetricFamily(
            "mmsync_retries",
            "Attempts, of a reconcile or of one change, that had to be made again.",
            value=totals.retries,
        )
        yield CounterMetricFamily(
            "mmsync_drift_found", "Models found changed on the server outside mmsync.", value=totals.drift
        )
        backend = GaugeMetricFamily(
            "mmsync_watch_backend", "How changes of files become known: 1 for the one in use.", labels=["backend"]
        )
        for name in ("events", "polling"):
            backend.add_metric([name], int(status.events.name == name))
        yield backend
        yield CounterMetricFamily(
            "mmsync_watch_rebuilds", "How often the listener for file events failed.", value=status.events.rebuilds
        )

    def _reconciles(self) -> Iterator[Metric]:
        totals = self._status.totals
        results = CounterMetricFamily("mmsync_reconciles", "Reconciles by result.", labels=["result"])
        for result in get_args(ReconcileResult):
            results.add_metric([result], totals.reconciles.get(result, 0))
        yield results
        seconds = HistogramMetricFamily("mmsync_reconcile_duration_seconds", "How long reconciles took.")
        buckets, below = [], 0
        for bound, count in sorted(totals.seconds.items()):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), below))
        seconds.add_metric([], buckets or [("+Inf", 0)], sum_value=totals.seconds_sum)
        yield seconds
