"""A trend as a drawing: numbers in, coordinates of an SVG out. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ids.charts import STEPS, rounded_up

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 28
_COLUMNS = 420  # as many different places from left to right as an eye tells apart


@dataclass(frozen=True, slots=True)
class Moment:
    """One commit of a trend: what is open of each line there, and what to say and where to go for it."""

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
    top = rounded_up(max((max(moment.values, default=0) for moment in moments), default=0))
    xs = _places(moments, by_time=by_time)

    def y(value: int) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top, 1)

    paths = tuple(
        _path([(x, y(moment.values[line])) for x, moment in zip(xs, moments, strict=True)])
        for line in range(len(moments[0].values))
    )
    rows = tuple(Tick(LEFT, y(top * step // STEPS), f"{top * step // STEPS:,}") for step in range(STEPS + 1))
    return Drawing(paths, _columns(moments, xs), rows, _marks(moments, xs, y, marks))


def _places(moments: Sequence[Moment], *, by_time: bool) -> list[float]:
    numbers = (
        [moment.time.timestamp() for moment in moments] if by_time else list(map(float, range(len(moments))))
    )
    # Clocks go wrong: a commit that claims to be older than the one before it stands where that one does.
    low = numbers[0]
    placed = []
    for number in numbers:
        low = max(low, number)
        placed.append(low)
    width = placed[-1] - placed[0] or 1.0
    return [round(LEFT + (WIDTH - LEFT - RIGHT) * (n - placed[0]) / width, 1) for n in placed]


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Steps from point to point. Where many fall on one place, the first, highest, lowest and last of them stay."""
    columns: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        columns.setdefault(int(point[0] * _COLUMNS / WIDTH), []).append(point)
    parts: list[str] = []
    before: float | None = None
    for column in columns.values():
        kept = {0, len(column) - 1, *(column.index(f(column, key=lambda p: p[1])) for f in (min, max))}
        for x, y in (column[index] for index in sorted(kept)):
            if before is None:
                parts.append(f"M{x:g} {y:g}")
            elif y != before:
                parts.append(f"H{x:g}V{y:g}")
            before = y
    parts.append(f"H{points[-1][0]:g}")
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
    found = []
    for index in range(1, len(moments)):
        change = sum(moments[index].values) - sum(moments[index - 1].values)
        if change:
            line = max(
                range(len(moments[index].values)),
                key=lambda n: abs(moments[index].values[n] - moments[index - 1].values[n]),
            )
            found.append(Mark(xs[index], y(moments[index].values[line]), change, moments[index]))
    largest = sorted(found, key=lambda mark: -abs(mark.change))[:limit]
    return tuple(sorted(largest, key=lambda mark: mark.x))
