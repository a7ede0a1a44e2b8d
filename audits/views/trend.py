"""A trend as a drawing: numbers in, coordinates of an SVG out. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

from ids.charts import STEPS, rounded_up

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 28
_COLUMNS = 420  # as many different places from left to right as an eye tells apart


class Moment(NamedTuple):
    """One commit of a trend: what is open of each line there, and what to say and where to go for it. There are tens of
    thousands of them."""

    time: datetime
    values: tuple[int, ...]
    sha: str
    subject: str


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A commit that changed much: where it stands on the drawing, and by how much."""

    x: float
    y: float
    change: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines as SVG paths, in the order of the values; ticks of both axes; the largest changes."""

    paths: tuple[str, ...]
    columns: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    marks: tuple[Mark, ...]

    width = WIDTH
    height = HEIGHT
    left = LEFT
    right = WIDTH - RIGHT
    bottom = HEIGHT - BOTTOM


def draw(moments: Sequence[Moment], *, by_time: bool, marks: int = 24) -> Drawing:
    """The drawing of commits in their order; at least one is needed."""
    series = list(zip(*(moment.values for moment in moments), strict=True))
    top = rounded_up(max(map(max, series), default=0))
    xs = _places(moments, by_time=by_time)
    columns = _spans(xs)

    def y(value: int) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top, 1)

    paths = tuple(_path(line, xs, columns, y) for line in series)
    rows = tuple(Tick(LEFT, y(top * step // STEPS), f"{top * step // STEPS:,}") for step in range(STEPS + 1))
    return Drawing(paths, _columns(moments, xs), rows, _marks(moments, xs, y, marks))


def _places(moments: Sequence[Moment], *, by_time: bool) -> list[float]:
    numbers = (
        [moment.time.timestamp() for moment in moments] if by_time else list(map(float, range(len(moments))))
    )
    # Clocks go wrong: a commit that claims to be older than the one before it stands where that one does.
    placed = list(accumulate(numbers, max))
    width = placed[-1] - placed[0] or 1.0
    return [round(LEFT + (WIDTH - LEFT - RIGHT) * (n - placed[0]) / width, 1) for n in placed]


def _spans(xs: Sequence[float]) -> list[tuple[int, int]]:
    """Where the commits of each column begin and end."""
    starts = [
        first for _, (first, *_) in groupby(range(len(xs)), key=lambda n: int(xs[n] * _COLUMNS / WIDTH))
    ]
    return list(zip(starts, [*starts[1:], len(xs)], strict=True))


def _path(
    line: Sequence[int], xs: Sequence[float], columns: Sequence[tuple[int, int]], y: Callable[[int], float]
) -> str:
    """Steps from point to point. Where many fall on one place, the first, highest, lowest and last of them stay."""
    parts: list[str] = []
    before: float | None = None
    for start, end in columns:
        column = line[start:end]
        kept = {start, end - 1, *(start + column.index(extreme(column)) for extreme in (max, min))}
        for index in sorted(kept):
            x, height = xs[index], y(line[index])
            if before is None:
                parts.append(f"M{x:g} {height:g}")
            elif height != before:
                parts.append(f"H{x:g}V{height:g}")
            before = height
    parts.append(f"H{xs[-1]:g}")
    return "".join(parts)


def _columns(moments: Sequence[Moment], xs: Sequence[float]) -> tuple[Tick, ...]:
    wanted = dict.fromkeys(round(step * (len(moments) - 1) / STEPS) for step in range(STEPS + 1))
    ticks: list[Tick] = []
    for index in wanted:
        if not ticks or xs[index] - ticks[-1].x > 90:
            ticks.append(Tick(xs[index], HEIGHT - 8, f"{moments[index].time:%d %b %Y}"))
    return tuple(ticks)


def _marks(
    moments: Sequence[Moment], xs: Sequence[float], y: Callable[[int], float], limit: int
) -> tuple[Mark, ...]:
    """The commits that changed most, each on the line that it changed most."""
    changes = [after - before for before, after in pairwise(sum(moment.values) for moment in moments)]
    largest = nlargest(limit, range(len(changes)), key=lambda n: abs(changes[n]))
    return tuple(
        Mark(xs[n + 1], y(_most_changed(moments[n], moments[n + 1])), changes[n], moments[n + 1])
        for n in sorted(largest)
        if changes[n]
    )


def _most_changed(before: Moment, after: Moment) -> int:
    """Of the values after it the one that is furthest from what it was."""
    pairs = zip(before.values, after.values, strict=True)
    return max(pairs, key=lambda pair: abs(pair[1] - pair[0]))[1]
