"""What the counts of use say: rates, series, percentiles."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ids import figures
from ids.models import LATENCY_BOUNDS, Grain, IDType, IssuedID, Kind, TypeUse

NOW = datetime(2026, 3, 4, 5, 6, 15, tzinfo=UTC)
MINUTE = NOW.replace(second=0)


@pytest.fixture
def run(canonical_types: None) -> IDType:
    return IDType.objects.get(value="run")


def use(
    id_type: IDType, grain: Grain, starts_at: datetime, count: int, kind: str = "generated", **more: Any
) -> None:
    TypeUse.objects.create(type=id_type, grain=grain, starts_at=starts_at, count=count, kind=kind, **more)


def rates(id_type: IDType) -> tuple[int, float]:
    row: Any = figures.with_rates(IDType.objects.with_figures(), NOW).get(pk=id_type.pk)
    return row.today, row.per_minute


def test_the_rate_is_this_minutes_and_what_the_window_covers_of_the_last(run: IDType) -> None:
    assert rates(run) == (0, 0.0)
    use(run, Grain.MINUTE, MINUTE, 10)
    use(run, Grain.MINUTE, MINUTE, 2, "registered")
    use(run, Grain.MINUTE, MINUTE - timedelta(minutes=1), 100)
    use(run, Grain.MINUTE, MINUTE - timedelta(minutes=2), 1_000)
    use(run, Grain.MINUTE, MINUTE, 1_000, "rejected", reason="retired-type")
    assert rates(run)[1] == pytest.approx(12 + 100 * 0.75)


def test_today_is_the_day_in_utc(run: IDType) -> None:
    use(run, Grain.DAY, NOW.replace(hour=0, minute=0, second=0), 7)
    use(run, Grain.DAY, NOW.replace(hour=0, minute=0, second=0) - timedelta(days=1), 70)
    use(run, Grain.HOUR, NOW.replace(minute=0, second=0), 700)
    assert rates(run)[0] == 7


def test_the_last_hour_has_sixty_minutes_with_this_one_last(
    run: IDType, django_assert_num_queries: Any
) -> None:
    other = IDType.objects.get(value="thread")
    use(run, Grain.MINUTE, MINUTE, 3)
    use(run, Grain.MINUTE, MINUTE, 4, "registered")
    use(run, Grain.MINUTE, MINUTE - timedelta(minutes=59), 5)
    use(run, Grain.MINUTE, MINUTE - timedelta(minutes=60), 6)
    use(run, Grain.MINUTE, MINUTE + timedelta(minutes=1), 8)  # a clock ahead
    with django_assert_num_queries(1):
        series = figures.last_hour([run.pk, other.pk], NOW)
    assert series[run.pk] == (5, *[0] * 58, 7)
    assert series[other.pk] == (0,) * 60


@pytest.mark.parametrize("grain", [Grain.MINUTE, Grain.HOUR, Grain.DAY])
def test_a_period_has_each_slot_with_each_kind(
    run: IDType, grain: Grain, django_assert_num_queries: Any
) -> None:
    last = figures.start_of(grain, NOW)
    slots = figures.SLOTS[grain]
    step = timedelta(seconds=grain)
    use(run, grain, last, 9)
    use(run, grain, last - step, 1, "rejected", reason="retired-type")
    use(run, grain, last - step, 2, "rejected", reason="invalid-prefix")
    use(run, grain, last - step * (slots - 1), 4, "legacy")
    use(run, grain, last - step * slots, 400)
    use(run, grain, last, 400, "looked-up")
    with django_assert_num_queries(1):
        period = figures.period(run.pk, grain, NOW)
    assert len(period.slots) == slots and period.slots[-1].starts_at == last
    assert period.slots[-1].counts == (9, 0, 0, 0, 0)
    assert period.slots[-2].counts == (0, 0, 0, 3, 0)
    assert period.totals == (9, 0, 0, 3, 4)
    assert period.reasons == (("invalid-prefix", 2), ("retired-type", 1))
    assert [slot.counts for slot in period.busy_slots] == [(9, 0, 0, 0, 0), (0, 0, 0, 3, 0), (0, 0, 0, 0, 4)]


def test_percentiles_are_read_from_the_buckets(run: IDType) -> None:
    buckets = [0] * (len(LATENCY_BOUNDS) + 1)
    buckets[4], buckets[5], buckets[-1] = 50, 49, 1
    use(run, Grain.MINUTE, MINUTE, 100, buckets=buckets)
    use(run, Grain.MINUTE, MINUTE - timedelta(minutes=1), 100, buckets=buckets)
    p50, p95, p99 = figures.period(run.pk, Grain.MINUTE, NOW).quantiles
    assert (p50.name, p50.seconds) == ("p50", pytest.approx(LATENCY_BOUNDS[4]))
    assert LATENCY_BOUNDS[4] < p95.seconds < LATENCY_BOUNDS[5]
    assert p99.seconds == pytest.approx(LATENCY_BOUNDS[5]) and not p99.is_above


def test_what_took_longer_than_the_last_bound_is_said_to_be_above_it() -> None:
    quantiles = figures.quantiles([0] * len(LATENCY_BOUNDS) + [3])
    assert [(quantile.seconds, quantile.is_above) for quantile in quantiles] == [(1.0, True)] * 3
    assert figures.quantiles([0] * 15) == ()


def test_the_pace_is_the_mean_of_the_days_that_there_are(run: IDType) -> None:
    assert figures.pace(run.pk, NOW) == figures.Pace(0, 0.0)
    today = figures.start_of(Grain.DAY, NOW)
    use(run, Grain.DAY, today, 100)
    use(run, Grain.DAY, today - timedelta(days=1), 200, Kind.REGISTERED)
    use(run, Grain.DAY, today - timedelta(days=40), 9_000)
    elapsed = (NOW - (today - timedelta(days=1))).total_seconds() / 86_400
    assert figures.pace(run.pk, NOW) == figures.Pace(300, pytest.approx(300 / elapsed))


@pytest.mark.parametrize("hour", [0, 5, 23])
def test_a_first_day_has_a_number_and_no_pace(run: IDType, hour: int) -> None:
    now = NOW.replace(hour=hour)
    use(run, Grain.DAY, figures.start_of(Grain.DAY, now), 421)
    assert figures.pace(run.pk, now) == figures.Pace(421, None)


def test_who_issues_a_type_is_read_from_its_latest_ids(run: IDType, django_assert_num_queries: Any) -> None:
    def issued(number: int, issuer: str) -> IssuedID:
        return IssuedID(
            id=f"run_{number}_00000000",
            type=run,
            counter=number,
            issuer=issuer,
            issued_at=NOW + timedelta(seconds=number),
        )

    IssuedID.objects.bulk_create(
        issued(n, "token:old" if n < 3 else "token:CI" if n < 7 else "") for n in range(1, 9)
    )
    with django_assert_num_queries(1):
        assert figures.issuers(run, 6) == [("token:CI", 4), ("", 2)]
