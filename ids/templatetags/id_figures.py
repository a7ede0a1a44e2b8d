"""Numbers of ID types as people read them: small lines, rates, rough large numbers."""

from collections.abc import Sequence

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ids.charts import SPARK_HEIGHT, SPARK_WIDTH, sparkline

register = template.Library()

_LARGE = ((1e15, ""), (1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


@register.simple_tag
def spark(values: Sequence[int], label: str) -> SafeString:
    """A small line of numbers over time, which a screen reader reads as ``label`` and their sum."""
    title = f"{label}: {sum(values):,}, at most {max(values):,} a minute"
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>'
        '<path class="{}" d="{}"/></svg>',
        SPARK_WIDTH,
        SPARK_HEIGHT,
        title,
        title,
        "spark-line" if any(values) else "spark-line spark-flat",
        sparkline(values),
    )


@register.filter
def rate(value: float) -> str:
    """A number of events as people say it: whole above ten, with a digit below, "0" for nothing."""
    if value <= 0:
        return "0"
    if value < 0.05:
        return "< 0.1"
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


@register.filter
def rough(value: float) -> str:
    """A large number in words: 9,292, "2.6 million", "3.3 × 10^17"."""
    if value < 1e6:
        return f"{value:,.0f}"
    if value >= _LARGE[0][0]:
        mantissa, _, exponent = f"{value:.1e}".partition("e+")
        return f"{mantissa} × 10^{int(exponent)}"
    unit, word = next(entry for entry in _LARGE[1:] if value >= entry[0])
    return f"{value / unit:.1f} {word}"


@register.filter
def span(seconds: float) -> str:
    """A short time with three digits: ``0.31 ms``, ``4.2 ms``, ``1 s``."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
