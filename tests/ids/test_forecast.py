"""When two IDs of a type could be the same."""

from datetime import UTC, datetime, timedelta

import pytest

from ids.forecast import birthday_bound, forecast, seconds_until_timed_risk
from ids.formats import FORMATS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bits", "risk", "numbers"), [(32, 0.01, 9_292), (32, 0.5, 77_163), (32, 0.99, 198_890)]
)
def test_the_bound_is_that_of_the_birthday_problem(bits: int, risk: float, numbers: int) -> None:
    assert birthday_bound(bits, risk) == pytest.approx(numbers, abs=5)


def test_a_counter_never_repeats() -> None:
    result = forecast(FORMATS["structured"], 10**12, 1e9, NOW)
    assert result.is_counted and result.reached is None and result.years is None and not result.is_reached
    assert result.bits == 32


def test_random_ids_reach_the_risk_when_their_number_does() -> None:
    limit = birthday_bound(122)
    result = forecast(FORMATS["uuid4"], 0, limit / 100, NOW)
    assert result.ids_at_risk == pytest.approx(limit)
    assert result.reached is not None
    assert abs(result.reached - NOW - timedelta(days=100)) < timedelta(minutes=1)
    half_way = forecast(FORMATS["uuid4"], round(limit / 2), limit / 100, NOW)
    assert half_way.reached is not None and half_way.reached < result.reached


def test_what_is_past_the_last_year_has_no_day_and_what_is_reached_says_so() -> None:
    far = forecast(FORMATS["uuid4"], 10, 1_000.0, NOW)
    assert far.reached is None and far.years is not None and far.years > 10**9
    assert forecast(FORMATS["uuid4"], 10**19, 1_000.0, NOW).is_reached


@pytest.mark.parametrize("name", ["ulid", "uuid7", "typeid"])
def test_timed_ids_collide_within_a_millisecond_only(name: str) -> None:
    result = forecast(FORMATS[name], 10**30, 86_400 * 1_000_000.0, NOW)
    assert result.is_timed and result.ids_at_risk is None and not result.is_reached
    assert result.years is not None and result.years * 365.25 * 86_400 == pytest.approx(
        seconds_until_timed_risk(result.bits, 1_000_000)
    )


def test_timed_risk_is_that_of_the_pairs_that_share_a_millisecond() -> None:
    # 2 000 a second: two thousand pairs a second share one of 1 000 milliseconds
    assert seconds_until_timed_risk(10, 2_000, 0.5) == pytest.approx(0.6931 * 1024 / 2_000, rel=1e-3)


@pytest.mark.parametrize("name", ["uuid4", "ulid"])
def test_without_a_pace_there_is_no_day(name: str) -> None:
    result = forecast(FORMATS[name], 5, 0.0, NOW)
    assert result.reached is None and result.years is None
