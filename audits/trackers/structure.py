"""The structure of Markdown, as far as claims depend on it: headings, items, checkboxes, code fences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINE = 2_000
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(?:\[(?P<box>[ xX✓✔~/-])\]\s*)?(?P<text>.*)$")
_MARKUP = re.compile(r"[*`~]{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line outside of code fences. ``level`` is that of a heading, 0 else; ``box`` tells of a checkbox."""

    number: int
    raw: str
    text: str
    level: int
    box: bool | None


def lines_of(text: str) -> Iterator[Line]:
    fence = ""
    for number, raw in enumerate(text.splitlines(), 1):
        raw = raw[:MAX_LINE]  # noqa: PLW2901
        found = _FENCE.match(raw)
        if fence:
            if found and found[1].startswith(fence) and not raw[found.end() :].strip():
                fence = ""
            continue
        if found:
            fence = found[1]
            continue
        heading = _HEADING.match(raw)
        if heading:
            yield Line(number, raw, heading[2], len(heading[1]), None)
            continue
        item = _ITEM.match(raw)
        box = None if item is None or item["box"] is None else item["box"] in "xX✓✔"
        yield Line(number, raw, item["text"] if item is not None else raw.strip(), 0, box)


def without_markup(text: str) -> str:
    return _MARKUP.sub("", text)
