"""The difference of two texts, line by line."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN_LINES = 240
MAX_LINE = 300
# Comparing takes time that grows faster than the texts.
MAX_COMPARED_LINES = 20_000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a difference: "+", "-", " " or "@" for where it stands, and the text."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The changed lines with three around them. ``is_cut``: there is more than is shown here."""

    lines: tuple[DiffLine, ...]
    is_cut: bool


def difference(before: Sequence[str], after: Sequence[str]) -> Difference:
    """What turns one text into another; nothing for equal ones, cut at once for very long ones."""
    if len(before) + len(after) > MAX_COMPARED_LINES:
        return Difference((), is_cut=before != after)
    lines: list[DiffLine] = []
    for number, line in enumerate(difflib.unified_diff(before, after, lineterm="", n=3)):
        if number < 2:  # the names of the files
            continue
        if len(lines) == SHOWN_LINES:
            return Difference(tuple(lines), is_cut=True)
        lines.append(DiffLine(line[0], line[1 if line[0] != "@" else 0 :][:MAX_LINE]))
    return Difference(tuple(lines), is_cut=False)
