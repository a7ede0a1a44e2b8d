"""Numbers over time as drawings: numbers in, coordinates of an SVG out. Pure; templates do the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

WIDTH: Final = 960
HEIGHT: Final = 240
LEFT: Final = 56
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 28
STEPS: Final = 4
SPARK_WIDTH: Final = 120
SPARK_HEIGHT: Final = 24


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines as SVG paths, in the order of the numbers, and ticks of both axes."""

    paths: tuple[str, ...]
    columns: tuple[Tick, ...]
    rows: tuple[Tick, ...]

    width = WIDTH
    height = HEIGHT
    left = LEFT
    right = WIDTH - RIGHT


def rounded_up(value: int) -> int:
    """The least number not below ``value`` that divides into four round steps."""
    unit = 1
    while unit * 10 * STEPS < value:
        unit *= 10
    return next(step * unit for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * unit * STEPS >= value) * STEPS


def draw(lines: Sequence[Sequence[int]], labels: Sequence[str]) -> Chart:
    """The chart of lines that have a number for each of the same slots of time, at least two, labelled by ``labels``.

    A slot's number is drawn as a step over the slot's width, because it is a sum over that time and nothing between.
    """
    top = rounded_up(max((max(line, default=0) for line in lines), default=0))
    slots = len(labels)
    step = (WIDTH - LEFT - RIGHT) / slots

    def y(value: int) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top, 1)

    ticks = dict.fromkeys(round(n * (slots - 1) / STEPS) for n in range(STEPS + 1))
    return Chart(
        paths=tuple(_steps([y(value) for value in line], LEFT, step) for line in lines),
        columns=tuple(Tick(round(LEFT + step * (n + 0.5), 1), HEIGHT - 8, labels[n]) for n in ticks),
        rows=tuple(Tick(LEFT, y(top * n // STEPS), f"{top * n // STEPS:,}") for n in range(STEPS + 1)),
    )


def sparkline(values: Sequence[int]) -> str:
    """The path of a small line over the whole width, from nought to the largest number; flat where all are nought."""
    top = max([*values, 1])
    step = SPARK_WIDTH / len(values)
    return _steps(
        [round(SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * value / top, 1) for value in values], 0, step
    )


def _steps(ys: Sequence[float], left: float, step: float) -> str:
    """A path that goes along each slot at its height."""
    parts = [f"M{left:g} {ys[0]:g}"]
    for place, (before, y) in enumerate(pairwise(ys), start=1):
        if y != before:
            parts.append(f"H{round(left + step * place, 1):g}V{y:g}")
    parts.append(f"H{round(left + step * len(ys), 1):g}")
    return "".join(parts)
