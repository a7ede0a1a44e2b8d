"""How fast violations go: the median time to fix, and when none would be left at the present pace. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

WINDOW = timedelta(days=28)
# Further ahead than this a pace says nothing.
_HORIZON = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class Life:
    """When a violation began, and when it was gone for good; None: it is still open."""

    began: datetime
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Level:
    """How many violations were open from a time on."""

    at: datetime
    left: int


@dataclass(frozen=True, slots=True)
class Pace:
    """``median_to_fix`` is over the ``fixed`` violations that are gone, ``oldest_open`` the age of the oldest that is
    not, both None when there is none. ``forecast`` is the day on which none would be left, None when there is no
    telling; ``words`` say why, and on which assumption it rests."""

    fixed: int
    median_to_fix: timedelta | None
    oldest_open: timedelta | None
    forecast: date | None
    words: str


def pace(lives: Sequence[Life], levels: Sequence[Level], newest: datetime) -> Pace:
    """The pace up to ``newest``, the time of the newest commit. ``levels`` are in the order of commits, of which the
    last is that of now."""
    spans = [max(life.ended - life.began, timedelta(0)) for life in lives if life.ended is not None]
    ages = [max(newest - life.began, timedelta(0)) for life in lives if life.ended is None]
    day, words = _forecast(levels, newest)
    return Pace(
        fixed=len(spans),
        median_to_fix=timedelta(seconds=median(s.total_seconds() for s in spans)) if spans else None,
        oldest_open=max(ages, default=None),
        forecast=day,
        words=words,
    )


def _forecast(levels: Sequence[Level], newest: datetime) -> tuple[date | None, str]:
    """A straight line through the first and the last day of the window."""
    now = levels[-1].left if levels else 0
    if not now:
        return None, ""
    since = newest - WINDOW
    then = next((level.left for level in reversed(levels) if level.at <= since), None)
    days = WINDOW.days
    if then is None:
        return None, f"No forecast: it is known for less than {days} days."
    went = then - now
    if went <= 0:
        compared = "as many as" if went == 0 else f"{-went:,} more than"
        return None, f"No forecast: {compared} {days} days before the newest commit."
    ahead = WINDOW * (now / went)
    if ahead > _HORIZON:
        return None, f"No forecast: only {went:,} went in the {days} days up to the newest commit."
    day = (newest + ahead).date()
    words = (
        f"None would be left by {day.day} {day:%B %Y}, if it goes on as in the {days} days up to the newest commit: "
        f"from {then:,} to {now:,}, new ones counted."
    )
    return day, words


def spoken(span: timedelta) -> str:
    """A span of time as people say it, in minutes, hours or days."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return _many(minutes, "minute")
    if minutes < 48 * 60:
        return _many(round(minutes / 60), "hour")
    return _many(round(minutes / 1440), "day")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
