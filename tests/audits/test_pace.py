"""How fast violations go, and what may be said about when none will be left."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.pace import Level, Life, pace, spoken

NEWEST = datetime(2026, 3, 29, 12, tzinfo=UTC)


def day(number: int) -> datetime:
    """A moment so many days before the newest commit."""
    return NEWEST - timedelta(days=number)


def test_median_is_over_the_places_that_are_gone() -> None:
    lives = [Life(day(10), day(9)), Life(day(10), day(7)), Life(day(10), day(1)), Life(day(40), None)]
    found = pace(lives, [Level(day(40), 1)], NEWEST)
    assert (found.fixed, found.median_to_fix, found.oldest_open) == (
        3,
        timedelta(days=3),
        timedelta(days=40),
    )


def test_forecast_goes_on_as_in_the_last_four_weeks_and_says_so() -> None:
    found = pace([], [Level(day(60), 30), Level(day(30), 28), Level(day(2), 14)], NEWEST)
    assert found.forecast == date(2026, 4, 26)
    assert found.words == (
        "None would be left by 26 April 2026, if it goes on as in the 28 days up to the newest commit: "
        "from 28 to 14, new ones counted."
    )


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([], ""),
        ([Level(day(40), 3), Level(day(1), 0)], ""),
        ([Level(day(27), 3), Level(day(1), 2)], "No forecast: it is known for less than 28 days."),
        (
            [Level(day(40), 3)],
            "No forecast: as many as 28 days before the newest commit.",
        ),
        (
            [Level(day(40), 3), Level(day(1), 5)],
            "No forecast: 2 more than 28 days before the newest commit.",
        ),
        (
            [Level(day(40), 900), Level(day(1), 899)],
            "No forecast: only 1 went in the 28 days up to the newest commit.",
        ),
    ],
    ids=["never any", "none left", "too young", "standing still", "growing", "too slow"],
)
def test_no_day_is_named_where_there_is_no_telling(levels: list[Level], words: str) -> None:
    found = pace([], levels, NEWEST)
    assert (found.forecast, found.words) == (None, words)


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 10_000)), max_size=30))
def test_a_forecast_lies_ahead_whatever_the_numbers(points: list[tuple[int, int]]) -> None:
    levels = [Level(day(ago), left) for ago, left in sorted(points, reverse=True)]
    found = pace([], levels, NEWEST)
    assert found.forecast is None or NEWEST.date() <= found.forecast
    assert (found.words == "") == (not levels or levels[-1].left == 0)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=20), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(days=2_000), "2,000 days"),
    ],
)
def test_spans_are_said_in_minutes_hours_or_days(span: timedelta, words: str) -> None:
    assert spoken(span) == words
