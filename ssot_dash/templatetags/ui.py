"""Template tags that every page may use without ``{% load %}``: icons, times, durations, the active entry of a menu."""

import re
from datetime import UTC, datetime

from django import template
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """One Tabler icon from the sprite ``static/icons.svg``.

    Without ``label`` it is decoration and hidden from screen readers; with one it is an image of that name.
    """
    href = f"{static('icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}"></use></svg>', label, href
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"></use></svg>', href)


@register.simple_tag
def when(moment: datetime | None, style: str = "absolute", empty: str = "never") -> SafeString:
    """A time: UTC with minutes here, and ``site.js`` turns it into the reader's zone.

    ``style``: ``absolute`` ("23 Nov 2026, 08:35"), ``relative`` ("3 min ago", the time itself as tooltip) or ``due``
    (relative, and "due now" once it has come).
    """
    if moment is None:
        return format_html('<span class="text-secondary">{}</span>', empty)
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-local="{}">{}</time>',
        utc.isoformat(timespec="seconds"),
        style,
        utc.strftime("%d %b %Y, %H:%M UTC"),
    )


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``0.04 s``, ``1.4 s``, ``12 s``, ``3 min 5 s``, ``1 h 2 min``."""
    if seconds is None:
        return "–"
    if seconds < 0.01:
        return "< 0.01 s"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


@register.filter
def breakable(text: str) -> SafeString:
    """A path or dotted name that wraps after its separators rather than anywhere."""
    return format_html_join(
        SafeString("<wbr>"), "{}", ((part,) for part in re.split(r"(?<=[./_:])(?=.)", text))
    )


@register.filter
def prose(text: str) -> SafeString:
    """A docstring as paragraphs: lines joined, ``literals`` as code."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    return format_html_join("", "<p>{}</p>", ((_with_code(p),) for p in paragraphs if p))


def _with_code(text: str) -> SafeString:
    """Every second piece between double backticks is a literal."""
    pieces = enumerate(text.split("``"))
    return format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", piece) if number % 2 else piece,) for number, piece in pieces),
    )


@register.simple_tag(takes_context=True)
def current_if(context: RequestContext, *prefixes: str) -> SafeString | str:
    """``aria-current="page"`` when the view's name starts with one of ``prefixes``, else nothing."""
    return format_html('aria-current="{}"', "page") if within(context, *prefixes) else ""


@register.simple_tag(takes_context=True)
def within(context: RequestContext, *prefixes: str) -> bool:
    """Whether the view's name starts with one of ``prefixes``."""
    match = getattr(context.get("request"), "resolver_match", None)
    return match is not None and match.view_name.startswith(prefixes)
