"""What the counts of use say: rates, series over time, percentiles. Reads sums by their index, never issued IDs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, F, FloatField, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from ids.metrics import start_of
from ids.models import LATENCY_BOUNDS, Grain, IDType, IDTypeQuerySet, Kind, TypeUse

ISSUING: Final = (Kind.GENERATED, Kind.REGISTERED)
SPARK_MINUTES: Final = 60
RATE_DAYS: Final = 30
LATEST_OF_ISSUERS: Final = 1_000
MOST_ISSUERS: Final = 10
# how many slots of a grain a chart has
SLOTS: Final[Mapping[Grain, int]] = {Grain.MINUTE: 60, Grain.HOUR: 48, Grain.DAY: 90}
CHARTED: Final = (Kind.GENERATED, Kind.REGISTERED, Kind.RELEASED, Kind.REJECTED, Kind.LEGACY)


def with_rates(types: IDTypeQuerySet, now: datetime) -> IDTypeQuerySet:
    """Adds ``today`` (issued since midnight UTC) and ``per_minute`` (issued in the last sixty seconds, estimated).

    The estimate is the usual one of a sliding window: this minute's sum, and of the last minute's as much as the window
    still covers. One query with the rest; each type costs three look-ups in the index.
    """
    minute, day = start_of(Grain.MINUTE, now), start_of(Grain.DAY, now)
    uncovered = 1 - (now - minute).total_seconds() / 60
    of_type = TypeUse.objects.filter(type=OuterRef("pk"), kind__in=ISSUING).order_by().values("type")
    today = of_type.filter(grain=Grain.DAY, starts_at=day).annotate(sum=Sum("count"))
    weight = Case(
        When(starts_at=minute, then=Value(1.0)), default=Value(uncovered), output_field=FloatField()
    )
    recent = of_type.filter(
        grain=Grain.MINUTE, starts_at__in=[minute, minute - timedelta(minutes=1)]
    ).annotate(sum=Sum(F("count") * weight))
    return types.annotate(
        today=Coalesce(Subquery(today.values("sum")), 0),
        per_minute=Coalesce(Subquery(recent.values("sum"), output_field=FloatField()), 0.0),
    )


def last_hour(type_ids: Sequence[int], now: datetime) -> dict[int, tuple[int, ...]]:
    """Type id to what was issued in each of the last sixty minutes, this one last. One query."""
    first = start_of(Grain.MINUTE, now) - timedelta(minutes=SPARK_MINUTES - 1)
    series = {type_id: [0] * SPARK_MINUTES for type_id in type_ids}
    rows = TypeUse.objects.filter(
        type__in=type_ids, grain=Grain.MINUTE, starts_at__gte=first, kind__in=ISSUING
    ).values_list("type_id", "starts_at", "count")
    for type_id, starts_at, count in rows:
        if (place := int((starts_at - first).total_seconds() // 60)) < SPARK_MINUTES:
            series[type_id][place] += count
    return {type_id: tuple(values) for type_id, values in series.items()}


@dataclass(frozen=True, slots=True)
class Slot:
    """One minute, hour or day: how often each of ``CHARTED`` happened in it."""

    starts_at: datetime
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Quantile:
    """A percentile of how long generating took. ``seconds`` is a bound where ``is_above``: it took longer than that."""

    name: str
    seconds: float
    is_above: bool = False


@dataclass(frozen=True, slots=True)
class Period:
    """What happened to IDs of a type in the slots of one grain, the present one last."""

    grain: Grain
    slots: tuple[Slot, ...]
    totals: tuple[int, ...]
    reasons: tuple[tuple[str, int], ...]
    quantiles: tuple[Quantile, ...]

    @property
    def lines(self) -> tuple[tuple[int, ...], ...]:
        """The slots' numbers, kind by kind."""
        return tuple(tuple(slot.counts[n] for slot in self.slots) for n in range(len(CHARTED)))

    @property
    def busy_slots(self) -> tuple[Slot, ...]:
        """Those in which anything happened, the latest first."""
        return tuple(slot for slot in reversed(self.slots) if any(slot.counts))


def period(type_id: int, grain: Grain, now: datetime) -> Period:
    """The last minutes, hours or days of a type. One query of a bounded number of rows."""
    length = timedelta(seconds=grain)
    last = start_of(grain, now)
    first = last - length * (SLOTS[grain] - 1)
    counts = [[0] * len(CHARTED) for _ in range(SLOTS[grain])]
    reasons: dict[str, int] = {}
    buckets = [0] * (len(LATENCY_BOUNDS) + 1)
    places = {kind.value: place for place, kind in enumerate(CHARTED)}
    rows = TypeUse.objects.filter(type=type_id, grain=grain, starts_at__gte=first, kind__in=places)
    for row in rows:
        slot = (row.starts_at - first) // length
        if slot >= len(counts):
            continue  # a clock ahead of ours
        counts[slot][places[row.kind]] += row.count
        if row.kind == Kind.REJECTED:
            reasons[row.reason] = reasons.get(row.reason, 0) + row.count
        elif row.kind == Kind.GENERATED and row.buckets:
            buckets = [a + b for a, b in zip(buckets, row.buckets, strict=True)]
    return Period(
        grain=grain,
        slots=tuple(Slot(first + length * n, tuple(slot)) for n, slot in enumerate(counts)),
        totals=tuple(sum(slot[n] for slot in counts) for n in range(len(CHARTED))),
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        quantiles=quantiles(buckets),
    )


def quantiles(buckets: Sequence[int], wanted: Iterable[int] = (50, 95, 99)) -> tuple[Quantile, ...]:
    """Percentiles from counts by bucket, evenly spread within each, as Prometheus reads histograms; none of nothing."""
    total = sum(buckets)
    return tuple(_quantile(buckets, total, percent) for percent in wanted) if total else ()


def _quantile(buckets: Sequence[int], total: int, percent: int) -> Quantile:
    rank = total * percent / 100
    below = 0
    for place, count in enumerate(buckets):
        if below + count >= rank and count:
            if place == len(LATENCY_BOUNDS):
                break
            low = LATENCY_BOUNDS[place - 1] if place else 0.0
            high = LATENCY_BOUNDS[place]
            return Quantile(f"p{percent}", low + (high - low) * (rank - below) / count)
        below += count
    return Quantile(f"p{percent}", LATENCY_BOUNDS[-1], is_above=True)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many IDs a type issued over the last thirty days, and how many a day that is.

    ``per_day`` is None where all of them are of today: a part of a day says nothing of a day.
    """

    issued: int
    per_day: float | None


def pace(type_id: int, now: datetime) -> Pace:
    """How a type issued of late, over thirty days or as long as its counts go back. One query."""
    today = start_of(Grain.DAY, now)
    rows = TypeUse.objects.filter(
        Q(type=type_id, grain=Grain.DAY, kind__in=ISSUING, starts_at__gt=today - timedelta(days=RATE_DAYS))
    ).values_list("starts_at", "count")
    listed = list(rows)
    issued = sum(count for _starts_at, count in listed)
    if not issued:
        return Pace(0, 0.0)
    first = min(starts_at for starts_at, _count in listed)
    return Pace(issued, issued / ((now - first).total_seconds() / 86_400) if first < today else None)


def issuers(id_type: IDType, latest: int = LATEST_OF_ISSUERS) -> list[tuple[str, int]]:
    """Who asked for the latest recorded IDs of a type, and for how many of them; most first. One query, by an index.

    Nobody's name ("") stands for those who generate in the site's own processes without saying who they are.
    """
    newest = id_type.issued_ids.order_by("-issued_at").values_list("issuer", flat=True)[:latest]
    return Counter(newest).most_common(MOST_ISSUERS)
