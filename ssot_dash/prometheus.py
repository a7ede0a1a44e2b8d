"""The site's metrics for Prometheus, read from rows when they are asked for.

No process keeps numbers of its own, so however many web and worker processes there are on however many hosts, any of
them answers for all.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from audits.models import Audit, State, TestRun, Violation
from ids.models import LATENCY_BOUNDS, Grain, IDType, Kind, TypeUse
from ssot_dash import health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTED = {
    Kind.GENERATED: ("ssot_ids_generated", "IDs generated"),
    Kind.REGISTERED: ("ssot_ids_registered", "IDs from elsewhere registered"),
    Kind.RELEASED: ("ssot_ids_released", "IDs released"),
    Kind.LOOKED_UP: ("ssot_ids_looked_up", "IDs looked up"),
    Kind.VALIDATED: ("ssot_ids_validated", "IDs validated"),
    Kind.LEGACY: ("ssot_ids_legacy", "IDs accepted in a legacy format"),
    Kind.DEPRECATED: ("ssot_ids_deprecated", "IDs generated although their type is deprecated"),
}


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows())
    return generate_latest(registry)


class _Rows(Collector):
    def collect(self) -> Iterable[Metric]:
        yield from _ids()
        yield from _audits()
        yield from _processes()


def _ids() -> Iterable[Metric]:
    types: dict[int, str] = dict(IDType.objects.values_list("pk", "value"))
    counters = {
        kind.value: CounterMetricFamily(name, f"{words}.", labels=["type"])
        for kind, (name, words) in _COUNTED.items()
    }
    rejected = CounterMetricFamily(
        "ssot_ids_rejected", "Calls refused; without a type where there is none.", labels=["type", "reason"]
    )
    seconds = HistogramMetricFamily(
        "ssot_ids_generate_seconds", "How long a call to generate took.", labels=["type"]
    )
    for row in TypeUse.objects.filter(grain=Grain.EVER).order_by("type_id", "kind", "reason"):
        value = types.get(row.type_id, "")
        if row.kind == Kind.REJECTED:
            rejected.add_metric([value, row.reason], row.count)
        elif value and row.kind in counters:
            counters[row.kind].add_metric([value], row.count)
            if row.kind == Kind.GENERATED and row.buckets:
                seconds.add_metric([value], _cumulative(row.buckets), row.seconds)
    yield from counters.values()
    yield rejected
    yield seconds
    issued = GaugeMetricFamily("ssot_ids_issued", "IDs issued since ever, exactly.", labels=["type"])
    active = GaugeMetricFamily("ssot_ids_active", "IDs issued and not released, exactly.", labels=["type"])
    totals: Any = IDType.objects.with_figures().order_by("value")
    for value, issued_total, active_total in totals.values_list("value", "issued_total", "active_total"):
        issued.add_metric([value], issued_total)
        active.add_metric([value], active_total)
    yield issued
    yield active


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    """(upper bound, how many ended within it) for each bucket, as Prometheus wants them."""
    total = 0
    pairs = []
    for bound, count in zip([*map(str, LATENCY_BOUNDS), "+Inf"], buckets, strict=True):
        total += count
        pairs.append((bound, float(total)))
    return pairs


def _audits() -> Iterable[Metric]:
    audits = GaugeMetricFamily("ssot_audits", "Audits by state.", labels=["state"])
    counts = dict(Audit.objects.order_by().values_list("state").annotate(Count("pk")))
    for state in State.values:
        audits.add_metric([state], counts.get(state, 0))
    yield audits
    violations = GaugeMetricFamily(
        "ssot_violations_open",
        "Open violations that no waiver covers.",
        labels=["repository", "rule", "zone"],
    )
    keys = ("repository__slug", "rule", "zone")
    kept = {"repository__removed_at": None}
    rows = (
        Violation.objects.counting().filter(**kept).order_by().values_list(*keys).annotate(count=Count("*"))
    )
    for slug, rule, zone, count in sorted(rows):
        violations.add_metric([slug, rule, zone], count)
    yield violations
    runs = GaugeMetricFamily("ssot_test_runs", "Test runs by state.", labels=["repository", "state"])
    listed = (
        TestRun.objects.filter(**kept)
        .order_by()
        .values_list("repository__slug", "state")
        .annotate(count=Count("pk"))
    )
    for slug, state, count in sorted(listed):
        runs.add_metric([slug, state], count)
    yield runs


def _processes() -> Iterable[Metric]:
    ready = GaugeMetricFamily("ssot_ready", "1 where a part is well, as at /readyz.", labels=["part"])
    for check in health.checks():
        ready.add_metric([check.name], int(check.is_ok))
    yield ready
    waiting = GaugeMetricFamily("ssot_queue_length", "Messages that wait for a worker.", labels=["queue"])
    heard = GaugeMetricFamily("ssot_queue_workers", "Live workers that listen to a queue.", labels=["queue"])
    for queue in health.queues():
        heard.add_metric([queue.name], queue.workers)
        if queue.length is not None:
            waiting.add_metric([queue.name], queue.length)
    yield waiting
    yield heard
    age = health.age_of_beat()
    if age is not None:
        yield GaugeMetricFamily("ssot_beat_age_seconds", "Since the scheduler's last tick.", value=age)
    yield GaugeMetricFamily(
        "ssot_workers", "Workers with a sign of life lately.", value=health.live_workers()
    )
