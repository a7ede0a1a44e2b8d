"""Drawings of numbers over time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ids import charts


@pytest.mark.parametrize(
    ("value", "top"), [(0, 4), (1, 4), (4, 4), (5, 8), (9, 12), (41, 80), (1_000, 1_200)]
)
def test_an_axis_ends_at_a_number_that_divides_into_four(value: int, top: int) -> None:
    assert charts.rounded_up(value) == top


def test_a_chart_steps_along_its_slots() -> None:
    chart = charts.draw([[0, 4, 4], [2, 2, 2]], ["a", "b", "c"])
    bottom, top = charts.HEIGHT - charts.BOTTOM, charts.TOP
    step = (charts.WIDTH - charts.LEFT - charts.RIGHT) / 3
    assert chart.paths[0] == f"M56 {bottom}H{round(56 + step, 1):g}V{top}H948"
    assert chart.paths[1] == f"M56 {(bottom + top) / 2:g}H948"
    assert [tick.label for tick in chart.rows] == ["0", "1", "2", "3", "4"]
    assert [tick.label for tick in chart.columns] == ["a", "b", "c"]


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=90))
def test_a_small_line_stays_within_its_box(values: list[int]) -> None:
    path = charts.sparkline(values)
    heights = [float(y) for y in re.findall(r"(?:V|M0 )([\d.e+-]+)", path)]
    assert all(0 <= y <= charts.SPARK_HEIGHT for y in heights)
    assert path.endswith(f"H{charts.SPARK_WIDTH}")
